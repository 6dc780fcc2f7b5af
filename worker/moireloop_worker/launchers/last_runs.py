"""Whether another run that nothing can carry on is worth beginning, by the runs before it (adapter).

A run that leaves a restart file is worth beginning as long as the worker lives: it continues in the next allocation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from moireloop_worker.launchers.walltime import Walltime, will_end_in_time

REMEMBERED: Final = 5


class LastRuns:
    """What the last runs of this worker took, and what is left of its allocation.

    Args:
        walltime: what is known of the end, from the worker's start on.
        ask: when the allocation ends by what the pool says now; asked before a run that nothing can carry on, at most
            once a second.
    """

    def __init__(self, walltime: Walltime, ask: Callable[[], float | None]) -> None:
        self._walltime = walltime
        self._ask = ask
        self._seconds: list[float] = []
        self._is_carried_on = True

    def note(self, seconds: float, *, is_carried_on: bool) -> None:
        """A run came to its end after so long; `is_carried_on` is whether it left restart files on its way."""
        self._is_carried_on = is_carried_on
        self._seconds = [*self._seconds, seconds][-REMEMBERED:]

    @property
    def run_s(self) -> float | None:
        """How long a run takes: the longest of the last ones; None before the first."""
        return max(self._seconds, default=None)

    def may_begin(self) -> bool:
        """Whether another run would end before everything is given back, or can be gone on with afterwards."""
        if self._is_carried_on:
            return True
        if self._walltime.is_due(time.monotonic()):
            self._walltime.set_end(self._ask(), time.monotonic())
        return will_end_in_time(time.time(), self._walltime.gives_back_s, self.run_s)
