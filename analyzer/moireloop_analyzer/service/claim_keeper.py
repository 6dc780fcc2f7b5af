"""Keeps the finished run that an analyzer is at work on from being given to another (adapter).

A thread of its own renews the claim: a large frame may take longer to measure than the time after which a run counts
as abandoned, and the analyzer is then neither dead nor is anything wrong with the frame.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

import redis

from moireloop_broker.state.analysis_queue import UNSETTLED_IDLE_S, AnalysisQueue, FinishedRun

log = logging.getLogger(__name__)

LONGEST_S: Final = 1800.0
"""An analyzer that is at one run for so long has got stuck: another may have it."""


class ClaimKeeper:
    """Renews the claim of the run that it was given last, until that is dropped.

    Args:
        period_s: seconds between two renewals.
    """

    def __init__(self, queue: AnalysisQueue, period_s: float = UNSETTLED_IDLE_S / 4) -> None:
        self._queue = queue
        self._period_s = period_s
        self._run: FinishedRun | None = None
        self._since_s = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="claim-keeper", daemon=True)
        self._thread.start()

    def hold(self, run: FinishedRun) -> None:
        """Renew the claim of this run from now on; to be said again within LONGEST_S by who is not stuck."""
        self._since_s = time.monotonic()
        self._run = run

    def drop(self) -> None:
        """Renew it no more."""
        self._run = None

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._closing.wait(self._period_s):
            run = self._run
            if run is None or time.monotonic() - self._since_s > LONGEST_S:
                continue
            try:
                self._queue.renew(run)
            except redis.RedisError as error:
                log.info("claim not renewed now candidate=%s error=%s", run.candidate.candidate_id, error)
