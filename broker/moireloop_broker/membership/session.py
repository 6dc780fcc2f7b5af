"""A campaign's session as seen by a process that it did not start: found, reached, followed (adapter)."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

import redis

from moireloop_broker.connection import Connection, NoConnectionFile, read_connection
from moireloop_broker.identity import read_identity
from moireloop_broker.membership.heartbeats import CONDUCTOR, SILENT_S, beats_of
from moireloop_broker.membership.pools import server_s
from moireloop_broker.state.redis_client import open_impatient
from moireloop_broker.state.settings_store import read_settings_file

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


def reach_to_work(connection_file: Path) -> Reached:
    """The session that a connection file leads to, once its workers may begin. Raises what `reach` raises."""
    return reach(connection_file, for_workers=True)


def reach(connection_file: Path, *, for_workers: bool = False) -> Reached:
    """The session that a connection file leads to.

    Args:
        connection_file: beside the other files of the campaign's folder, or by itself.
        for_workers: whether its workers must be allowed to begin.

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
            state, stored, may_begin = _stored_state(client, connection)
    except redis.AuthenticationError as error:
        raise NoSession(f"{_server(connection)} refuses the keys of {connection_file}: {error}") from error
    except (redis.RedisError, OSError) as error:
        if ended:
            raise SessionEnded(f"the campaign {connection.campaign} is {ended}") from error
        raise NoSession(
            f"{_server(connection)}, which {connection_file} names, does not respond: {error}; is the campaign "
            f"running, and can this host reach it?"
        ) from error
    _refuse_other(connection, connection_file, state, stored)
    mark = stored.get(b"session", b"").decode()
    is_ready = not mark or stored.get(b"ready", b"").decode() == mark
    if state in ENDED and (is_ready or ended):
        raise SessionEnded(f"the campaign {connection.campaign} is {state}")
    if not is_ready:
        raise SessionStarting(f"the session of {connection.campaign} is still starting")
    if for_workers and not may_begin:
        raise SessionStarting(f"the session of {connection.campaign} is waiting for its first analyzer")
    return Reached(connection, mark, state)


def begun(connection_file: Path) -> Reached:
    """The session in a campaign's folder, for the service that starts its Redis server.

    Raises:
        NoConnectionFile: no usable connection file.
        SessionEnded: the campaign is completed or stopped.
        SessionStarting: its files are not all there yet.
    """
    connection = read_connection(connection_file)
    folder = Path(connection.folder)
    identity = read_identity(folder)
    if identity is not None and identity.ended:
        raise SessionEnded(f"the campaign {connection.campaign} is {identity.ended}")
    try:
        session = read_settings_file(folder).get("session", {}).get("mark")
    except (OSError, ValueError):
        session = None
    if identity is None or session != identity.session or read_connection(connection_file) != connection:
        raise SessionStarting(f"the session of {connection.campaign} is still starting")
    return Reached(connection, identity.session, "started")


def ended_by_itself(folder: Path) -> str:
    """How the last session came to its end by itself, by the campaign's folder; empty where it did not."""
    identity = read_identity(folder)
    return "" if identity is None else identity.ended


class Follower:
    """Looks now and then whether a session still is the campaign's, without waiting long for it.

    `why_silent` says, after "away", whose words are missing.
    """

    def __init__(self, reached: Reached, connection_file: Path, client: redis.Redis) -> None:
        self._reached = reached
        self._file = connection_file
        self._client = client
        self._heard_s = time.monotonic()
        self.why_silent = ""

    @property
    def silent_s(self) -> float:
        """For how many seconds nothing was heard of the session."""
        return time.monotonic() - self._heard_s

    def look(self) -> News:
        """What has become of the session."""
        connection = self._reached.connection
        try:
            state, stored, *_ = _stored_state(self._client, connection)
            conductor = beats_of(self._client, connection.keys).get(CONDUCTOR)
            silent = conductor is not None and server_s(self._client) - conductor.seen_s > SILENT_S
        except (redis.RedisError, OSError):
            self.why_silent = f"{_server(connection)} does not respond"
            return self._without_redis()
        mark = self._reached.mark
        if stored.get(b"session", b"").decode() != mark:
            return "another session"
        # Before it is ready, the state is that at which the session before it ended.
        has_ended = state in ENDED and (not mark or stored.get(b"ready", b"").decode() == mark)
        if silent and state not in ENDED:
            self.why_silent = "its conductor is silent"
            return "away"
        self._heard_s = time.monotonic()
        return "ended" if has_ended else "goes on"

    def _without_redis(self) -> News:
        """By the campaign's folder, which may be elsewhere: then nothing is known but that Redis is away."""
        if ended_by_itself(Path(self._reached.connection.folder)):
            return "ended"
        with contextlib.suppress(NoConnectionFile):
            if read_connection(self._file) != self._reached.connection:
                return "another session"
        return "away"


def _stored_state(client: redis.Redis, connection: Connection) -> tuple[str, dict[bytes, bytes], bool]:
    """State, identity, and whether workers may begin: the session's pool is among the services.

    Raises redis.RedisError.
    """
    keys = connection.keys
    pipeline = client.pipeline(transaction=True)
    pipeline.get(keys.state)
    pipeline.hgetall(keys.identity)
    pipeline.hexists(keys.services, "pool")
    state, stored, may_begin = cast("tuple[Any, Any, Any]", tuple(pipeline.execute()))
    return (state or b"").decode(), stored, bool(may_begin)


def _refuse_other(connection: Connection, connection_file: Path, state: str, stored: dict[bytes, bytes]) -> None:
    """Nothing when what Redis holds is the campaign of the connection file's folder, and its last session."""
    if not state:
        raise NoSession(f"{_server(connection)} holds no campaign {connection.campaign!r} that has started")
    here = read_identity(Path(connection.folder))
    if here is None or not stored:
        return
    where = f"{os.fsdecode(stored.get(b'folder', b''))} on {stored.get(b'host', b'').decode(errors='replace')}"
    if stored.get(b"id", b"").decode() != here.id:
        raise NoSession(f"{_server(connection)} holds another campaign {connection.campaign!r}, from {where}")
    if stored.get(b"session", b"").decode() != here.session:
        raise NoSession(f"{connection_file} is not from the campaign's last session, which ran in {where}")


def _server(connection: Connection) -> str:
    url = urlsplit(connection.redis_url)
    place = url.path if url.scheme == "unix" else f"{url.hostname}:{url.port or 6379}"
    return f"the Redis server at {place}"
