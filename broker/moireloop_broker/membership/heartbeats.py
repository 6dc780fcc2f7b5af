"""Signs of life of services in Redis: each says now and then that it works, by the server's clock (adapter)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import redis

from moireloop_broker.connection import NoConnectionFile, read_connection
from moireloop_broker.membership.pools import server_s
from moireloop_broker.processes.exits import CannotServe
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import open_impatient

log = logging.getLogger(__name__)

BEAT_S: Final = 1.0

SILENT_S: Final = 15.0
"""A service that has said nothing for so long does not work: its steps are short."""

ANSWER_S: Final = 1.0

WATCHED_S: Final = 3.0
"""How long a service is watched that may have been killed."""

CONDUCTOR: Final = "conductor"


@dataclass(frozen=True)
class Beat:
    """What a service last said: when, in seconds since the epoch by the server's clock, and where it is."""

    seen_s: float
    host: str = ""
    pid: int = 0


def beats_of(client: redis.Redis, keys: Keys) -> dict[str, Beat]:
    """The last sign of life of each service. Raises redis.RedisError."""
    stored = cast("dict[bytes, bytes]", client.hgetall(keys.heartbeats))
    return {name.decode(): Beat(**json.loads(text)) for name, text in stored.items()}


def alive(client: redis.Redis, keys: Keys) -> dict[str, Beat]:
    """The services that work now. Raises redis.RedisError."""
    now_s = server_s(client)
    return {name: beat for name, beat in beats_of(client, keys).items() if now_s - beat.seen_s <= SILENT_S}


def say_alive(client: redis.Redis, keys: Keys, service: str) -> None:
    """One sign of life. Raises redis.RedisError."""
    beat = {"seen_s": server_s(client), "host": socket.gethostname(), "pid": os.getpid()}
    client.hset(keys.heartbeats, service, json.dumps(beat))


class ServiceRuns(CannotServe):
    """A service of this name works elsewhere; the text says where."""


def refuse_if_alive(client: redis.Redis, keys: Keys, service: str) -> None:
    """Nothing when no service of this name works. One that was killed a moment ago is seen to be silent.

    Raises:
        ServiceRuns: one does.
        redis.RedisError: Redis does not respond.
    """
    first = alive(client, keys).get(service)
    deadline_s = time.monotonic() + WATCHED_S
    while first is not None and time.monotonic() < deadline_s:
        now = beats_of(client, keys).get(service)
        if now is not None and now.seen_s > first.seen_s:
            raise ServiceRuns(
                f"expected a service that is not running yet, got {service!r}, which runs on {now.host} as process "
                f"{now.pid}; stop that one first, or give this one another --name"
            )
        if now is None:
            return
        time.sleep(0.1)


class Heartbeat:
    """Called after each step of a service: says every BEAT_S that it works. A Redis that is away costs little time."""

    def __init__(self, connection_file: Path, service: str) -> None:
        self._file = connection_file
        self._service = service
        self._client: redis.Redis | None = None
        self._keys = Keys("")
        self._at_s = float("-inf")

    def __call__(self) -> None:
        """Say it, where it is time."""
        if time.monotonic() - self._at_s < BEAT_S:
            return
        self._at_s = time.monotonic()
        with contextlib.suppress(redis.RedisError, OSError, NoConnectionFile):
            say_alive(self._opened(), self._keys, self._service)

    def close(self) -> None:
        """The service ended on request: its heartbeats are no longer expected."""
        if self._client is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                self._client.hdel(self._keys.heartbeats, self._service)
            self._client.close()

    def _opened(self) -> redis.Redis:
        if self._client is None:
            connection = read_connection(self._file)
            self._client, self._keys = open_impatient(connection.redis_url, ANSWER_S), connection.keys
        return self._client
