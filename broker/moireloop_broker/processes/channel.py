"""Messages over a socket whose other end may do anything: nothing here waits longer than its timeout (adapter).

On the wire they are as multiprocessing.Connection has them: the length, 4 bytes with the most significant first, and
then the bytes.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import deque
from typing import Final

LENGTH: Final = struct.Struct("!i")

READ_BYTES: Final = 1024 * 1024

PROGRESS_S: Final = 0.05
"""How long a message on its way waits for the other end to take some of it."""


class ChannelClosed(EOFError):
    """The other end has closed the channel."""


class MessageTooLarge(ValueError):
    """The other end begins a message that is larger than any that it may send; or it sends rubbish."""


class Channel:
    """One end of a channel. `put` never waits, `take` waits for its timeout.

    Args:
        end: the socket, which is closed with the channel.
        largest_bytes: of the messages that may come.
    """

    def __init__(self, end: socket.socket, largest_bytes: int) -> None:
        end.setblocking(False)
        self._socket = end
        self._largest_bytes = largest_bytes
        self._leaving: deque[memoryview] = deque()
        self._arrived = bytearray()

    def put(self, *messages: bytes | memoryview) -> None:
        """Send messages; what the other end does not take now goes with the next `take`."""
        for message in messages:
            data = memoryview(message).cast("B")
            self._leaving += [memoryview(LENGTH.pack(len(data))), data]
        self._flush()

    def take(self, wait_s: float) -> bytes | None:
        """The next message, None where there is none within `wait_s`.

        Raises:
            ChannelClosed: the other end is closed, and all that it sent was taken.
            MessageTooLarge: the received bytes are not a message.
        """
        deadline_s = time.monotonic() + wait_s
        while True:
            self._flush()
            if (message := self._whole()) is not None:
                return message
            left_s = max(0.0, deadline_s - time.monotonic(), PROGRESS_S if self._leaving else 0.0)
            ready = self._ready(left_s)
            if not ready:
                return None
            if ready & ~select.POLLOUT:
                self._receive()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
        self._leaving.clear()

    def _ready(self, wait_s: float) -> int:
        """What the socket is ready for, 0 for nothing."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN | (select.POLLOUT if self._leaving else 0))
        ready = waiting.poll(wait_s * 1000)
        return ready[0][1] if ready else 0

    def _receive(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        if not data:
            raise ChannelClosed("closed by the other end")
        self._arrived += data

    def _flush(self) -> None:
        try:
            while self._leaving:
                sent = self._socket.send(self._leaving[0])
                self._leaving[0] = self._leaving[0][sent:]
                if not self._leaving[0]:
                    self._leaving.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._leaving.clear()

    def _whole(self) -> bytes | None:
        """The first message that is there to its end, taken out."""
        if len(self._arrived) < LENGTH.size:
            return None
        (size,) = LENGTH.unpack_from(self._arrived)
        if not 0 <= size <= self._largest_bytes:
            raise MessageTooLarge(f"expected a message of at most {self._largest_bytes} bytes, got {size}")
        end = LENGTH.size + size
        if len(self._arrived) < end:
            return None
        message = bytes(memoryview(self._arrived)[LENGTH.size : end])
        del self._arrived[:end]
        return message
