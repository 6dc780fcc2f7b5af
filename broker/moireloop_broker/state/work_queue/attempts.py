"""Attempts that end without a final frame, and how often a candidate is tried again (adapter)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import cast

import redis

from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.events import Candidate, CandidateQueued, RunFailed
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.queue import Charge, FailOutcome, QueueScripts, Turn
from moireloop_broker.state_changes import unmeasured

log = logging.getLogger(__name__)

LONGEST_REASON = 4000


@dataclass(frozen=True)
class AttemptLimits:
    """Limits after which a candidate becomes a dead letter: charged attempts, and uncharged losses."""

    max_attempts: int = 3
    max_losses: int = 20


class AttemptEnds:
    """Ends attempts without a final frame: their candidates are queued again, or settled as failed."""

    def __init__(self, client: redis.Redis, keys: Keys, limits: AttemptLimits | None = None) -> None:
        self._client = client
        self._keys = keys
        self._scripts = QueueScripts(client, keys)
        self._limits = limits or AttemptLimits()

    def end(
        self,
        candidate_id: str,
        attempt: int,
        worker: str,
        reason: str,
        charge: Charge,
        *,
        only_expired: bool = False,
        first: Turn = 1,
    ) -> FailOutcome:
        """End an attempt; "stale" if it no longer counted, or with `only_expired` if its lease is still valid.

        Args:
            first: whether the next attempt comes before candidates that were never begun, since it continues a run.
        """
        fields = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.candidate(candidate_id)))
        if not fields or not worker:
            return "stale"
        reason = reason[:LONGEST_REASON]
        now_s = time.time()
        failed = RunFailed(
            candidate_id=candidate_id,
            attempt=attempt,
            worker=worker,
            reason=reason,
            charged=charge == 1,
            failed_s=now_s,
        )
        candidate = unpack_as(Candidate, fields[b"candidate"])
        queued = CandidateQueued(candidate=candidate, attempt=attempt + 1, queued_s=now_s, reason=reason)
        cancel = fields.get(b"cancel", b"cancelled").decode()
        outcome = self._scripts.fail(
            candidate_id,
            attempt=attempt,
            worker=worker,
            charge=charge,
            max_attempts=self._limits.max_attempts,
            max_losses=self._limits.max_losses,
            only_expired=only_expired,
            first=first,
            queued_s=now_s,
            failed_event=pack(failed),
            queued_event=pack(queued),
            failed_result=pack(unmeasured(fields, attempt, "failed", reason)),
            cancelled_result=pack(unmeasured(fields, attempt, "cancelled", cancel)),
        )
        log.info("attempt failed candidate=%s attempt=%d now=%s reason=%s", candidate_id, attempt, outcome, reason)
        return outcome
