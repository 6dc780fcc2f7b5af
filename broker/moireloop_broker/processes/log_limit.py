"""Bounds what others can make a service write into its log (pure)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

BURST: Final = 20

EVERY_S: Final = 5.0


@dataclass
class _Allowance:
    lines: float
    at_s: float
    left_out: int = 0


class LogLimit(logging.Filter):
    """Lets through a burst of lines of the same kind, then one in a while, which says how many were left out.

    Lines are of the same kind when they have the same format string, so that what a stranger sends, which stands in the
    arguments, does not matter.

    Args:
        burst: lines of a kind that are let through at once.
        every_s: seconds until another one is.
        clock_s: seconds of a clock that is never set.
    """

    def __init__(
        self, burst: int = BURST, every_s: float = EVERY_S, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._burst = burst
        self._every_s = every_s
        self._clock_s = clock_s
        self._allowances: dict[str, _Allowance] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; the first one after others were left out says how many."""
        now_s = self._clock_s()
        allowance = self._allowances.setdefault(str(record.msg), _Allowance(self._burst, now_s))
        allowance.lines = min(self._burst, allowance.lines + (now_s - allowance.at_s) / self._every_s)
        allowance.at_s = now_s
        if allowance.lines < 1:
            allowance.left_out += 1
            return False
        allowance.lines -= 1
        if allowance.left_out:
            record.msg = f"{record.msg} (suppressed before it: {allowance.left_out} similar ones)"
            allowance.left_out = 0
        return True
