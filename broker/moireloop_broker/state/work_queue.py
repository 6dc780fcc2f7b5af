"""The work queue for proposers and workers: candidates, leases and attempts in Redis (adapter).

A candidate is queued, leased by a worker, finished (its final frame kept) and settled (its result in the log). Each
step is one Lua script that changes the state and writes the event. Steps of an attempt that is no longer
current are refused. So a candidate gets exactly one result, whatever dies when.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgpack
import redis

from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import (
    CancelRequested,
    Candidate,
    CandidateQueued,
    Requested,
    RunFailed,
    RunLeased,
    RunReport,
)
from moireloop_broker.contract.frames import Frame, frame_parts
from moireloop_broker.state.instructions import Instruction
from moireloop_broker.state.keys import ANALYZERS_GROUP, WORKERS_GROUP, Keys
from moireloop_broker.state.scripts import (
    CancelOutcome,
    Charge,
    FailOutcome,
    MoveOutcome,
    ProposeOutcome,
    Scripts,
    Turn,
)
from moireloop_broker.state_changes import (
    Begun,
    EventParts,
    Finish,
    Spare,
    finish_of,
    leased_event,
    proposal_of,
    spare_of,
    status_without_time,
    unmeasured,
)

log = logging.getLogger(__name__)

LONGEST_REASON = 4000

SPARES: Final = 20
"""Candidates of the optimizer's own that may give way, of which the first that still waits does."""

TRIES: Final = 5


class LeaseLost(Exception):
    """The lease went to another worker, or its candidate is settled: this attempt no longer counts."""


@dataclass(frozen=True)
class Lease:
    """The right of one worker to evaluate one candidate; times in seconds since the epoch."""

    candidate: Candidate
    attempt: int
    worker: str
    queued_s: float
    leased_s: float


@dataclass(frozen=True)
class AttemptLimits:
    """Limits after which a candidate becomes a dead letter: charged attempts, and uncharged losses."""

    max_attempts: int = 3
    max_losses: int = 20


