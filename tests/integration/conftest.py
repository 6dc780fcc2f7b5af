"""A real Redis server for all integration tests, with a password, in its own folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moireloop_broker.connection import free_port, new_password
from moireloop_broker.service.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server of the session; tests keep apart by the names of their campaigns."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), "127.0.0.1", free_port("127.0.0.1"), new_password())
    server.start()
    yield server
    server.stop()
