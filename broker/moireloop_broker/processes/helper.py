"""A service's handle on a helper: a separate process, reached over a pipe, that may hang or crash (adapter).

A helper's program is a module. Its first argument is the descriptor of its end of the pipe, which it uses as a
multiprocessing.Connection.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

from moireloop_broker.processes.channel import Channel, ChannelClosed, MessageTooLarge
from moireloop_broker.processes.exits import exit_reason
from moireloop_broker.processes.guarded import Guarded, share_of_memory

ENDS_S: Final = 2.0
"""How long a helper whose pipe is closed may take to end by itself; its exit code says why the pipe closed."""

LARGEST_BYTES: Final = 64 * 1024 * 1024


class HelperLost(RuntimeError):
    """The helper was ended with all that it had started; the text says what it did, `code` how it ended."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(what)
        self.code = code


class Helper:
    """One helper process. Neither `send` nor `receive` waits longer than its timeout.

    Args:
        module: its program.
        arguments: of the program, after the descriptor of the pipe.
        name: for the log.
        env: variables that its environment gets in addition to this process's own.
        memory_bytes: memory that each of its processes may take; by default half of the machine's.
        largest_bytes: of the messages that it may send.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        name: str,
        *,
        env: Mapping[str, str] | None = None,
        memory_bytes: int | None = None,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = Guarded(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                name,
                memory_bytes=share_of_memory() if memory_bytes is None else memory_bytes,
                pass_fds=[theirs.fileno()],
                env=env,
            )
        self._channel = Channel(ours, largest_bytes)
        self._limit_s: float | None = None
        self._since_s = time.monotonic()

    @property
    def pid(self) -> int:
        """Its process id; waits for its start."""
        return self._process.pid

    def allow(self, limit_s: float | None) -> None:
        """Seconds from now on within which it must say its next word; None for any time."""
        self._limit_s, self._since_s = limit_s, time.monotonic()

    def send(self, *messages: bytes | memoryview) -> None:
        """Send messages; one that does not read is noticed by its limit."""
        self._channel.put(*messages)

    def receive(self, wait_s: float) -> bytes | None:
        """Its next message, None where it has none within `wait_s`.

        Raises:
            HelperLost: it has died, closed its pipe, sent rubbish, or was not done in time; it was ended.
        """
        try:
            message = self._channel.take(wait_s)
            if message is None and not self._process.is_alive:
                message = self._channel.take(0.0)
        except ChannelClosed:
            raise self._died() from None
        except MessageTooLarge as error:
            raise self.lost(f"sent an invalid message: {error}") from error
        if message is not None:
            return message
        if not self._process.is_alive:
            raise self._died()
        if self._limit_s is not None and time.monotonic() - self._since_s > self._limit_s:
            raise self.lost(f"did not finish within {self._limit_s:g} s")
        return None

    def end(self) -> int:
        """End it with all that it started; returns how it ended, as subprocess's return codes do."""
        self._channel.close()
        return self._process.end()

    def lost(self, what: str) -> HelperLost:
        """End it for what it did; returns the error to raise."""
        return HelperLost(what, self.end())

    def _died(self) -> HelperLost:
        is_dead = self._process.ends_within(ENDS_S)
        code = self.end()
        how = exit_reason(code)
        how = f"was {how}" if how.startswith("killed") else how
        return HelperLost(f"took down its process, which {how}" if is_dead else "closed its pipe", code)
