"""How long a run has made no progress, as seen by a watcher that may itself have stood still (pure)."""

from __future__ import annotations

from typing import Final

LONGEST_GAP_S: Final = 5.0
"""Between two looks, beyond their period: after more than that the onlooker itself was stopped or away."""


class Stillness:
    """Adds up the time between looks without progress. A pause of the whole process gives the run its full time again.

    Args:
        period_s: seconds between two looks.
        now_s: seconds of any clock that is not set.
    """

    def __init__(self, period_s: float, now_s: float) -> None:
        self._longest_s = period_s + LONGEST_GAP_S
        self._looked_s = now_s
        self._silent_s = 0.0
        self._has_moved = True

    def moved(self) -> None:
        """The run has made progress; may be called from another thread."""
        self._has_moved = True

    def look(self, now_s: float) -> float:
        """Seconds without progress until now."""
        gap_s, self._looked_s = now_s - self._looked_s, now_s
        if self._has_moved or gap_s > self._longest_s:
            self._has_moved, self._silent_s = False, 0.0
        else:
            self._silent_s += gap_s
        return self._silent_s
