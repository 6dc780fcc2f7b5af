"""Instructions to runs in flight: an analyzer ends a run early, and its worker hears of it at once (adapter).

The instruction stands with the candidate, fenced by the attempt, where the worker looks whenever it renews its lease.
A word in the worker's own list only wakes it up to look now; so a word that is lost costs one renewal period.
"""

from __future__ import annotations

import time
from typing import Final, Literal, cast

import redis

from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.events import EarlyEndOrdered, EarlyEndWithheld
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.analysis import AnalysisScripts, EndOutcome, WithholdOutcome

EarlyEnding = Literal["settled", "hopeless"]

Instruction = Literal["settled", "hopeless", "cancelled"]

AWAKE: Final = "awake"

AWAKE_S: Final = 60


class Instructions:
    """The road from who decides to the worker that runs a candidate. One instance is used by one thread at a time."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._scripts = AnalysisScripts(client, keys)

    def end_early(self, candidate_id: str, attempt: int, ending: EarlyEnding, reason: str, step: int) -> EndOutcome:
        """Ask for the end of an attempt that is running; the first such instruction stands.

        Returns:
            "ordered", "again" (an earlier instruction stands) or "late" (this attempt is no longer running).
        """
        candidate = self._keys.candidate(candidate_id)
        worker = (cast("bytes | None", self._client.hget(candidate, "worker")) or b"").decode()
        event = EarlyEndOrdered(
            candidate_id=candidate_id, attempt=attempt, ending=ending, reason=reason, step=step, ordered_s=time.time()
        )
        return self._scripts.end_early(
            candidate_id, attempt=attempt, worker=worker, ending=ending, reason=reason, event=pack(event)
        )

    def withhold(self, event: EarlyEndWithheld) -> WithholdOutcome:
        """Log that a run which could be ended continues, so that its end shows whether ending it would have been right.

        Returns:
            "withheld", "again" (it is logged already) or "late" (this attempt is no longer running).
        """
        return self._scripts.withhold(event.candidate_id, attempt=event.attempt, event=pack(event))

    def wait(self, worker: str, wait_s: float) -> bool:
        """Whether there is word for a worker that it should look now; waits up to `wait_s` for one."""
        return self._client.blpop([self._keys.instructions(worker)], timeout=wait_s) is not None

    def wake(self, worker: str) -> None:
        """Have a worker look now; may be called while another thread waits. Raises redis.RedisError."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.rpush(self._keys.instructions(worker), AWAKE)
        pipeline.expire(self._keys.instructions(worker), AWAKE_S)
        pipeline.execute()
