"""Signals of schedulers and of people that mean 'give back now' (adapter)."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

from moireloop_broker.processes.exits import end_soon

NOTICES: Final = (signal.SIGUSR1, signal.SIGALRM)
"""What Slurm's `--signal` sends by habit, and what Flux sends when a time limit is reached."""


def hear_notices(heard: Callable[[str], None], *, hand_back: bool, also: tuple[signal.Signals, ...] = ()) -> None:
    """From now on call `heard` with the name of a notice that comes; where none counts, ignore them. Main thread.

    Args:
        also: further signals that count as notices.
    """

    def note(number: int, _frame: FrameType | None) -> None:
        end_soon()
        heard(signal.Signals(number).name)

    for number in (*NOTICES, *also):
        signal.signal(number, note if hand_back else signal.SIG_IGN)
