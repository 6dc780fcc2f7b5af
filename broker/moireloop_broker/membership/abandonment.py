"""An abandoned worker ends itself: its pool is silent, or Redis away, for too long (adapter).

Under a scheduler a worker outlives the pool that asked for it; it would hold its cores for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from typing import Final, cast

import redis

from moireloop_broker.connection import Connection
from moireloop_broker.contract.codec import unpack_as
from moireloop_broker.contract.control import PoolStatus
from moireloop_broker.contract.pool_names import pool_of
from moireloop_broker.membership.pools import server_s
from moireloop_broker.state.redis_client import open_impatient

log = logging.getLogger(__name__)

LEASES: Final = 10
"""A worker that was silent for this many leases has lost its candidate long ago."""

SHORTEST_S: Final = 5.0

ANSWER_S: Final = 2.0

RESTART_S: Final = 60.0
"""How long a worker that was asked to end has for its restart file."""


def abandoned_after_s(lease_s: float) -> float:
    """Seconds after which a worker that is cut off from Redis, or whose pool is silent, has ended."""
    return max(SHORTEST_S, LEASES * lease_s) + RESTART_S


class Abandonment:
    """Watches the pool and Redis in a separate thread, from its creation to `close`.

    It asks the process to end as the pool would (SIGTERM): the run stops, its restart file is written, and the
    candidate is given back where Redis is there. After RESTART_S it kills the process.
    """

    def __init__(self, connection: Connection, worker: str, lease_s: float) -> None:
        self._connection = connection
        self._pool = pool_of(worker)
        self._limit_s = max(SHORTEST_S, LEASES * lease_s)
        self._period_s = min(10.0, max(0.5, lease_s / 3))
        self._redis_heard_s = time.monotonic()
        self._pool_heard_s: float | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="abandonment", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        self._thread.join(timeout=ANSWER_S)

    def _watch(self) -> None:
        client = open_impatient(self._connection.redis_url, ANSWER_S)
        with contextlib.closing(client):
            while not self._closing.wait(self._period_s):
                with contextlib.suppress(redis.RedisError, OSError, ValueError):
                    self._look(client)
                if (why := self._why_abandoned(time.monotonic())) is not None:
                    self._end(why)
                    return

    def _look(self, client: redis.Redis) -> None:
        """Note that Redis responds and that the pool sends heartbeats. A pool that never sent one is ignored."""
        packed = cast("bytes | None", client.hget(self._connection.keys.pools, self._pool))
        now_s = time.monotonic()
        self._redis_heard_s = now_s
        if packed is None:
            return
        is_fresh = server_s(client) - unpack_as(PoolStatus, packed).seen_s <= self._limit_s / 2
        if is_fresh or self._pool_heard_s is None:
            self._pool_heard_s = now_s

    def _why_abandoned(self, now_s: float) -> str | None:
        if now_s - self._redis_heard_s > self._limit_s:
            return f"Redis has not responded for {now_s - self._redis_heard_s:.0f} s"
        if self._pool_heard_s is not None and now_s - self._pool_heard_s > self._limit_s / 2:
            return f"pool {self._pool} has been silent for {self._limit_s:.0f} s"
        return None

    def _end(self, why: str) -> None:
        log.critical("no pool looks after this worker any more, ending it reason=%s", why)
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._closing.wait(RESTART_S):
            os.kill(os.getpid(), signal.SIGKILL)  # the launcher ends the other ranks
