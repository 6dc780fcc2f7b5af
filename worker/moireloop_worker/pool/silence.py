"""Finds workers that stopped reporting although their launcher has not reported their end (pure)."""

from __future__ import annotations

from typing import Final

from moireloop_broker.contract.control import WorkerStatus

LOOKS: Final = 10
"""Number of looks within the time after which a worker counts as silent."""


class Silence:
    """Follows the reports of workers, by the clock of the caller. A late look starts over.

    Args:
        patience_s: seconds without a report after which a worker counts as silent.
    """

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._period_s = patience_s / LOOKS
        self._looked_s = float("-inf")
        self._heard: dict[str, tuple[float, float]] = {}

    def is_due(self, now_s: float) -> bool:
        """Whether to look again."""
        return now_s - self._looked_s >= self._period_s

    def look(self, said: dict[str, WorkerStatus | None], now_s: float) -> list[str]:
        """The running workers that have been silent for too long; one that never came up is not among them.

        Args:
            said: the last report of each worker that was started and has not ended.
        """
        if now_s - self._looked_s > 3 * self._period_s:
            self._heard.clear()
        self._looked_s = now_s
        heard = {worker: one.seen_s for worker, one in said.items() if one is not None and one.came_up}
        before, self._heard = self._heard, {}
        for worker, seen_s in heard.items():
            last = before.get(worker)
            self._heard[worker] = last if last is not None and last[0] == seen_s else (seen_s, now_s)
        return [worker for worker, (_, since_s) in self._heard.items() if now_s - since_s > self.patience_s]
