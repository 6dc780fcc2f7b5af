"""The session of a campaign as somebody sees it who was not started by it: found, reached, followed (adapter)."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

import redis

from moireloop_broker.connection import Connection, NoConnectionFile, read_connection
from moireloop_broker.identity import read_identity
from moireloop_broker.state.redis_client import open_impatient

ANSWER_S: Final = 3.0

ENDED: Final = ("completed", "stopped")

News = Literal["goes on", "ended", "another session", "away"]


class NoSession(RuntimeError):
    """No session of the campaign can be joined here and now; the text says why."""


class SessionStarting(NoSession):
    """The session has begun and is not ready yet."""


class SessionEnded(NoSession):
    """The campaign is completed or stopped."""


@dataclass(frozen=True)
class Reached:
    """A session that was reached: its connection, the mark of the session, the campaign's state."""

    connection: Connection
    mark: str
    state: str


def reach(connection_file: Path) -> Reached:
    """The session that a connection file leads to.

    Raises:
        NoConnectionFile: no usable connection file.
        SessionEnded: the campaign is completed or stopped.
        SessionStarting: it is not ready yet.
        NoSession: its Redis server cannot be reached, or the file is of another session than the last.
    """
    connection = read_connection(connection_file)
    ended = ended_by_itself(Path(connection.folder))
    try:
        with contextlib.closing(open_impatient(connection.redis_url, ANSWER_S)) as client:
            state, stored, session, may_begin = _asked(client, connection)
    except redis.AuthenticationError as error:
        raise NoSession(f"{_server(connection)} refuses the keys of {connection_file}: {error}") from error
    except (redis.RedisError, OSError) as error:
        if ended:
            raise SessionEnded(f"the campaign {connection.campaign} is {ended}") from error
        raise NoSession(
            f"{_server(connection)}, which {connection_file} names, does not answer: {error}; does the campaign run, "
            f"and can this host reach it?"
        ) from error
    _refuse_other(connection, connection_file, state, stored)
    if state in ENDED:
        raise SessionEnded(f"the campaign {connection.campaign} is {state}")
    mark = stored.get(b"session", b"").decode()
    if session and mark != session:
        raise SessionStarting(f"the session of {connection.campaign} is only starting")
    if not may_begin:
        raise SessionStarting(f"the session of {connection.campaign} waits for its first analyzer")
    return Reached(connection, mark, state)


def ended_by_itself(folder: Path) -> str:
    """How the last session came to its end by itself, by the campaign's folder; empty where it did not."""
    identity = read_identity(folder)
    return "" if identity is None else identity.ended


class Follower:
    """Looks now and then whether a session still is the campaign's, without waiting long for it."""

    def __init__(self, reached: Reached, connection_file: Path, client: redis.Redis) -> None:
        self._reached = reached
        self._file = connection_file
        self._client = client
        self._heard_s = time.monotonic()

    @property
    def silent_s(self) -> float:
        """For how many seconds nothing was heard of the session."""
        return time.monotonic() - self._heard_s

    def look(self) -> News:
        """What has become of the session."""
        connection = self._reached.connection
        try:
            state, stored, *_ = _asked(self._client, connection)
        except (redis.RedisError, OSError):
            return self._without_redis()
        if stored.get(b"session", b"").decode() != self._reached.mark:
            return "another session"
        self._heard_s = time.monotonic()
        return "ended" if state in ENDED else "goes on"

    def _without_redis(self) -> News:
        """By the campaign's folder, which may be elsewhere: then nothing is known but that Redis is away."""
        if ended_by_itself(Path(self._reached.connection.folder)):
            return "ended"
        with contextlib.suppress(NoConnectionFile):
            if read_connection(self._file) != self._reached.connection:
                return "another session"
        return "away"


def _asked(client: redis.Redis, connection: Connection) -> tuple[str, dict[bytes, bytes], str, bool]:
    """State, identity, the session whose settings are in Redis, and whether workers may begin: its pool is a service.

    Raises redis.RedisError.
    """
    keys = connection.keys
    pipeline = client.pipeline(transaction=True)
    pipeline.get(keys.state)
    pipeline.hgetall(keys.identity)
    pipeline.hget(keys.settings, "session")
    pipeline.hexists(keys.services, "pool")
    state, stored, section, may_begin = cast("tuple[Any, Any, Any, Any]", tuple(pipeline.execute()))
    session = json.loads(section).get("mark", "") if section else ""
    return (state or b"").decode(), stored, session, bool(may_begin)


def _refuse_other(connection: Connection, connection_file: Path, state: str, stored: dict[bytes, bytes]) -> None:
    """Nothing when what Redis holds is the campaign of the connection file's folder, and its last session."""
    if not state:
        raise NoSession(f"{_server(connection)} holds no campaign {connection.campaign!r} that has begun")
    here = read_identity(Path(connection.folder))
    if here is None or not stored:
        return
    where = f"{os.fsdecode(stored.get(b'folder', b''))} on {stored.get(b'host', b'').decode(errors='replace')}"
    if stored.get(b"id", b"").decode() != here.id:
        raise NoSession(f"{_server(connection)} holds another campaign {connection.campaign!r}, that of {where}")
    if stored.get(b"session", b"").decode() != here.session:
        raise NoSession(f"{connection_file} is not of the last session of the campaign, which is that of {where}")


def _server(connection: Connection) -> str:
    url = urlsplit(connection.redis_url)
    place = url.path if url.scheme == "unix" else f"{url.hostname}:{url.port or 6379}"
    return f"the Redis server at {place}"
