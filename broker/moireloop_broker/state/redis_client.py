"""Redis connections and their time-outs: for a service, for a reader, for a caller that cannot wait (adapter)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from moireloop_broker.network.links import CONNECT_MS, TCP_OPTIONS
from moireloop_broker.network.ports import host_and_port, is_loopback
from moireloop_broker.processes.exits import _end

RETRIES = 80

ENDING_S = 2.0

READ_S = 30.0

PING_S = 2.0

PART_BYTES = 128 * 1024
"""Of a value so much at once is sent to another host; each part may take READ_S, which 4.4 kB/s are enough for."""


Command: TypeAlias = "tuple[str | bytes | int | float, ...]"

LARGE_BYTES = 16 * 1024
"""What is larger is sent by itself."""


class Patience(ExponentialBackoff):
    """Waits between tries that grow up to half a second; none once the process is to end, except within ENDING_S."""

    def __init__(self) -> None:
        super().__init__(cap=0.5, base=0.01)

    def compute(self, failures: int) -> float:
        """Back-off in seconds after a number of failures. Raises redis.ConnectionError when time has run out."""
        if _end.asked_s is not None and time.monotonic() - _end.asked_s > ENDING_S:
            raise redis.ConnectionError("redis does not respond, and this process is stopping")
        return float(super().compute(failures))


def open_client(url: str, *, alone: bool = False) -> redis.Redis:
    """A connection that outlives a restart of the server: commands are tried again for about half a minute.

    Args:
        alone: keep a single connection, which is cheaper per command than looking for a free one each time; a thread
            waits until the command of another one is done.
    """
    return redis.Redis.from_url(
        url,
        single_connection_client=alone,
        retry=Retry(Patience(), RETRIES),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError],
        socket_timeout=READ_S,
        protocol=2,
        **_of_network(url, connect_s=5.0, keepalive=True),
    )


def open_reader(url: str) -> redis.Redis:
    """A connection for a look at the state: 30 s for each reply, and a few tries where the connection breaks."""
    return redis.Redis.from_url(url, socket_timeout=READ_S, protocol=2, **_of_network(url, connect_s=READ_S))


def open_impatient(url: str, timeout_s: float = 5.0, *, name: str | None = None) -> redis.Redis:
    """A connection for callers that cannot wait: a command fails if no reply comes within `timeout_s`.

    Args:
        name: by which others find the connection in the server's list.
    """
    return redis.Redis.from_url(
        url, socket_timeout=timeout_s, retry=None, protocol=2, client_name=name, **_of_network(url, connect_s=timeout_s)
    )


def _of_network(url: str, *, connect_s: float, keepalive: bool = False) -> dict[str, Any]:
    """Options of a connection over the network; one through a Unix socket takes none of them.

    Between hosts a connection is given up, and retried, soon after the network has failed.
    """
    if url.startswith("unix:"):
        return {}
    if is_loopback(host_and_port(url)[0]):
        return {"socket_connect_timeout": connect_s, **({"socket_keepalive": True} if keepalive else {})}
    return {
        "socket_connect_timeout": min(connect_s, CONNECT_MS / 1000),
        "socket_keepalive": True,
        "socket_keepalive_options": TCP_OPTIONS,
        "connection_class": _SecuredByParts if url.startswith("rediss:") else _ByParts,
    }


class _Sending:
    """Sends large values part by part: a connection's patience is for each of them, however slow the network is."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send what is packed: a list of bytes."""
        whole: Any = super()
        whole.send_packed_command(command if isinstance(command, str) else _parts_of(command), check_health)


class _ByParts(_Sending, redis.Connection):
    pass


class _SecuredByParts(_Sending, redis.SSLConnection):
    pass


def _parts_of(command: Iterable[bytes]) -> Iterator[memoryview]:
    for item in command:
        view = memoryview(item)
        yield from (view[at : at + PART_BYTES] for at in range(0, len(view), PART_BYTES))


def exchange(client: redis.Redis, commands: Sequence[Command]) -> list[object]:
    """Send commands and read their replies in one round trip, with the patience of the client.

    redis-py's own pipeline takes three times as long to pack as these are on their way.

    Returns:
        The replies, in order; the error of a refused command replaces its reply.
    """
    packed = [part for command in commands for part in _packed(command)]
    if client.connection is not None:
        with client.single_connection_lock:
            return _exchanged(client.connection, packed, len(commands))
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        return _exchanged(connection, packed, len(commands))
    finally:
        pool.release(connection)


def _exchanged(connection: Any, packed: Sequence[bytes], number: int) -> list[object]:
    def tried() -> list[object]:
        connection.send_packed_command(packed)
        return [_reply(connection) for _ in range(number)]

    found: list[object] = connection.retry.call_with_retry(tried, lambda _: connection.disconnect())
    return found


def _reply(connection: Any) -> object:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _packed(command: Command) -> list[bytes]:
    """A command as it is sent (redis.io/docs, RESP): in one piece, large values apart, so that they are not copied."""
    whole, pieces = [], [b"*%d\r\n" % len(command)]
    for value in command:
        data = value if isinstance(value, bytes) else str(value).encode()
        pieces.append(b"$%d\r\n" % len(data))
        if len(data) > LARGE_BYTES:
            whole += [b"".join(pieces), data]
            pieces = [b"\r\n"]
        else:
            pieces += (data, b"\r\n")
    return [*whole, b"".join(pieces)]


def responds(url: str) -> bool:
    """Whether a server with this URL and password responds to PING now."""
    return why_silent(url) is None


def why_silent(url: str) -> str | None:
    """Why no server with this URL and password responds to PING now; None when one does."""
    with contextlib.closing(open_impatient(url, PING_S)) as client:
        try:
            client.ping()
        except (redis.RedisError, OSError, TypeError, ValueError) as error:
            return str(error)
        return None


def server_s(client: redis.Redis) -> float:
    """The Redis server's time, in seconds since the epoch: all hosts compare theirs to it."""
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6
