"""Parts of large frames: each MPI rank of a worker pushes its own, all parts of a frame to one analyzer (adapter).

One rank chooses the analyzer, by where there is room; the others send theirs to the same one.
docs/adr/0010 says why. Nothing here blocks, and what waits is bounded.
"""

from __future__ import annotations

import time
from collections import deque

import zmq

from moireloop_broker.network.links import watch_link
from moireloop_broker.streams.curve import Curve
from moireloop_broker.streams.frames import KEPT_BYTES, Parts, pushed
from moireloop_broker.streams.routes import is_secured, route

SENT_QUEUE_PARTS = 2

POLL_S = 0.002


class PartSender:
    """One rank's sockets: one PUSH socket for each analyzer, so that a part goes where it is meant to.

    Args:
        chooses: this rank chooses: only an analyzer that is connected counts as one with room.
        curve: keys for the analyzers that are reached by TCP; None where no key is needed.
        kept_bytes: what may wait for one analyzer at a rank that does not choose.
    """

    def __init__(
        self,
        *,
        chooses: bool,
        curve: Curve | None = None,
        kept_bytes: int = KEPT_BYTES,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.lost = 0
        self._chooses = chooses
        self._curve = curve
        self._kept_bytes = kept_bytes
        self._context = context or zmq.Context.instance()
        self._ends: dict[str, _End] = {}
        self._turn = 0

    def follow(self, endpoints: frozenset[str]) -> None:
        """Connect to the analyzers at these endpoints, and to no others."""
        for endpoint in self._ends.keys() - endpoints:
            end = self._ends.pop(endpoint)
            self.lost += len(end.late)
            end.socket.close()
        for endpoint in sorted(endpoints - self._ends.keys()):
            self._ends[endpoint] = _End(self._socket(endpoint))

    def choose(self, parts: Parts) -> str | None:
        """Send a part to the next analyzer in turn that has room; returns its endpoint, None if there is no room."""
        endpoints = list(self._ends)
        for number in range(len(endpoints)):
            endpoint = endpoints[(self._turn + number) % len(endpoints)]
            if pushed(self._ends[endpoint].socket, parts):
                self._turn += number + 1
                return endpoint
        return None

    def send(self, parts: Parts, endpoint: str) -> None:
        """Send a part to the analyzer that was chosen; without room it waits, and the oldest that wait are lost."""
        end = self._ends[endpoint]
        end.late.append(parts)
        end.flush()
        while len(end.late) > 1 and sum(len(late[2]) for late in end.late) > self._kept_bytes:
            end.late.popleft()
            self.lost += 1

    def flush(self, wait_s: float) -> None:
        """Send what waits, waiting up to `wait_s` for room. Not for use while MD runs."""
        deadline = time.monotonic() + wait_s
        while not all([end.flush() for end in self._ends.values()]) and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def close(self) -> None:
        """Close the sockets; parts that wait are lost."""
        self.follow(frozenset())

    def _socket(self, announcement: str) -> zmq.Socket[bytes]:
        endpoint = route(announcement)
        socket = self._context.socket(zmq.PUSH)
        socket.immediate = self._chooses
        socket.linger = 0
        socket.reconnect_ivl = 50
        socket.sndhwm = SENT_QUEUE_PARTS
        watch_link(socket)
        if self._curve is not None and is_secured(endpoint):
            self._curve.secure_client(socket)
        socket.connect(endpoint)
        return socket


class _End:
    """The socket to one analyzer, and the parts that wait for room there."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket
        self.late: deque[Parts] = deque()

    def flush(self) -> bool:
        """Send what there is room for; returns whether nothing is left waiting."""
        while self.late and pushed(self.socket, self.late[0]):
            self.late.popleft()
        return not self.late
