"""The work queue: candidates, leases, attempts, final frames and dead letters, kept in Redis (adapter).

A candidate is queued, leased by a worker, finished (its final frame kept) and settled (its result in the log). Each
step is one Lua script that changes the state and writes the event. Steps of an attempt that is no longer the
present one are refused, so that a candidate comes to exactly one result, whatever dies when.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, cast

import msgpack
import redis

from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import (
    CancelRequested,
    Candidate,
    CandidateQueued,
    Result,
    RunFailed,
    RunFinished,
    RunLeased,
    RunReport,
    StageTimes,
)
from moireloop_broker.contract.frames import Frame, frame_parts
from moireloop_broker.state.instructions import Instruction
from moireloop_broker.state.keys import ANALYZERS_GROUP, INSTRUCTIONS_KEPT_S, WORKERS_GROUP, Keys
from moireloop_broker.state.scripts import Scripts

log = logging.getLogger(__name__)

UNLEASED_IDLE_S = 10.0

UNCOUNTED = 2
"""What `fail.lua` is given in place of `charged` for an attempt that is nobody's."""

LONGEST_GAP_S = 5.0
"""Between two looks at the leases: after more than that whoever looks was stopped itself, and begins anew."""


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
    """When a candidate is given up: after so many charged attempts, or so many uncharged losses."""

    max_attempts: int = 3
    max_losses: int = 20


