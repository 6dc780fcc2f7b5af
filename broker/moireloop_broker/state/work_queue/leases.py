"""The leases of workers: candidates taken, renewed and brought to an end (adapter)."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, cast

import msgpack
import redis

from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import Candidate, RunLeased, RunReport
from moireloop_broker.contract.frames import Frame, frame_parts
from moireloop_broker.state.instructions import Instruction
from moireloop_broker.state.keys import WORKERS_GROUP, Keys
from moireloop_broker.state.scripts.queue import Charge, FailOutcome, QueueScripts
from moireloop_broker.state.work_queue.attempts import AttemptEnds, AttemptLimits
from moireloop_broker.state_changes import Begun, EventParts, Finish, finish_of, leased_event, status_without_time


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


class Leases:
    """What a worker does: takes candidates, holds them, and brings their runs to an end. For one thread at a time."""

    def __init__(
        self, client: redis.Redis, keys: Keys, *, lease_s: float = 30.0, limits: AttemptLimits | None = None
    ) -> None:
        self._client = client
        self._keys = keys
        self._scripts = QueueScripts(client, keys)
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

        An attempt that is not `counted` is not charged: however often that happens, there is a retry. After an
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
