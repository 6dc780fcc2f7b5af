"""Keeps the finished runs that an analyzer is at work on from being given to another (adapter).

A separate thread renews the claim: a large frame may take longer to measure than the time after which a run counts
as abandoned, and the analyzer is then neither dead nor is anything wrong with the frame.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

import redis

from moireloop_broker.state.analysis_queue import UNSETTLED_IDLE_S, AnalysisQueue, FinishedRun

log = logging.getLogger(__name__)

LONGEST_S: Final = 1800.0
"""An analyzer that is at one run for so long has got stuck: another may have it."""


class ClaimKeeper:
    """Renews the claims of the runs that it was given last, until they are dropped.

    Args:
        period_s: seconds between two renewals.
    """

    def __init__(self, queue: AnalysisQueue, period_s: float = UNSETTLED_IDLE_S / 4) -> None:
        self._queue = queue
        self._period_s = period_s
        self._runs: Sequence[FinishedRun] = ()
        self._since_s = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="claim-keeper", daemon=True)
        self._thread.start()

    def hold(self, *runs: FinishedRun) -> None:
        """Renew the claims of these runs from now on; to be said again within LONGEST_S by who is not stuck."""
        self._since_s = time.monotonic()
        self._runs = runs

    def drop(self) -> None:
        """Renew none any more."""
        self._runs = ()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._closing.wait(self._period_s):
            runs = self._runs if time.monotonic() - self._since_s <= LONGEST_S else ()
            try:
                for run in runs:
                    self._queue.renew(run)
            except redis.RedisError as error:
                log.info("claims not renewed candidate=%s error=%s", runs[0].candidate.candidate_id, error)
