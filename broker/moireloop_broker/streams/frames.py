"""The frame stream: workers push, analyzers pull, ZeroMQ in between (adapter).

A worker connects to every analyzer and ZeroMQ deals the frames out to those that have room. Both ends are bounded. When
all analyzers are behind, the publisher keeps the newest frames up to `kept_bytes`, drops the oldest and counts them; it
never blocks. docs/adr/0002 says why no process stands between the two.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

import zmq

from moireloop_broker.contract.frames import Frame, frame_from_parts, frame_parts
from moireloop_broker.contract.message import MalformedMessage
from moireloop_broker.network.links import watch_link
from moireloop_broker.processes.log_limit import LogLimit
from moireloop_broker.streams.curve import Curve, Gatekeeper
from moireloop_broker.streams.routes import both_ways, is_secured, route

log = logging.getLogger(__name__)
log.addFilter(LogLimit())

DONTWAIT = int(zmq.DONTWAIT)

DONTWAIT_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)

COPY_BELOW_BYTES = 64 * 1024

SENT_QUEUE_FRAMES = (8, 1000)

LEAVING_MS = 1000
"""For so long a socket that is given up delivers what its queues hold for analyzers that are still there."""

RECEIVED_QUEUE_FRAMES = 128

RECEIVED_QUEUE_BYTES = 128 * 1024 * 1024

KEPT_BYTES = 64 * 1024 * 1024

MAX_FRAME_BYTES = 4 * 1024**3

Parts = Sequence[bytes | memoryview]


def queue_length(frame_bytes: int, kept_bytes: int) -> int:
    """Frames that the sending socket may queue: about `kept_bytes` of them, within SENT_QUEUE_FRAMES."""
    least, most = SENT_QUEUE_FRAMES
    return max(least, min(most, kept_bytes // max(1, frame_bytes)))


def pushed(socket: zmq.Socket[bytes], parts: Parts) -> bool:
    """Sends a frame if there is room, whole or not at all; returns whether it was sent."""
    send, copy = socket.send, len(parts[2]) < COPY_BELOW_BYTES
    try:
        send(parts[0], DONTWAIT_MORE, copy)
    except zmq.Again:
        return False
    send(parts[1], DONTWAIT_MORE, copy)
    send(parts[2], DONTWAIT_MORE, copy)
    send(parts[3], DONTWAIT, copy)
    return True


class FramePublisher:
    """The worker's end. Every call returns at once.

    Args:
        find_endpoints: what the analyzers have announced; see `routes`.
        curve: keys for the analyzers that are reached by TCP; None where no key is needed.
        kept_bytes: positions that may wait for room.
    """

    def __init__(
        self,
        find_endpoints: Callable[[], frozenset[str]],
        *,
        curve: Curve | None = None,
        kept_bytes: int = KEPT_BYTES,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.sent = 0
        self.dropped = 0
        self.dropped_late = 0
        self._ever_sent = False
        self._settled = 0
        self._find_endpoints = find_endpoints
        self._waiting: deque[Parts] = deque()
        self._waiting_bytes = 0
        self._kept_bytes = kept_bytes
        self._connected: frozenset[str] = frozenset()
        self._wanted: frozenset[str] = frozenset()
        context = context or zmq.Context.instance()
        self._ways = [_Way(context, None)]
        if curve is not None:
            self._ways.append(_Way(context, curve))
        self.look_up()

    def publish(self, frame: Frame) -> None:
        """Send a frame, or keep it for the next call when no analyzer has room."""
        self.send(frame_parts(frame))

    def send(self, parts: Parts) -> None:
        """`publish` the message of a frame."""
        if not self._connected:
            for way in self._ways:
                way.bound_queue(queue_length(len(parts[2]), self._kept_bytes))
        self._follow()
        if not self._waiting and self._sent(parts):
            return
        self._waiting.append(parts)
        self._waiting_bytes += len(parts[2])
        self._flush()
        while len(self._waiting) > 1 and self._waiting_bytes > self._kept_bytes:
            self._drop_oldest()

    def settle(self, wait_s: float) -> None:
        """A run is over: from now on its frames count for no other run.

        Frames that wait for analyzers which are behind count as sent; `dropped_late` tells how many of those had to go
        after all. Where no analyzer was ever connected to, they get `wait_s` for that, and are dropped then.
        """
        self._follow()
        if not self._ever_sent and not self.flush(wait_s if self._wanted else 0.0):
            while self._waiting:
                self._drop_oldest()
        self.sent += len(self._waiting) - self._settled
        self._settled = len(self._waiting)

    def look_up(self) -> None:
        """Look up again where the analyzers are; may be called from another thread than `publish`."""
        self._wanted = self._find_endpoints()

    def idle(self) -> None:
        """Between two runs: look the analyzers up and send what waits."""
        self.look_up()
        if self._waiting:
            self._follow()
            self._flush()

    @property
    def endpoints(self) -> frozenset[str]:
        """What the analyzers had announced when they were last looked up."""
        return self._wanted

    @property
    def waiting(self) -> int:
        """Frames that wait for room."""
        return len(self._waiting)

    def flush(self, wait_s: float) -> bool:
        """Send what waits, waiting up to `wait_s` for room; whether all of it is sent. Not for use while MD runs."""
        deadline = time.monotonic() + wait_s
        self._flush()
        while self._waiting and (left_s := deadline - time.monotonic()) > 0:
            poller = zmq.Poller()
            for way in self._ways:
                poller.register(way.socket, zmq.POLLOUT)
            poller.poll(max(1, round(left_s * 1000)))
            self._flush()
        return not self._waiting

    def close(self) -> None:
        """Close the sockets; frames that wait are dropped."""
        while self._waiting:
            self._drop_oldest()
        for way in self._ways:
            way.socket.close()

    def _follow(self) -> None:
        """Connect to the analyzers that there are now, and to no others.

        While none is known the connections stay: they queue nothing for analyzers that are away.
        """
        wanted = self._wanted
        if wanted == self._connected or not wanted:
            return
        routes = frozenset(map(route, wanted))
        for way in self._ways:
            way.follow(routes if len(self._ways) == 1 else frozenset(r for r in routes if is_secured(r) == way.secured))
        self._connected = wanted

    def _flush(self) -> None:
        while self._waiting and self._sent(self._waiting[0]):
            self._waiting_bytes -= len(self._waiting.popleft()[2])

    def _drop_oldest(self) -> None:
        self._waiting_bytes -= len(self._waiting.popleft()[2])
        if self._settled:
            self._settled -= 1
            self.dropped_late += 1
        else:
            self.dropped += 1

    def _sent(self, parts: Parts) -> bool:
        """Whether there was room for a frame. Frames of runs that are over were counted when the runs ended.

        Where some analyzers are on this host and some on others, the local ones come first: they cost least.
        """
        if not any(way.connected and pushed(way.socket, parts) for way in self._ways):
            return False
        self._ever_sent = True
        if self._settled:
            self._settled -= 1
        else:
            self.sent += 1
        return True


class _Way:
    """One PUSH socket, to the analyzers that are reached without keys or to those that are reached with them."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], curve: Curve | None) -> None:
        self.connected: frozenset[str] = frozenset()
        self._context = context
        self._curve = curve
        self._queue_length: int | None = None
        self.socket = self._new_socket()

    @property
    def secured(self) -> bool:
        """Whether it has keys."""
        return self._curve is not None

    def bound_queue(self, length: int) -> None:
        """Limit how many frames wait for each analyzer. Only before the first connection: see `_bound_queue` below."""
        self._queue_length = length
        self.socket.sndhwm = length

    def follow(self, endpoints: frozenset[str]) -> None:
        """Connect to these endpoints; where one is gone, the others get a separate socket.

        `disconnect` of a socket under traffic makes libzmq 4.3.5 call a connection that is freed already, which killed
        workers.
        """
        if self.connected - endpoints:
            self.socket.close(linger=LEAVING_MS)
            self.socket = self._new_socket()
            self.connected = frozenset()
        for endpoint in endpoints - self.connected:
            self.socket.connect(endpoint)
        self.connected = endpoints

    def _new_socket(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.PUSH)
        socket.immediate = True
        socket.linger = 0
        socket.reconnect_ivl = 50
        watch_link(socket)
        if self._queue_length is not None:
            socket.sndhwm = self._queue_length
        if self._curve is not None:
            self._curve.secure_client(socket)
        return socket


