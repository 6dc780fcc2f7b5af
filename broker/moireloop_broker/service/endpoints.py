"""The broker's sockets: bound, with CURVE, and what subscribers are owed bounded in messages and bytes (adapter)."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from moireloop_broker.connection import Connection
from moireloop_broker.network.addresses import bind_address
from moireloop_broker.network.links import watch_link
from moireloop_broker.network.ports import host_and_port

log = logging.getLogger(__name__)

REFUSED_HANDSHAKES: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

BIND_PATIENCE_S: Final = 10.0

PUBLISHED_QUEUE: Final = 100_000
"""Published messages that wait for one subscriber; newer ones are lost to it, and it replays them."""

PUBLISHED_BYTES: Final = 256 * 1024 * 1024
"""Bytes of published messages that wait for all subscribers together, which share one copy of each."""

TRACKED_BYTES: Final = 2048
"""Bodies from this size on are followed until all have them; PUBLISHED_QUEUE smaller ones take at most 200 MiB."""

LOOK_AGAIN_S: Final = 1.0

RETURN_S: Final = 0.3
"""Time for subscribers to come back: ZeroMQ tries again after 0.1 s."""


class Endpoint:
    """One bound CURVE socket and the watch over its handshakes."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        kind: int,
        endpoint: str,
        connection: Connection,
        options: dict[int, int],
    ) -> None:
        self.socket = context.socket(kind)
        self.socket.linger = 0
        for option, value in options.items():
            self.socket.setsockopt(option, value)
        watch_link(self.socket)
        connection.curve.secure_server(self.socket)
        self._monitor = self.socket.get_monitor_socket(REFUSED_HANDSHAKES)
        deadline = time.monotonic() + BIND_PATIENCE_S
        host, port = host_and_port(endpoint)
        while True:
            try:
                self.socket.bind(f"tcp://{bind_address(host)}:{port}")
                return
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def take_refused(self) -> int:
        """How many handshakes failed since the last call: no key, a wrong key, or not ZeroMQ at all."""
        refused = 0
        while self._monitor.poll(0):
            recv_monitor_message(self._monitor)
            refused += 1
        return refused

    def close(self, linger_s: float = 0.0) -> None:
        """Close the socket and its monitor; what was sent is delivered for so long when the context is ended."""
        self.socket.disable_monitor()
        self._monitor.close()
        self.socket.close(linger=round(linger_s * 1000))


class Publisher:
    """The PUB socket of the events, used by one thread, and reopened when subscribers must be dropped.

    ZeroMQ neither bounds what waits for a subscriber in bytes nor lets go of a single one. So when too many bytes wait,
    or a grant was revoked, the socket is reopened: what waited is gone, whoever is still let in comes back at once,
    sees the gap and replays.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], connection: Connection) -> None:
        self._context = context
        self._connection = connection
        self._lock = threading.Lock()
        self._endpoint = self._opened()
        self._refused = 0
        self._resets = 0
        self._asked = threading.Event()
        self._waiting: deque[tuple[zmq.MessageTracker, int]] = deque()
        self._waiting_bytes = 0
        self._looked_s = 0.0

    def send(self, topic: bytes, stamp: bytes, body: bytes) -> None:
        """Publish a message of three parts."""
        self._endpoint.socket.send_multipart([topic, stamp], zmq.SNDMORE)
        if len(body) < TRACKED_BYTES:
            self._endpoint.socket.send(body)
            return
        tracker = self._endpoint.socket.send(body, copy=False, track=True)
        self._waiting.append((tracker, len(body)))
        self._waiting_bytes += len(body)
        if self._waiting_bytes > PUBLISHED_BYTES:
            self._look()

    def ask_renewal(self) -> None:
        """Let go of all subscribers soon; from any thread."""
        self._asked.set()

    def renew_when_asked(self) -> None:
        """Reopen the socket if that was requested."""
        if self._asked.is_set():
            self._asked.clear()
            self._renew("a grant was revoked")

    def take_refused(self) -> int:
        """How many handshakes failed since the last call; from any thread."""
        with self._lock:
            refused, self._refused = self._refused + self._endpoint.take_refused(), 0
            return refused

    def take_resets(self) -> int:
        """How often all subscribers had to come back since the last call; from any thread."""
        with self._lock:
            resets, self._resets = self._resets, 0
            return resets

    def close(self, linger_s: float) -> None:
        """Close the socket; what was sent is delivered for so long when the context is ended."""
        self._endpoint.close(linger_s)

    def _look(self) -> None:
        """Count what still waits, at most once a second, and let go of those for whom too much does."""
        if time.monotonic() - self._looked_s < LOOK_AGAIN_S and self._waiting_bytes < 2 * PUBLISHED_BYTES:
            return
        self._looked_s = time.monotonic()
        self._waiting = deque(entry for entry in self._waiting if not entry[0].done)
        self._waiting_bytes = sum(size for _, size in self._waiting)
        if self._waiting_bytes > PUBLISHED_BYTES:
            self._renew(f"{self._waiting_bytes} bytes are waiting for subscribers that do not read")

    def _renew(self, reason: str) -> None:
        log.warning("publishing socket renewed, subscribers reconnect and replay reason=%s", reason)
        with self._lock:
            self._refused += self._endpoint.take_refused()
            self._endpoint.close()
            self._endpoint = self._opened()
            self._resets += 1
        self._waiting.clear()
        self._waiting_bytes = 0
        time.sleep(RETURN_S)

    def _opened(self) -> Endpoint:
        options: dict[int, int] = {zmq.SNDHWM: PUBLISHED_QUEUE}
        return Endpoint(self._context, zmq.PUB, self._connection.events, self._connection, options)
