"""Starts the private Redis server that a connection file describes (adapter)."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlsplit

from moireloop_broker.connection import Connection
from moireloop_broker.service.redis_server import RedisServer, Users
from moireloop_broker.service.server_programs import RedisUnavailable
from moireloop_broker.state.redis_client import answers

log = logging.getLogger(__name__)


def start_redis(connection: Connection) -> RedisServer | None:
    """The campaign's private Redis server, started; None when the campaign joins somebody else's.

    Raises:
        RedisUnavailable: it does not start.
    """
    url = urlsplit(connection.redis_url)
    if not connection.private_redis:
        if not answers(connection.redis_url):
            log.warning("redis does not answer yet host=%s", url.hostname)
        return None
    if url.hostname is None or url.port is None or url.password is None:
        raise RedisUnavailable("expected host, port and password in the URL of the private Redis server")
    users = Users(connection.campaign, connection.redis_users) if connection.redis_users else None
    folder = Path(connection.folder) / "redis"
    server = RedisServer(folder, url.hostname, url.port, url.password, users, connection.redis_url)
    server.start()
    return server
