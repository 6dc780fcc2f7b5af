"""When something that died is started again, and how often it has died in a row (pure).

Times are seconds of any clock that never goes back.
"""

from __future__ import annotations

from typing import Final

FIRST_S: Final = 0.5

LONGEST_S: Final = 30.0


class Backoff:
    """Waits that double with every death: 0.5, 1, 2 ... 30 s; `reset` after a healthy life."""

    def __init__(self) -> None:
        self._deaths = 0

    def next_s(self) -> float:
        """Seconds to wait after one more death."""
        wait_s = min(LONGEST_S, FIRST_S * 2.0**self._deaths)
        self._deaths = min(self._deaths + 1, 30)
        return wait_s

    def reset(self) -> None:
        """Forget the deaths so far."""
        self._deaths = 0


class Revival:
    """The lives of one process that is kept alive. `deaths` counts those in a row, without a healthy life in between.

    Events come in: it was started, it ended. `is_due` says whether it is to be started now.
    """

    def __init__(self) -> None:
        self.deaths = 0
        self._started_s: float | None = None
        self._start_at_s = 0.0
        self._backoff = Backoff()

    def is_due(self, now_s: float) -> bool:
        """Whether it is to be started now: it does not run, and has waited long enough since its last death."""
        return self._started_s is None and now_s >= self._start_at_s

    def started(self, now_s: float) -> None:
        """It was started."""
        self._started_s = now_s

    def ended(self, now_s: float, *, healthy_s: float, is_productive: bool = False) -> float:
        """It ended unexpectedly; returns the seconds that it now waits.

        Args:
            now_s: present time.
            healthy_s: a life of this length was healthy, and what died before it no longer counts.
            is_productive: whether this life was healthy however short it was.
        """
        lived_s = 0.0 if self._started_s is None else now_s - self._started_s
        if is_productive or lived_s >= healthy_s:
            self._backoff.reset()
            self.deaths = 0
        wait_s = self._backoff.next_s()
        self.deaths += 1
        self._started_s, self._start_at_s = None, now_s + wait_s
        return wait_s
