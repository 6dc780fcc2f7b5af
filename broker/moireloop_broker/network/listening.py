"""Whether anybody listens at a URL (adapter)."""

from __future__ import annotations

import socket
from urllib.parse import unquote, urlsplit

from moireloop_broker.network.ports import host_and_port

USUAL_PORT = 6379
"""Of a Redis URL that names none."""


def is_listened_at(redis_url: str, within_s: float) -> bool:
    """Whether a socket can be connected to where a Redis URL leads. Nothing is sent.

    Args:
        redis_url: redis://, rediss:// or unix://.
        within_s: how long to wait for the connection, in seconds.
    """
    try:
        _connected(redis_url, within_s).close()
    except (OSError, ValueError):
        return False
    return True


def _connected(redis_url: str, within_s: float) -> socket.socket:
    if redis_url.startswith("unix:"):
        unix = socket.socket(socket.AF_UNIX)
        unix.settimeout(within_s)
        try:
            unix.connect(unquote(urlsplit(redis_url).path))
        except OSError:
            unix.close()
            raise
        return unix
    host, port = host_and_port(redis_url)
    return socket.create_connection((host or "localhost", port or USUAL_PORT), within_s)
