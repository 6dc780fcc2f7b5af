"""Connections of campaigns that tests make without a conductor."""

from __future__ import annotations

from pathlib import Path

from moireloop_broker.connection import Connection
from moireloop_broker.streams.curve import Curve


def connection_of(campaign: str, folder: Path, redis_url: str, **fields: object) -> Connection:
    """A connection with new keys, its local sockets in `folder`; nothing listens on its endpoints unless given."""
    usual: dict[str, object] = {
        "private_redis": False,
        "host": "127.0.0.1",
        "events": "tcp://127.0.0.1:1",
        "control": "tcp://127.0.0.1:1",
        "frame_transport": "ipc",
        "socket_folder": str(folder),
        "curve": Curve.generate(),
    }
    return Connection.model_validate(
        {"campaign": campaign, "folder": str(folder), "redis_url": redis_url, **usual, **fields}
    )
