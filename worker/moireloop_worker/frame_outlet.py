"""Where the frames of a worker leave it: whole ones from rank 0, parts of large ones from every rank (adapter)."""

from __future__ import annotations

import time
from collections import deque
from typing import Final, NamedTuple

from mpi4py import MPI

from moireloop_broker.frame_stream import KEPT_BYTES, FramePublisher, Parts
from moireloop_broker.messages import Frame, frame_parts
from moireloop_broker.part_stream import POLL_S, PartSender

LAST_PARTS_S: Final = 0.5


class _Orders(NamedTuple):
    """What rank 0 decided of the frames that wait: where the oldest went, and how many were dropped behind them."""

    endpoints: frozenset[str]
    sent: tuple[str, ...]
    dropped: int


class FrameOutlet:
    """One rank's end. Publishing returns at once.

    Parts wait on all ranks alike, and what happens to them is decided on rank 0 for all, so that a frame is sent whole
    or not at all. What waits is bounded by `kept_bytes` of parts of rank 0.

    Args:
        whole: the stream of whole frames, on rank 0; None on the others.
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

    def publish(self, frame: Frame) -> None:
        """Send a frame, or a part of one; all ranks call it with their parts of the same frame."""
        if frame.header.parts == 1:
            if self._whole is not None:
                self._whole.publish(frame)
            return
        self._waiting.append(frame_parts(frame))
        self._carry_out(self._decided(0.0, self._kept_bytes) if self._whole else None)

    def ended(self) -> None:
        """A run is over: send the parts that wait, waiting a moment for room, and drop the rest. All ranks call it."""
        if self._waiting:
            self._carry_out(self._decided(LAST_PARTS_S, 0) if self._whole else None)
        self._sender.flush(LAST_PARTS_S)

    def idle(self) -> None:
        """Between two runs, on rank 0: look the analyzers up and send what waits."""
        if self._whole is not None:
            self._whole.idle()

    def look_up(self) -> None:
        """Ask anew where the analyzers are, on rank 0; may be called from another thread than `publish`."""
        if self._whole is not None:
            self._whole.look_up()

    def close(self) -> None:
        """Close the sockets; what waits is dropped."""
        if self._whole is not None:
            self._whole.close()
        self._sender.close()

    def _decided(self, wait_s: float, kept_bytes: int) -> _Orders:
        """Rank 0: send the oldest parts as far as there is room, drop what is too much, and say so."""
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
        dropped = 0
        while waiting and sum(len(parts[2]) for parts in waiting) > kept_bytes and (len(waiting) > 1 or not kept_bytes):
            waiting.popleft()
            dropped += 1
        self._sent += len(sent)
        self._dropped += dropped
        return _Orders(endpoints, tuple(sent), dropped)

    def _carry_out(self, decided: _Orders | None) -> None:
        """Tell all ranks what rank 0 decided; the others do it, too."""
        orders: _Orders = self._comm.bcast(decided)
        if decided is not None:
            return
        self._sender.follow(orders.endpoints)
        for endpoint in orders.sent:
            self._sender.send(self._waiting.popleft(), endpoint)
        for _ in range(orders.dropped):
            self._waiting.popleft()
