"""Where the frames of a worker leave it: whole ones from rank 0, parts of large ones from every rank (adapter)."""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import Final, NamedTuple

from mpi4py import MPI

from moireloop_broker.contract.frames import Frame, frame_parts
from moireloop_broker.streams.frames import KEPT_BYTES, FramePublisher, Parts
from moireloop_broker.streams.parts import POLL_S, PartSender

LAST_PARTS_S: Final = 0.5


class _Orders(NamedTuple):
    """What rank 0 decided of the frames that wait: where the analyzers are, and to which the oldest went."""

    endpoints: frozenset[str]
    sent: tuple[str, ...]


class FrameOutlet:
    """One rank's end. Publishing returns at once.

    Parts wait on all ranks alike, so that a frame is sent whole or not at all: rank 0 decides for all where they go,
    and all drop as many as the rank that holds most has to.

    Args:
        whole: the stream of whole frames, on rank 0; None on the others.
        kept_bytes: positions that may wait on any one rank; the newest part waits however large it is.
    """

    def __init__(
        self,
        communicator: MPI.Intracomm,
        whole: FramePublisher | None,
        sender: PartSender,
        *,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._comm = communicator
        self._whole = whole
        self._sender = sender
        self._kept_bytes = kept_bytes
        self._waiting: deque[Parts] = deque()
        self._sent = self._dropped = 0

    @property
    def sent(self) -> int:
        """Frames sent, whole or in parts; counted on rank 0."""
        return self._sent + (self._whole.sent if self._whole else 0)

    @property
    def dropped(self) -> int:
        """Frames dropped, whole or in parts; counted on rank 0."""
        return self._dropped + (self._whole.dropped if self._whole else 0)

    @property
    def waiting(self) -> int:
        """Frames in parts that wait for room; the same on all ranks."""
        return len(self._waiting)

    def publish(self, frame: Frame) -> None:
        """Send a frame, or a part of one; all ranks call it with their parts of the same frame."""
        self.send(frame_parts(frame), frame.header.parts)

    def send(self, message: Parts, parts: int) -> None:
        """`publish` the message of a frame, or of one of its parts."""
        if parts == 1:
            if self._whole is not None:
                self._whole.send(message)
            return
        self._waiting.append(message)
        self._send(0.0)
        if len(self._waiting) > 1:
            self._drop(self._comm.allreduce(self._too_many(), MPI.MAX))

    def ended(self) -> None:
        """A run is over: send the parts that wait, waiting a moment for room, and drop the rest. All ranks call it."""
        if self._waiting:
            self._send(LAST_PARTS_S)
            self._drop(len(self._waiting))
        self._sender.flush(LAST_PARTS_S)
        if self._whole is not None:
            self._whole.settle(LAST_PARTS_S)

    def settle(self) -> None:
        """Let what a run that failed has left count for no other one; on rank 0, between two runs."""
        if self._whole is not None:
            self._whole.settle(0.0)

    @property
    def dropped_late(self) -> int:
        """Whole frames that were dropped after their run was over, in which they had counted as sent."""
        return self._whole.dropped_late if self._whole else 0

    def idle(self) -> None:
        """Between two runs, on rank 0: look the analyzers up and send what waits."""
        if self._whole is not None:
            self._whole.idle()

    def look_up(self) -> None:
        """Ask again where the analyzers are, on rank 0; may be called from another thread than `publish`."""
        if self._whole is not None:
            self._whole.look_up()

    def close(self) -> None:
        """Close the sockets; what waits is dropped."""
        if self._whole is not None:
            self._whole.close()
        self._sender.close()

    def _send(self, wait_s: float) -> None:
        """Send the oldest parts as far as rank 0 finds room within `wait_s`, on all ranks to the same analyzers."""
        orders: _Orders = self._comm.bcast(self._decided(wait_s) if self._whole else None)
        if self._whole:
            return
        self._sender.follow(orders.endpoints)
        for endpoint in orders.sent:
            self._sender.send(self._waiting.popleft(), endpoint)

    def _decided(self, wait_s: float) -> _Orders:
        """Rank 0: send the oldest parts as far as there is room, and say so."""
        endpoints = self._whole.endpoints if self._whole else frozenset()
        self._sender.follow(endpoints)
        waiting, sent, deadline = self._waiting, [], time.monotonic() + wait_s
        while waiting:
            if (endpoint := self._sender.choose(waiting[0])) is not None:
                sent.append(endpoint)
                waiting.popleft()
            elif time.monotonic() < deadline:
                time.sleep(POLL_S)
            else:
                break
        self._sent += len(sent)
        return _Orders(endpoints, tuple(sent))

    def _too_many(self) -> int:
        """How many of the oldest parts this rank has to drop to keep to its bound."""
        excess, number = sum(len(parts[2]) for parts in self._waiting) - self._kept_bytes, 0
        for parts in islice(self._waiting, len(self._waiting) - 1):
            if excess <= 0:
                break
            excess -= len(parts[2])
            number += 1
        return number

    def _drop(self, number: int) -> None:
        for _ in range(number):
            self._waiting.popleft()
        self._dropped += number
