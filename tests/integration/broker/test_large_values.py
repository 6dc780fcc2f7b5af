"""Large values on their way to a Redis server of another host."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state import redis_client
from moireloop_broker.state.redis_client import open_impatient

PATIENCE_S = 0.5


@pytest.fixture
def slow(redis_server: RedisServer) -> Iterator[int]:
    """A port that leads to the server, through which 2 MB a second go towards it."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)

    def carry(source: socket.socket, target: socket.socket, pause_s: float) -> None:
        try:
            while data := source.recv(20_000):
                target.sendall(data)
                time.sleep(pause_s)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                client = listening.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", redis_server.port))
            threading.Thread(target=carry, args=(client, server, 0.01), daemon=True).start()
            threading.Thread(target=carry, args=(server, client, 0.0), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield int(listening.getsockname()[1])
    listening.close()


def test_value_that_takes_longer_than_the_patience_arrives(
    slow: int, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patience of a connection is for each part of it: a large final frame gets through a slow network."""
    monkeypatch.setattr(redis_client, "is_loopback", lambda host: False)
    url = redis_server.url.replace(f":{redis_server.port}/", f":{slow}/")
    value = bytes(4_000_000)
    with open_impatient(url, PATIENCE_S) as client:
        began_s = time.monotonic()
        client.set("moireloop:slow:final", value)
        assert time.monotonic() - began_s > 2 * PATIENCE_S
        assert client.strlen("moireloop:slow:final") == len(value)
        client.delete("moireloop:slow:final")
