"""Instructions to runs in flight: an analyzer ends a run early, and its worker learns of it at once (adapter).

The instruction is stored with the candidate, fenced by the attempt. The worker reads it whenever it renews its lease.
An entry in the worker's own list only wakes it up earlier, so a lost entry costs one renewal period.
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
    """Carries instructions to the worker that runs a candidate. Only one thread at a time may use an instance."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._scripts = AnalysisScripts(client, keys)

    def end_early(self, candidate_id: str, attempt: int, ending: EarlyEnding, reason: str, step: int) -> EndOutcome:
        """Ask for the end of a running attempt; the first such instruction counts.

        Returns:
            "ordered", "again" (an earlier instruction counts) or "late" (this attempt is no longer running).
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
        """Log that a run continues although it could be ended, so that its end shows whether that was right.

        Returns:
            "withheld", "again" (it was logged before) or "late" (this attempt is no longer running).
        """
        return self._scripts.withhold(event.candidate_id, attempt=event.attempt, event=pack(event))

    def wait(self, worker: str, wait_s: float) -> bool:
        """Whether a worker should read its instruction now; waits up to `wait_s` for a wake-up."""
        return self._client.blpop([self._keys.instructions(worker)], timeout=wait_s) is not None

    def wake(self, worker: str) -> None:
        """Wake up a worker to read its instruction; another thread may be waiting. Raises redis.RedisError."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.rpush(self._keys.instructions(worker), AWAKE)
        pipeline.expire(self._keys.instructions(worker), AWAKE_S)
        pipeline.execute()
