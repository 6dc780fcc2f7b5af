"""What each worker did when: one span for each attempt, from its lease to its end (pure)."""

from __future__ import annotations

import math
from array import array
from typing import Any, Final

from moireloop_broker.contract.events import RunFailed, RunFinished, RunLeased

ENDS: Final = ("running", "finished", "failed", "lost")
"""How an attempt stands: `lost` was given back or died with its machine, and is not charged."""

NAN: Final = math.nan


class Timeline:
    """Spans in the order of their leases; times are seconds since the epoch, NaN while they are to come."""

    def __init__(self) -> None:
        self.workers: list[str] = []
        self._number: dict[str, int] = {}
        self._worker = array("l")
        self._candidates: list[str] = []
        self._attempt = array("l")
        self._leased_s = array("d")
        self._started_s = array("d")
        self._finished_s = array("d")
        self._end = array("b")
        self._open: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        return len(self._candidates)

    def lease(self, event: RunLeased) -> None:
        """An attempt begins."""
        self._open[event.candidate_id, event.attempt] = len(self._candidates)
        self._worker.append(self._worker_number(event.worker))
        self._candidates.append(event.candidate_id)
        self._attempt.append(event.attempt)
        self._leased_s.append(event.leased_s)
        self._started_s.append(NAN)
        self._finished_s.append(NAN)
        self._end.append(ENDS.index("running"))

    def finish(self, event: RunFinished) -> None:
        """The MD of an attempt is over."""
        span = self._open.pop((event.candidate_id, event.attempt), None)
        if span is not None:
            self._started_s[span] = event.report.started_s
            self._finished_s[span] = event.report.finished_s
            self._end[span] = ENDS.index("finished")

    def fail(self, event: RunFailed) -> None:
        """An attempt ended without a final frame."""
        span = self._open.pop((event.candidate_id, event.attempt), None)
        if span is not None:
            self._finished_s[span] = event.failed_s
            self._end[span] = ENDS.index("failed" if event.charged else "lost")

    def _worker_number(self, worker: str) -> int:
        if worker not in self._number:
            self._number[worker] = len(self.workers)
            self.workers.append(worker)
        return self._number[worker]

    def since(self, begin_s: float, most: int) -> dict[str, Any]:
        """The newest `most` spans that reach beyond a time, as columns; numbers of `worker` count `workers`."""
        rows: list[int] = []
        for row in range(len(self) - 1, -1, -1):
            end = self._finished_s[row]
            if end != end or end >= begin_s:
                rows.append(row)
            if len(rows) == most:
                break
        rows.reverse()
        return {
            "workers": self.workers,
            "worker": [self._worker[row] for row in rows],
            "candidate_id": [self._candidates[row] for row in rows],
            "attempt": [self._attempt[row] for row in rows],
            "leased_s": [self._leased_s[row] for row in rows],
            "started_s": [_number(self._started_s[row]) for row in rows],
            "finished_s": [_number(self._finished_s[row]) for row in rows],
            "end": [ENDS[self._end[row]] for row in rows],
            "complete": len(rows) == len(self),
        }


def _number(value: float) -> float | None:
    return None if value != value else value
