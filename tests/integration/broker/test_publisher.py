"""What is published is bounded in bytes, whoever does not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from moireloop_broker.connection import Connection, free_port
from moireloop_broker.service import endpoints
from moireloop_broker.service.endpoints import Publisher
from moireloop_broker.streams.curve import Gatekeeper
from tests.helpers.connections import connection_of
from tests.helpers.waiting import wait_until

LIMIT = 8 * 1024 * 1024

BODY = bytes(512 * 1024)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A context without lingering sockets."""
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


def subscriber(context: zmq.Context[zmq.Socket[bytes]], connection: Connection) -> zmq.Socket[bytes]:
    """A subscriber to everything that takes little without being read."""
    socket = context.socket(zmq.SUB)
    socket.rcvhwm = 1
    socket.setsockopt(zmq.RCVBUF, 4096)
    connection.curve.secure_client(socket)
    socket.subscribe("")
    socket.connect(connection.events)
    return socket


def heard(publisher: Publisher, socket: zmq.Socket[bytes]) -> bool:
    """Whether a small message comes through."""
    publisher.send(b"topic", b"stamp", b"small")
    return bool(socket.poll(100))


def test_subscriber_that_never_reads_costs_bounded_memory(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is let go of when too many bytes wait for it; one that reads comes back by itself."""
    monkeypatch.setattr(endpoints, "PUBLISHED_BYTES", LIMIT)
    monkeypatch.setattr(endpoints, "LOOK_AGAIN_S", 0.0)
    events = f"tcp://127.0.0.1:{free_port('127.0.0.1')}"
    connection = connection_of("test", tmp_path, "redis://127.0.0.1:1/0", events=events, control=events)
    keeper = Gatekeeper(context, connection.curve)
    publisher = Publisher(context, connection)
    reader, deaf = subscriber(context, connection), subscriber(context, connection)
    wait_until(lambda: heard(publisher, reader) and bool(deaf.poll(0)), "both are subscribed")
    for _ in range(3 * LIMIT // len(BODY)):
        publisher.send(b"topic", b"stamp", BODY)
        while reader.poll(20):
            reader.recv_multipart()
        if publisher.take_resets():
            break
    else:
        pytest.fail(f"{3 * LIMIT} bytes wait and nobody was let go of")
    wait_until(lambda: heard(publisher, reader), "the reader is back")
    for socket in (reader, deaf):
        socket.close(linger=0)
    publisher.close(0.0)
    keeper.close()
