"""The campaign as a whole: its state, its services, its counters (adapter)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Literal, cast

import redis

from moireloop_broker.contract.codec import WORKERS_REMEMBERED, pack, pack_status, unpack_as
from moireloop_broker.contract.control import CONNECTIONS, MOST_CONNECTIONS, PoolStatus, Status, WorkerStatus
from moireloop_broker.contract.events import CampaignChanged, ServiceChanged
from moireloop_broker.contract.message import START
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.campaign import CampaignScripts
from moireloop_broker.state.work_queue.queues import is_draining

State = Literal["started", "resumed", "draining", "stopped", "completed"]

PresentState = Literal["started", "resumed", "paused", "draining", "stopped", "completed"]

RUNNING: Final = ("started", "resumed", "paused")
"""States of a campaign that is running."""

ServiceState = Literal["started", "stopped", "crashed"]

OF_THE_SERVER: Final = {
    "used_memory": "redis_memory_bytes",
    "connected_clients": CONNECTIONS,
    "maxclients": MOST_CONNECTIONS,
}
"""Counters of a status that the server itself knows, by their names there."""

WAITED_FOR: Final = "waiting"
"""State, only in `status`, of a service that starts by itself and has not been heard of."""


def frame_endpoints(client: redis.Redis, keys: Keys) -> frozenset[str]:
    """Where the analyzers alive receive frames, as they announced it."""
    return frozenset(endpoint.decode() for endpoint in cast("list[bytes]", client.hvals(keys.endpoints)))


class CampaignState:
    """Reads and changes what concerns no single candidate."""

    def __init__(self, client: redis.Redis, keys: Keys, campaign: str) -> None:
        self._client = client
        self._keys = keys
        self.name = campaign
        self._scripts = CampaignScripts(client, keys)
        self._log = EventLog(client, keys)

    @property
    def state(self) -> PresentState | None:
        """The campaign's state; None before its first start."""
        stored = cast("bytes | None", self._client.get(self._keys.state))
        return cast("PresentState", stored.decode()) if stored else None

    def change(self, state: State, reason: str | None = None) -> bool:
        """Enter a state and log it; False when the campaign is in it already."""
        event = CampaignChanged(state=state, reason=reason, at_s=time.time())
        return self._scripts.set_state(state, event=pack(event))

    def draining(self) -> bool:
        """Whether no more candidates are leased: the campaign is paused, drains, stopped or is complete."""
        return is_draining(self._client, self._keys)

    def counts(self) -> dict[str, int]:
        """How many candidates are queued, running, analysing, and settled with each outcome."""
        return _counts(cast("dict[bytes, bytes]", self._client.hgetall(self._keys.counts)))

    def service_changed(self, service: str, state: ServiceState, reason: str | None = None) -> None:
        """Log that a service started, stopped or crashed."""
        self._client.hset(self._keys.services, service, state)
        self._log.append(ServiceChanged(service=service, state=state, reason=reason, at_s=time.time()))

    def services_wait(self, before: Sequence[str], now: Sequence[str]) -> None:
        """Set in `status` which services are waited for, instead of any earlier ones."""
        if before:
            self._client.hdel(self._keys.services, *before)
        if now:
            self._client.hset(self._keys.services, mapping=dict.fromkeys(now, WAITED_FOR))

    def count(self, amounts: Mapping[str, int]) -> None:
        """Add to counters such as `frames_dropped`; zeros are left out."""
        pipeline = self._client.pipeline(transaction=False)
        for name, amount in amounts.items():
            if amount:
                pipeline.hincrby(self._keys.counters, name, amount)
        pipeline.execute()

    def status(self, *, with_server: bool = False) -> Status:
        """The whole state in one message, read in one round trip.

        Args:
            with_server: have memory and connections of the Redis server among the counters, where these may be asked.
        """
        status, workers = self._read_status(with_server)
        return status.model_copy(update={"workers": sorted(map(_worker_status, workers), key=lambda w: w.worker)})

    def packed_status(self) -> bytes:
        """`status` with the server's figures, packed; what workers said before is not packed again."""
        status, workers = self._read_status(with_server=True)
        return pack_status(status, [packed for _, packed in sorted(map(_packed_worker, workers), key=itemgetter(0))])

    def _read_status(self, with_server: bool) -> tuple[Status, list[bytes]]:
        """The status without workers, and what is stored of each worker."""
        (state, counts, counters, workers, services, pools, newest), server = self._read_at_once(with_server)
        counted = {name.decode(): int(value) for name, value in sorted(counters.items())} | server
        status = Status(
            campaign=self.name,
            state=state.decode() if state else "stopped",
            counts=_counts(counts),
            counters=counted,
            workers=[],
            services={name.decode(): state.decode() for name, state in sorted(services.items())},
            pools=sorted((unpack_as(PoolStatus, packed) for packed in pools), key=lambda p: p.pool),
            last_id=newest[0][0].decode() if newest else START,
        )
        return status, workers

    def _read_at_once(self, with_server: bool) -> tuple[list[Any], dict[str, int]]:
        """The parts of a status, and the server's figures where these may be read. Raises RedisError."""
        keys = self._keys
        pipeline = self._client.pipeline(transaction=False)
        pipeline.get(keys.state)
        for stored in (keys.counts, keys.counters):
            pipeline.hgetall(stored)
        pipeline.hvals(keys.workers)
        pipeline.hgetall(keys.services)
        pipeline.hvals(keys.pools)
        pipeline.xrevrange(keys.log, count=1)
        for section in ("memory", "clients") if with_server else ():
            pipeline.info(section)
        read = pipeline.execute(raise_on_error=False)
        infos = [read.pop() for _ in range(2)] if with_server else []
        for answer in read:
            if isinstance(answer, Exception):
                raise answer
        known = {name: value for answer in infos if isinstance(answer, dict) for name, value in answer.items()}
        return read, {counter: int(known[name]) for name, counter in OF_THE_SERVER.items() if name in known}


@lru_cache(WORKERS_REMEMBERED)
def _worker_status(packed: bytes) -> WorkerStatus:
    """What a worker said; most of very many workers have said nothing new since the last look."""
    return unpack_as(WorkerStatus, packed)


@lru_cache(WORKERS_REMEMBERED)
def _packed_worker(stored: bytes) -> tuple[str, bytes]:
    """The name of a worker, and its packed status as it stands in a reply."""
    status = unpack_as(WorkerStatus, stored)
    return status.worker, pack(status)


def _counts(stored: Mapping[bytes, bytes]) -> dict[str, int]:
    names = ("queued", "running", "analysing", "measured", "refused", "failed", "cancelled")
    return {name: int(stored.get(name.encode(), 0)) for name in names}