class WorkQueue:
    """All state changes of candidates. One instance is used by one thread at a time."""

    def __init__(
        self, client: redis.Redis, keys: Keys, *, lease_s: float = 30.0, limits: AttemptLimits | None = None
    ) -> None:
        self._client = client
        self._keys = keys
        self._scripts = Scripts(client)
        self._lease_ms = round(lease_s * 1000)
        self._limits = limits or AttemptLimits()
        self._looked_at_s = time.monotonic()
        self._expired_at_s: dict[tuple[bytes, float], float] = {}

    def create(self) -> None:
        """Create the queue's consumer groups; does nothing where they exist."""
        for stream, group in ((self._keys.queue, WORKERS_GROUP), (self._keys.finals, ANALYZERS_GROUP)):
            try:
                self._client.xgroup_create(stream, group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def propose(self, candidate: Candidate) -> bool:
        """Queue a candidate; False when its id is known already."""
        now_s = time.time()
        event = CandidateQueued(candidate=candidate, attempt=1, queued_s=now_s)
        keys = [self._candidate_key(candidate), self._keys.queue, self._keys.log, self._keys.counts]
        return bool(
            self._scripts.run("propose", keys, [candidate.candidate_id, pack(candidate), repr(now_s), pack(event)])
        )

    def candidate(self, candidate_id: str) -> Candidate:
        """A candidate that is known, by its id."""
        return unpack_as(Candidate, cast("bytes", self._client.hget(self._keys.candidate(candidate_id), "candidate")))

    def take(self, worker: str, wait_s: float) -> Lease | None:
        """Lease the oldest queued candidate; waits up to `wait_s` for one. None also while the campaign drains."""
        if self.draining():
            time.sleep(min(wait_s, 0.2))
            return None
        block = max(1, round(wait_s * 1000)) if wait_s > 0 else None
        answer = self._client.xreadgroup(WORKERS_GROUP, worker, {self._keys.queue: ">"}, count=1, block=block)
        if not answer:
            return None
        entry, fields = cast("Any", answer)[0][1][0]
        return self._lease(worker, entry.decode(), fields)

    def _lease(self, worker: str, entry: str, fields: dict[bytes, bytes]) -> Lease | None:
        candidate_id, attempt = fields[b"id"].decode(), int(fields[b"attempt"])
        packed = self._client.hget(self._keys.candidate(candidate_id), "candidate")
        candidate = unpack_as(Candidate, cast("bytes", packed))
        lease = Lease(candidate, attempt, worker, float(fields[b"queued_s"]), time.time())
        event = RunLeased(candidate_id=candidate_id, attempt=attempt, worker=worker, leased_s=lease.leased_s)
        keys = [
            self._candidate_key(candidate),
            self._keys.queue,
            self._keys.log,
            self._keys.counts,
            self._keys.leases,
            self._keys.state,
        ]
        args: list[str | bytes | int | float] = [
            candidate_id,
            entry,
            WORKERS_GROUP,
            attempt,
            worker,
            self._lease_ms,
            repr(lease.leased_s),
            pack(event),
        ]
        outcome = self._scripts.run("lease", keys, args)
        return lease if outcome == b"leased" else None

    def renew(self, lease: Lease, step: int) -> Instruction | None:
        """Hold the lease for another period and tell the step reached; answers what was ordered meanwhile.

        Raises:
            LeaseLost: another attempt holds the candidate, or it is settled.
        """
        keys = [self._candidate_key(lease.candidate), self._keys.leases]
        args = [lease.candidate.candidate_id, lease.attempt, lease.worker, self._lease_ms, step]
        answer: bytes = self._scripts.run("renew", keys, cast("Any", args))
        if answer == b"lost":
            raise LeaseLost(f"{lease.candidate.candidate_id} attempt {lease.attempt} is no longer leased")
        return cast("Instruction", answer.decode()) if answer else None

    def report_worker(self, status: WorkerStatus) -> None:
        """Say what a worker does, for `status`."""
        self._client.hset(self._keys.workers, status.worker, pack(status))

    def worker_status(self, worker: str) -> WorkerStatus | None:
        """What a worker last said of itself; None where it has said nothing."""
        packed = cast("bytes | None", self._client.hget(self._keys.workers, worker))
        return unpack_as(WorkerStatus, packed) if packed is not None else None

    def finish(self, lease: Lease, report: RunReport, final: Frame) -> None:
        """Keep the final frame of a run; the candidate now waits for an analyzer.

        Raises:
            LeaseLost: another attempt holds the candidate, or it is settled.
        """
        candidate_id = lease.candidate.candidate_id
        event = RunFinished(candidate_id=candidate_id, attempt=lease.attempt, report=report)
        keys = [
            self._candidate_key(lease.candidate),
            self._keys.log,
            self._keys.counts,
            self._keys.leases,
            self._keys.finals,
            self._keys.final_frame(candidate_id),
            self._keys.counters,
        ]
        frame = msgpack.packb([bytes(part) for part in frame_parts(final)])
        frames = [report.frames_sent, report.frames_dropped]
        args = [candidate_id, lease.attempt, lease.worker, pack(report), frame, pack(event), *frames]
        if not self._scripts.run("finish", keys, cast("Any", args)):
            raise LeaseLost(f"{candidate_id} attempt {lease.attempt} is no longer leased")

    def fail(self, lease: Lease, reason: str, *, charged: bool = True, counted: bool = True) -> str:
        """End an attempt without a final frame; `charged` uses up one of the candidate's attempts.

        An attempt that is not `counted` is nobody's: however often that happens, the candidate is tried again.

        Returns:
            What became of it: "queued" again, "failed", "cancelled", or "stale" when the attempt counted no more.
        """
        candidate_id = lease.candidate.candidate_id
        return self._fail(candidate_id, lease.attempt, lease.worker, reason, charged=charged, counted=counted)

    def release_worker(self, worker: str, reason: str, *, charged: bool) -> list[str]:
        """End the attempts of a worker that is gone; answers the candidates that it held."""
        self._give_back_unleased(worker, min_idle_s=0)
        held = [c for c in self._leased() if self._field(c, "worker") == worker]
        return [c for c in held if self._fail_present(c, reason, charged=charged) != "stale"]

    def release_all(self, reason: str) -> list[str]:
        """End all attempts without charging them, when no worker of the campaign can be alive (on resume)."""
        self._give_back_unleased(None, min_idle_s=0)
        return [c for c in self._leased() if self._fail_present(c, reason, charged=False) != "stale"]

    def expire_leases(self, grace_s: float = 0.0) -> list[str]:
        """End the attempts whose lease was not renewed in time, and give back entries that nobody leased.

        A lease must have been seen expired, unchanged, for `grace_s` of this process's own clock. After a jump of
        the server's clock, or when Redis, this process or the whole machine was paused, all leases look expired
        at once, and the workers renew them as soon as they can.
        """
        self._give_back_unleased(None, min_idle_s=UNLEASED_IDLE_S)
        reason = f"lease expired: no sign of life from its worker for {self._lease_ms / 1000:g} s"
        overdue = self._overdue(grace_s)
        return [c for c in overdue if self._fail_present(c, reason, charged=True, only_expired=True) != "stale"]

    def _overdue(self, grace_s: float) -> list[str]:
        server_s, server_us = self._client.time()
        now_ms = server_s * 1000 + server_us // 1000
        self._shorten_leases(now_ms)
        expired: Any = self._client.zrangebyscore(self._keys.leases, "-inf", now_ms, withscores=True)
        now_s = time.monotonic()
        if now_s - self._looked_at_s > LONGEST_GAP_S:
            self._expired_at_s = {}
        self._looked_at_s = now_s
        self._expired_at_s = {lease: self._expired_at_s.get(lease, now_s) for lease in map(tuple, expired)}
        return [lease[0].decode() for lease, since_s in self._expired_at_s.items() if now_s - since_s >= grace_s]

    def _shorten_leases(self, now_ms: int) -> None:
        """Leases of before the server's clock was set back would last for hours; their workers renew them meanwhile."""
        latest_ms = now_ms + self._lease_ms
        too_long: Any = self._client.zrangebyscore(self._keys.leases, latest_ms + LONGEST_GAP_S * 1000, "+inf")
        if too_long:
            self._client.zadd(self._keys.leases, dict.fromkeys(too_long, latest_ms), xx=True)

    def cancel(self, candidate_id: str, reason: str) -> str:
        """Ask for the early end of a candidate.

        Returns:
            "cancelled" (it was queued), "asked" (it runs; its worker is told at once), "late" or "unknown".
        """
        held = self._client.hgetall(self._keys.candidate(candidate_id))
        if not held:
            return "unknown"
        fields = cast("dict[bytes, bytes]", held)
        event = CancelRequested(candidate_id=candidate_id, reason=reason)
        result = _unmeasured(fields, int(fields[b"attempt"]), "cancelled", reason)
        instructions = self._keys.instructions(fields.get(b"worker", b"").decode())
        keys = [self._keys.candidate(candidate_id), self._keys.log, self._keys.counts, self._keys.queue, instructions]
        answer: bytes = self._scripts.run("cancel", keys, [reason, pack(event), pack(result), INSTRUCTIONS_KEPT_S])
        return answer.decode()

    def draining(self) -> bool:
        """Whether no more candidates are leased: the campaign drains, stopped or is complete."""
        return self._client.get(self._keys.state) not in (b"started", b"resumed")

    def counts(self) -> dict[str, int]:
        """How many candidates are queued, running, analysing, and settled with each outcome."""
        stored = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.counts))
        names = ("queued", "running", "analysing", "measured", "refused", "failed", "cancelled")
        return {name: int(stored.get(name.encode(), 0)) for name in names}

    def _candidate_key(self, candidate: Candidate) -> str:
        return self._keys.candidate(candidate.candidate_id)

    def _field(self, candidate_id: str, field: str) -> str:
        value = cast("bytes | None", self._client.hget(self._keys.candidate(candidate_id), field))
        return (value or b"").decode()

    def _leased(self) -> list[str]:
        return [c.decode() for c in cast("list[bytes]", self._client.zrange(self._keys.leases, 0, -1))]

    def _fail_present(self, candidate_id: str, reason: str, *, charged: bool, only_expired: bool = False) -> str:
        attempt, worker = int(self._field(candidate_id, "attempt")), self._field(candidate_id, "worker")
        return self._fail(candidate_id, attempt, worker, reason, charged=charged, only_expired=only_expired)

    def _fail(
        self,
        candidate_id: str,
        attempt: int,
        worker: str,
        reason: str,
        *,
        charged: bool,
        counted: bool = True,
        only_expired: bool = False,
    ) -> str:
        fields = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.candidate(candidate_id)))
        if not fields or not worker:
            return "stale"
        reason = reason[:4000]
        now_s = time.time()
        candidate = unpack_as(Candidate, fields[b"candidate"])
        failed = RunFailed(
            candidate_id=candidate_id,
            attempt=attempt,
            worker=worker,
            reason=reason,
            charged=charged and counted,
            failed_s=now_s,
        )
        queued = CandidateQueued(candidate=candidate, attempt=attempt + 1, queued_s=now_s, reason=reason)
        cancel = fields.get(b"cancel", b"cancelled").decode()
        keys = [
            self._candidate_key(candidate),
            self._keys.log,
            self._keys.counts,
            self._keys.leases,
            self._keys.queue,
        ]
        args = [
            candidate_id,
            attempt,
            worker,
            int(charged) if counted else UNCOUNTED,
            self._limits.max_attempts,
            self._limits.max_losses,
            int(only_expired),
            repr(now_s),
            pack(failed),
            pack(queued),
            pack(_unmeasured(fields, attempt, "failed", reason)),
            pack(_unmeasured(fields, attempt, "cancelled", cancel)),
        ]
        outcome: bytes = self._scripts.run("fail", keys, cast("Any", args))
        log.info(
            "attempt failed candidate=%s attempt=%d now=%s reason=%s",
            candidate_id,
            attempt,
            outcome.decode(),
            reason,
        )
        return outcome.decode()

    def _give_back_unleased(self, worker: str | None, *, min_idle_s: float) -> None:
        pending = self._client.xpending_range(
            self._keys.queue, WORKERS_GROUP, "-", "+", 1000, worker, idle=round(min_idle_s * 1000) or None
        )
        for row in cast("list[dict[str, Any]]", pending):
            entry = row["message_id"].decode()
            stored = cast("Any", self._client.xrange(self._keys.queue, entry, entry))
            if not stored:
                self._client.xack(self._keys.queue, WORKERS_GROUP, entry)
                continue
            fields = stored[0][1]
            candidate_id = fields[b"id"].decode()
            keys = [self._keys.candidate(candidate_id), self._keys.queue]
            self._scripts.run("give_back", keys, [candidate_id, fields[b"attempt"], entry, WORKERS_GROUP])


def stage_times(fields: dict[bytes, bytes]) -> StageTimes:
    """Times of the stages that a candidate's hash has passed."""
    candidate = unpack_as(Candidate, fields[b"candidate"])
    leased = fields.get(b"leased_s")
    return StageTimes(
        proposed_s=candidate.proposed_s,
        queued_s=float(fields[b"queued_s"]),
        leased_s=float(leased) if leased else None,
    )


def _unmeasured(fields: dict[bytes, bytes], attempt: int, outcome: str, reason: str) -> Result:
    times = stage_times(fields).model_copy(update={"logged_s": time.time()})
    candidate = unpack_as(Candidate, fields[b"candidate"])
    return Result(candidate=candidate, attempt=attempt, outcome=cast("Any", outcome), reason=reason, times=times)