class FrameReceiver:
    """The analyzer's end: bound sockets whose frames are views of what ZeroMQ received.

    Args:
        endpoint: where it listens.
        local: a Unix socket on which it listens as well, without keys.
        curve: keys of `endpoint`; None where everybody may send.

    Attributes:
        endpoint: what is announced to the workers: see `routes`.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        local: str | None = None,
        curve: Curve | None = None,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
    ) -> None:
        self.received = 0
        self.malformed = 0
        self._largest_bytes = 0
        context = context or zmq.Context.instance()
        self._gatekeeper = Gatekeeper(context, curve) if curve is not None else None
        self._sockets: list[zmq.Socket[bytes]] = []
        self._sockets.append(self._bound(context, endpoint, curve))
        self.endpoint = self._sockets[0].getsockopt_string(zmq.LAST_ENDPOINT)
        if local is not None:
            self._sockets.append(self._bound(context, local, None))
            self.endpoint = both_ways(self.endpoint, local)

    def _bound(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, curve: Curve | None) -> zmq.Socket[bytes]:
        socket = context.socket(zmq.PULL)
        socket.rcvhwm = RECEIVED_QUEUE_FRAMES
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        watch_link(socket)
        if curve is not None:
            curve.secure_server(socket)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError:
            socket.close(linger=0)
            self.close()
            raise
        return socket

    def receive(self, wait_s: float) -> Frame | None:
        """The next frame, None when none comes within `wait_s`. Malformed ones are counted and passed over."""
        while True:
            if (parts := self._receive_any()) is None:
                if wait_s <= 0 or not self._poll(wait_s):
                    return None
                wait_s = 0
                continue
            try:
                frame = frame_from_parts(parts)
            except MalformedMessage as error:
                self.malformed += 1
                log.warning("frame refused reason=%s", error)
                continue
            self.received += 1
            if frame.positions.nbytes > self._largest_bytes:
                self._bound_queue(frame.positions.nbytes)
            return frame

    def _bound_queue(self, frame_bytes: int) -> None:
        """Let fewer frames wait in the sockets when they are large: about RECEIVED_QUEUE_BYTES from each sender.

        Setting `rcvhwm` makes libzmq 4.3.5 write to the far end of each connection, also where a worker leaves at that
        very moment and that end is freed already (SIGSEGV). So only large frames change it, once: the first of them.
        """
        self._largest_bytes = frame_bytes
        length = max(2, min(RECEIVED_QUEUE_FRAMES, RECEIVED_QUEUE_BYTES // frame_bytes))
        for socket in self._sockets:
            if length < socket.rcvhwm:
                socket.rcvhwm = length

    def _poll(self, wait_s: float) -> bool:
        """Wait for a frame; whether there is one."""
        if len(self._sockets) == 1:
            return bool(self._sockets[0].poll(round(wait_s * 1000)))
        poller = zmq.Poller()
        for socket in self._sockets:
            poller.register(socket, zmq.POLLIN)
        return bool(poller.poll(round(wait_s * 1000)))

    def _receive_any(self) -> Parts | None:
        """A message of the socket whose turn it is, or of the other one; None where there is none."""
        for _ in range(len(self._sockets)):
            self._sockets.append(self._sockets.pop(0))
            try:
                return _received_parts(self._sockets[-1])
            except zmq.Again:
                continue
        return None

    def close(self) -> None:
        """Close the sockets."""
        for socket in self._sockets:
            socket.close(linger=0)
        if self._gatekeeper is not None:
            self._gatekeeper.close()


def _received_parts(socket: zmq.Socket[bytes]) -> Parts:
    """One message. (pyzmq's `recv_multipart` asks the socket after every part, which costs more than the part.)

    Raises:
        zmq.Again: there is none.
    """
    part = socket.recv(DONTWAIT, copy=False)
    parts = [part.buffer]
    while part.more:
        part = socket.recv(copy=False)
        parts.append(part.buffer)
    return parts
