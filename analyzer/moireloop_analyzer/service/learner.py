"""Learns from the runs of the campaign that went to their full end, in a thread beside the frames (adapter).

What is learnt lives only in this process. Each analyzer reads the same log and series and learns the same; a restarted
analyzer reads them again.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

import redis

from moireloop_analyzer.settings import LearntPolicy
from moireloop_analyzer.settling.earlier import earlier_runs
from moireloop_analyzer.settling.sureness import (
    LEAST_POINTS,
    RUNS_KEPT,
    Sureness,
    WholeRun,
    learn,
    weight_of,
    went_to_its_end,
    whole_run,
)
from moireloop_broker.connection import Connection
from moireloop_broker.contract.codec import EARLIER
from moireloop_broker.contract.events import EarlyEndWithheld, Event, Result
from moireloop_broker.contract.message import START
from moireloop_broker.state.event_log import LogRolledBack
from moireloop_broker.state.keys import POINTS_KEPT
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.series import SeriesPoint

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0

GROWTH: Final = 1.15
"""The model is retrained when the number of whole runs has grown by this factor: training time grows with it."""

TAGS: Final = frozenset({"early_end_withheld/1", "result/3"}) | {
    tag for tag, now in EARLIER.items() if now == "result/3"
}


class Learner:
    """`sureness` is what was learnt last, None as long as that is too little."""

    def __init__(self, connection: Connection, policy: LearntPolicy) -> None:
        self.sureness: Sureness | None = None
        self._policy = policy
        self._client = connection.open_redis()
        self._log = connection.event_log(self._client)
        self._observations = Observations(self._client, connection.keys)
        self._earlier: list[WholeRun] = []
        self._forget()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="learner", daemon=True)
        self._thread.start()

    @property
    def read(self) -> int:
        """Whole runs that were read so far."""
        return self._seen

    def close(self) -> None:
        """End the thread. One that is learning is not waited for long: it holds nothing that must be written."""
        self._closing.set()
        self._thread.join(LOOK_EVERY_S)
        self._client.close()

    def _follow(self) -> None:
        self._earlier = earlier_runs(self._policy)
        if self._earlier:
            log.info("earlier runs read runs=%d", len(self._earlier))
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                self._look()
            except LogRolledBack:
                self._forget()
            except (redis.RedisError, OSError) as error:
                log.info("whole runs not read now error=%s", error)

    def _forget(self) -> None:
        self._since = START
        self._runs: dict[str, WholeRun] = {}
        self._withheld: dict[tuple[str, int], EarlyEndWithheld] = {}
        self._learnt_of = 0
        self._seen = 0

    def _look(self) -> None:
        """Take in what the log has that is new, and learn where that is enough."""
        for entry_id, event in self._log.replay(self._since, TAGS):
            self._since = entry_id
            self._take(event)
            if self._closing.is_set():
                return
        basis = len(self._earlier) + self._seen
        if basis < max(self._policy.least_runs, GROWTH * self._learnt_of) or basis == self._learnt_of:
            return
        self._learnt_of = basis
        runs = [*self._earlier, *self._runs.values()][-RUNS_KEPT:]
        self.sureness = learn(runs, self._policy)
        _say(self.sureness, len(runs))

    def _take(self, event: Event) -> None:
        if isinstance(event, EarlyEndWithheld):
            self._withheld[event.candidate_id, event.attempt] = event
        elif isinstance(event, Result) and went_to_its_end(event):
            self._keep_whole(event)

    def _keep_whole(self, result: Result) -> None:
        """Take in a whole run, if there are frames of it, instead of the oldest one where they are many."""
        candidate_id = result.candidate.candidate_id
        points = self._observations.newest(candidate_id, result.attempt, POINTS_KEPT)
        if len(points) < LEAST_POINTS:
            return
        self._seen += 1
        self._runs[candidate_id] = self._whole_run(result, points)
        if len(self._runs) > RUNS_KEPT:
            del self._runs[next(iter(self._runs))]

    def _whole_run(self, result: Result, points: list[SeriesPoint]) -> WholeRun:
        candidate_id = result.candidate.candidate_id
        withheld = self._withheld.pop((candidate_id, result.attempt), None)
        return whole_run(candidate_id, points, result.twist_deg, self._policy.tolerance_deg, weight_of(withheld))


def _say(sureness: Sureness | None, runs: int) -> None:
    if sureness is None:
        log.info("no early end yet, whole runs are too few or too often wrong runs=%d", runs)
        return
    ends = sureness.ends
    log.info(
        "learnt from whole runs runs=%d score=%.4f ended=%.2f wrong=%.4f steps_saved=%.2f",
        runs, sureness.threshold, ends.ended, ends.wrong, ends.saved,
    )  # fmt: skip
