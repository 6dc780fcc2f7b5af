"""The watch over leases: what dead workers held is given back to the queue, or settled as failed (adapter)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from moireloop_broker.contract.codec import unpack_as
from moireloop_broker.contract.control import LONGEST_HAND_BACK_MS, WorkerStatus
from moireloop_broker.state.keys import WORKERS_GROUP, Keys
from moireloop_broker.state.scripts.queue import QueueScripts
from moireloop_broker.state.work_queue.attempts import AttemptEnds, AttemptLimits
from moireloop_broker.state_changes import status_without_time

UNLEASED_IDLE_S: Final = 10.0

LONGEST_GAP_S: Final = 5.0
"""Between two looks at the leases: after more than that whoever looks was stopped itself, and starts over."""


@dataclass(frozen=True)
class Verdict:
    """Whether an attempt whose lease ran out is charged, and why it is thought to have; empty for the usual words."""

    charged: bool
    reason: str


Judge = Callable[[str, float], Verdict | None]
"""Judges the worker of a lease that ran out, and when; None where that cannot be said yet."""


def _its_own_fault(_worker: str, _expired_s: float) -> Verdict:
    return Verdict(True, "")


class LeaseWatch:
    """Who looks after workers: knows what they hold, and ends the attempts of those that are gone.

    One instance is used by one thread at a time.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        *,
        lease_s: float = 30.0,
        limits: AttemptLimits | None = None,
        judge: Judge = _its_own_fault,
    ) -> None:
        self._client = client
        self._judge = judge
        self._keys = keys
        self._scripts = QueueScripts(client, keys)
        self._ends = AttemptEnds(client, keys, limits)
        self._lease_s = lease_s
        self._looked_at_s = time.monotonic()
        self._expired_at_s: dict[tuple[bytes, float], float] = {}

    def worker_status(self, worker: str) -> WorkerStatus | None:
        """What a worker last said of itself; None where it has said nothing."""
        packed = cast("bytes | None", self._client.hget(self._keys.workers, worker))
        return unpack_as(WorkerStatus, packed) if packed is not None else None

    def report_worker(self, status: WorkerStatus) -> None:
        """Say of a worker, for `status`, what it cannot say itself: it waits to be started."""
        self._scripts.report(status.worker, status_without_time(status))

    def note_hand_back(self, took_s: float) -> None:
        """Workers took so long to give back what they held when they were asked to end; the longest time is kept."""
        if took_s > self.longest_hand_back_s():
            self._client.hset(self._keys.counters, LONGEST_HAND_BACK_MS, round(took_s * 1000))

    def longest_hand_back_s(self) -> float:
        """How long workers of this campaign took to give back, at most; 0 where they never had to."""
        return int(cast("bytes | None", self._client.hget(self._keys.counters, LONGEST_HAND_BACK_MS)) or 0) / 1000

    def release_worker(self, worker: str, reason: str, *, charged: bool) -> list[str]:
        """End the attempts of a worker that is gone; returns the candidates that it held."""
        self._give_back_unleased(worker, min_idle_s=0)
        candidates = [c for c in self._leased() if self._field(c, "worker") == worker]
        return [c for c in candidates if self._end(c, reason, charged=charged)]

    def holders(self) -> set[str]:
        """The workers that hold candidates now."""
        return {self._field(c, "worker") for c in self._leased()} - {""}

    def forget_worker(self, worker: str) -> None:
        """Remove a worker from `status`: it is gone for good."""
        self._client.hdel(self._keys.workers, worker)
        self._client.hdel(self._keys.takes, worker)

    def release_all(self, reason: str) -> list[str]:
        """End all attempts without charging them, when no worker of the campaign can be alive (on resume)."""
        self._give_back_unleased(None, min_idle_s=0)
        return [c for c in self._leased() if self._end(c, reason, charged=False)]

    def expire_leases(self, grace_s: float = 0.0) -> list[str]:
        """End the attempts whose lease was not renewed in time, and give back entries without a lease.

        A lease must have been seen expired, unchanged, for `grace_s` of this process's own clock. After a jump of
        the server's clock, or when Redis, this process or the whole machine was paused, all leases look expired
        at once, and the workers renew them as soon as they can.
        """
        self._give_back_unleased(None, min_idle_s=UNLEASED_IDLE_S)
        reason = f"lease expired: its worker was silent for {self._lease_s:g} s"
        ended = []
        for candidate_id, expired_s in self._overdue(grace_s):
            verdict = self._judge(self._field(candidate_id, "worker"), expired_s)
            if verdict is not None and self._end(
                candidate_id, verdict.reason or reason, charged=verdict.charged, only_expired=True
            ):
                ended.append(candidate_id)
        return ended

    def _overdue(self, grace_s: float) -> list[tuple[str, float]]:
        """Candidates whose lease ran out, and when, in seconds since the epoch by the server's clock."""
        server_s, server_us = self._client.time()
        now_ms = server_s * 1000 + server_us // 1000
        self._shorten_leases(now_ms)
        expired: Any = self._client.zrangebyscore(self._keys.leases, "-inf", now_ms, withscores=True)
        now_s = time.monotonic()
        if now_s - self._looked_at_s > LONGEST_GAP_S:
            self._expired_at_s = {}
        self._looked_at_s = now_s
        self._expired_at_s = {lease: self._expired_at_s.get(lease, now_s) for lease in map(tuple, expired)}
        seen = self._expired_at_s.items()
        return [(lease[0].decode(), lease[1] / 1000) for lease, since_s in seen if now_s - since_s >= grace_s]

    def _shorten_leases(self, now_ms: int) -> None:
        """Leases of before the server's clock was set back would last for hours; their workers renew them meanwhile."""
        latest_ms = now_ms + round(self._lease_s * 1000)
        too_long: Any = self._client.zrangebyscore(self._keys.leases, latest_ms + LONGEST_GAP_S * 1000, "+inf")
        if too_long:
            self._client.zadd(self._keys.leases, dict.fromkeys(too_long, latest_ms), xx=True)

    def _leased(self) -> list[str]:
        return [c.decode() for c in cast("list[bytes]", self._client.zrange(self._keys.leases, 0, -1))]

    def _field(self, candidate_id: str, field: str) -> str:
        value = cast("bytes | None", self._client.hget(self._keys.candidate(candidate_id), field))
        return (value or b"").decode()

    def _end(self, candidate_id: str, reason: str, *, charged: bool, only_expired: bool = False) -> bool:
        """End the present attempt of a candidate; whether it still counted."""
        attempt, worker = int(self._field(candidate_id, "attempt")), self._field(candidate_id, "worker")
        outcome = self._ends.end(candidate_id, attempt, worker, reason, 1 if charged else 0, only_expired=only_expired)
        return outcome != "stale"

    def _give_back_unleased(self, worker: str | None, *, min_idle_s: float) -> None:
        for queue in self._keys.queues:
            self._give_back_of(queue, worker, min_idle_s)

    def _give_back_of(self, queue: str, worker: str | None, min_idle_s: float) -> None:
        pending = self._client.xpending_range(
            queue, WORKERS_GROUP, "-", "+", 1000, worker, idle=round(min_idle_s * 1000) or None
        )
        for row in cast("list[dict[str, Any]]", pending):
            entry = row["message_id"].decode()
            stored = cast("Any", self._client.xrange(queue, entry, entry))
            if not stored:
                self._client.xack(queue, WORKERS_GROUP, entry)
                continue
            fields = stored[0][1]
            candidate_id = fields[b"id"].decode()
            self._scripts.give_back(candidate_id, attempt=int(fields[b"attempt"]), queue=queue, entry=entry)