def create_queues(client: redis.Redis, keys: Keys) -> None:
    """Create the queues of candidates and the queue of final frames; does nothing where they exist."""
    for stream, group in (*((queue, WORKERS_GROUP) for queue in keys.queues), (keys.finals, ANALYZERS_GROUP)):
        try:
            client.xgroup_create(stream, group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


def _packed(asked: Requested | None) -> bytes:
    return b"" if asked is None else pack(asked)


def is_draining(client: redis.Redis, keys: Keys) -> bool:
    """Whether no more candidates are leased: the campaign is paused, drains, stopped or is complete."""
    return client.get(keys.state) not in (b"started", b"resumed")


class Proposer:
    """Who puts candidates into the queue, and takes them back. One instance is used by one thread at a time."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._scripts = Scripts(client, keys)

    def propose(
        self, candidate: Candidate, *, asked: Requested | None = None, budget: int | None = None
    ) -> ProposeOutcome:
        """Queue a candidate if its id is new and the budget of results, if one is given, has room for it.

        A controller's gets the place of the optimizer's newest candidate that no worker has begun, if there is one.

        Args:
            asked: the request of a controller, which is logged too.
            budget: pending candidates reserve a place in it; results, except cancelled ones, use one up.
        """
        several = [proposal_of(candidate, asked)]
        outcome = self._scripts.propose(several, budget)[0]
        for _ in range(TRIES if outcome == "spent" and asked is not None else 0):
            spares = self._spares(f"gave its place to {candidate.candidate_id}, from outside")
            if not spares or (outcome := self._scripts.propose(several, budget, spares)[0]) != "spent":
                break
        return outcome

    def propose_several(self, candidates: Sequence[Candidate], *, budget: int | None = None) -> list[ProposeOutcome]:
        """`propose` several, in their order, in one round trip."""
        return self._scripts.propose([proposal_of(candidate) for candidate in candidates], budget) if candidates else []

    def _spares(self, reason: str) -> list[Spare]:
        """Candidates of the optimizer's own that were never begun, the newest first, as they are withdrawn."""
        spares: list[Spare] = []
        end = "+"
        while len(spares) < SPARES:
            rows = cast("Any", self._client.xrevrange(self._keys.queue, max=end, count=SPARES))
            names = [fields[b"id"].decode() for _, fields in rows]
            found = [self._client.hgetall(self._keys.candidate(name)) for name in names]
            each = zip(names, cast("list[dict[bytes, bytes]]", found), strict=True)
            spares += [spare for name, held in each if (spare := spare_of(name, held, reason))]
            if len(rows) < SPARES:
                break
            end = f"({rows[-1][0].decode()}"
        return spares

    def prioritise(self, candidate_id: str, place: int, asked: Requested) -> MoveOutcome:
        """Move a queued candidate to a place of the queue, 1 being the next one that a worker takes."""
        return self._scripts.prioritise(candidate_id, place=place, event=pack(asked))

    def queued(self) -> list[Candidate]:
        """The candidates that wait for a worker, the next one first."""
        pipeline = self._client.pipeline(transaction=False)
        rows = [row for queue in self._keys.queues for row in cast("Any", self._client.xrange(queue))]
        for _, fields in rows:
            pipeline.hmget(self._keys.candidate(fields[b"id"].decode()), "state", "candidate")
        return [unpack_as(Candidate, packed) for state, packed in pipeline.execute() if state == b"queued"]

    def is_known(self, candidate_id: str) -> bool:
        """Whether there is a candidate of this id."""
        return bool(self._client.exists(self._keys.candidate(candidate_id)))

    def candidate(self, candidate_id: str) -> Candidate:
        """A candidate that is known, by its id."""
        return unpack_as(Candidate, cast("bytes", self._client.hget(self._keys.candidate(candidate_id), "candidate")))

    def cancel(
        self, candidate_id: str, reason: str, *, asked: Requested | None = None, only_queued: bool = False
    ) -> CancelOutcome:
        """Ask for the early end of a candidate.

        Returns:
            "cancelled" (it was queued), "asked" (it runs; its worker learns of it at once), "running" (it runs, and
            `only_queued` leaves it alone), "late" or "unknown".
        """
        held = self._client.hgetall(self._keys.candidate(candidate_id))
        if not held:
            return "unknown"
        fields = cast("dict[bytes, bytes]", held)
        event = CancelRequested(candidate_id=candidate_id, reason=reason)
        result = unmeasured(fields, int(fields[b"attempt"]), "cancelled", reason)
        worker = fields.get(b"worker", b"").decode()
        return self._scripts.cancel(
            candidate_id,
            worker=worker,
            reason=reason,
            cancel_event=pack(event),
            result_event=pack(result),
            request_event=_packed(asked),
            only_queued=only_queued,
        )


class AttemptEnds:
    """Ends attempts without a final frame: their candidates are queued again, or settled as failed."""

    def __init__(self, client: redis.Redis, keys: Keys, limits: AttemptLimits | None = None) -> None:
        self._client = client
        self._keys = keys
        self._scripts = Scripts(client, keys)
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


class Leases:
    """What a worker does: takes candidates, holds them, and brings their runs to an end. For one thread at a time."""

    def __init__(
        self, client: redis.Redis, keys: Keys, *, lease_s: float = 30.0, limits: AttemptLimits | None = None
    ) -> None:
        self._client = client
        self._keys = keys
        self._scripts = Scripts(client, keys)
        self._ends = AttemptEnds(client, keys, limits)
        self._lease_ms = round(lease_s * 1000)
        self._name = secrets.token_hex(8)
        self._takes = 0

    def take(self, worker: str, wait_s: float) -> Lease | None:
        """Lease the oldest queued candidate, those first that were begun before; waits up to `wait_s` for one.

        None also while the campaign drains.
        """
        begun_s, event = self._beginning(worker)
        begun = self._scripts.begin(
            worker, ticket=f"{self._name}:{self._takes}", lease_ms=self._lease_ms, leased_s=begun_s, event=event
        )
        self._takes += 1
        if begun == "draining":
            time.sleep(min(wait_s, 0.2))
            return None
        if begun is not None:
            return self._begun(worker, begun_s, begun)
        handed = self._wait(worker, wait_s)
        return None if handed is None else self._lease(worker, *handed)

    def finish_and_take(self, lease: Lease, report: RunReport, final: Frame) -> tuple[bool, Lease | None]:
        """`finish` a run and lease the next candidate, if one is queued, in one round trip.

        To be called again with the same arguments after a lost connection.

        Returns:
            Whether the run counts: False where `finish` raises LeaseLost. And the next lease.
        """
        begun_s, event = self._beginning(lease.worker)
        is_kept, begun = self._scripts.finish_and_begin(
            _finish(lease, report, final),
            ticket=f"{self._name}:{lease.candidate.candidate_id}:{lease.attempt}",
            lease_ms=self._lease_ms,
            leased_s=begun_s,
            event=event,
        )
        return is_kept, self._begun(lease.worker, begun_s, begun) if isinstance(begun, Begun) else None

    def _beginning(self, worker: str) -> tuple[float, EventParts]:
        leased_s = time.time()
        return leased_s, leased_event(worker, leased_s)

    def _begun(self, worker: str, leased_s: float, begun: Begun) -> Lease:
        return Lease(unpack_as(Candidate, begun.candidate), begun.attempt, worker, begun.queued_s, leased_s)

    def _wait(self, worker: str, wait_s: float) -> tuple[str, str, dict[bytes, bytes]] | None:
        """The next entry of either queue; Redis may hand out one of each, then the second goes back."""
        if wait_s <= 0:
            return None
        streams, block = cast("Any", dict.fromkeys(self._keys.queues, ">")), max(1, round(wait_s * 1000))
        answer = cast("Any", self._client.xreadgroup(WORKERS_GROUP, worker, streams, count=1, block=block))
        handed = [(stream.decode(), entry.decode(), fields) for stream, ((entry, fields),) in answer or ()]
        for stream, entry, fields in handed[1:]:
            self._scripts.give_back(fields[b"id"].decode(), attempt=int(fields[b"attempt"]), queue=stream, entry=entry)
        return handed[0] if handed else None

    def _lease(self, worker: str, queue: str, entry: str, fields: dict[bytes, bytes]) -> Lease | None:
        candidate_id, attempt = fields[b"id"].decode(), int(fields[b"attempt"])
        packed = self._client.hget(self._keys.candidate(candidate_id), "candidate")
        candidate = unpack_as(Candidate, cast("bytes", packed))
        lease = Lease(candidate, attempt, worker, float(fields[b"queued_s"]), time.time())
        event = RunLeased(candidate_id=candidate_id, attempt=attempt, worker=worker, leased_s=lease.leased_s)
        outcome = self._scripts.lease(
            candidate_id,
            queue=queue,
            entry=entry,
            attempt=attempt,
            worker=worker,
            lease_ms=self._lease_ms,
            leased_s=lease.leased_s,
            event=pack(event),
        )
        return lease if outcome == "leased" else None

    def renew(self, lease: Lease, step: int, status: WorkerStatus | None = None) -> Instruction | None:
        """Hold the lease for another period and tell the step reached; returns what was ordered meanwhile.

        Args:
            status: what the worker does, reported in the same round trip, also where the lease is lost.

        Raises:
            LeaseLost: another attempt holds the candidate, or it is settled.
        """
        candidate_id = lease.candidate.candidate_id
        word = self._scripts.renew(
            candidate_id,
            attempt=lease.attempt,
            worker=lease.worker,
            lease_ms=self._lease_ms,
            step=step,
            status_without_time=None if status is None else status_without_time(status),
        )
        if word == "lost":
            raise LeaseLost(f"{candidate_id} attempt {lease.attempt} is no longer leased")
        return word or None

    def report_worker(self, status: WorkerStatus) -> None:
        """Say what a worker does, for `status`; when it was seen is by the server's clock."""
        self._scripts.report(status.worker, status_without_time(status))

    def count_late_drops(self, frames: int) -> None:
        """Frames that a finished run had counted as sent were dropped after all."""
        self._client.hincrby(self._keys.counters, "frames_sent", -frames)
        self._client.hincrby(self._keys.counters, "frames_dropped", frames)

    def finish(self, lease: Lease, report: RunReport, final: Frame) -> None:
        """Keep the final frame of a run; the candidate now waits for an analyzer.

        Raises:
            LeaseLost: another attempt holds the candidate, or it is settled.
        """
        if not self._scripts.finish(_finish(lease, report, final)):
            raise LeaseLost(f"{lease.candidate.candidate_id} attempt {lease.attempt} is no longer leased")

    def fail(self, lease: Lease, reason: str, *, charged: bool = True, counted: bool = True) -> FailOutcome:
        """End an attempt without a final frame; `charged` uses up one of the candidate's attempts.

        An attempt that is not `counted` is charged to nobody: however often that happens, there is a retry. After an
        error of its own the candidate starts over, behind all others; else it continues, and comes first.

        Returns:
            The candidate's fate: "queued" again, "failed", "cancelled", or "stale" if the attempt no longer counted.
        """
        charge: Charge = (1 if charged else 0) if counted else 2
        return self._ends.end(
            lease.candidate.candidate_id, lease.attempt, lease.worker, reason, charge, first=0 if charge == 1 else 1
        )

    def give_back(self, lease: Lease, reason: str) -> FailOutcome:
        """End an attempt on request, to be gone on with: that costs nothing, however often, and it comes first."""
        return self._ends.end(lease.candidate.candidate_id, lease.attempt, lease.worker, reason, 2, first=2)


def _finish(lease: Lease, report: RunReport, final: Frame) -> Finish:
    """The worker is the lease's, whatever the report says."""
    frame = msgpack.packb([bytes(part) for part in frame_parts(final)])
    return finish_of(lease.candidate.candidate_id, lease.attempt, report, frame)._replace(worker=lease.worker)
