"""Names of the optimizer's candidates, and sets of candidate names that stay small (pure)."""

from __future__ import annotations

import re
from typing import Final

OWN: Final = re.compile(r"c([0-9]{5}|[1-9][0-9]{5,8})")

LONGEST_GAP: Final = 100_000
"""Numbers that may be skipped: a name from outside that looks like one of ours must not take memory by its number."""


def candidate_id(number: int) -> str:
    """Id of the optimizer's candidate of a running number: c00001, c00002 ..."""
    return f"c{number:05d}"


class CandidateNames:
    """A set of candidate ids that only grows. The optimizer's own, numbered without great gaps, take a bit each."""

    def __init__(self) -> None:
        self._numbers = bytearray()
        self._others: set[str] = set()

    def add(self, name: str) -> None:
        """Take in one more; one that is in it already changes nothing."""
        place = self._place(name)
        if place is None:
            self._others.add(name)
            return
        byte, bit = place
        self._numbers.extend(bytes(max(0, byte + 1 - len(self._numbers))))
        self._numbers[byte] |= bit

    def __contains__(self, name: str) -> bool:
        place = self._place(name)
        is_numbered = place is not None and place[0] < len(self._numbers) and bool(self._numbers[place[0]] & place[1])
        return is_numbered or name in self._others

    def _place(self, name: str) -> tuple[int, int] | None:
        """Byte and bit of one of our own names; None of any other."""
        match = OWN.fullmatch(name)
        number = int(match[1]) if match is not None else 0
        if match is None or number > 8 * len(self._numbers) + LONGEST_GAP:
            return None
        return number // 8, 1 << number % 8
