"""Ports that nothing listens on, out of those that services may use (adapter)."""

from __future__ import annotations

import socket
from collections.abc import Collection


class NoFreePort(OSError):
    """Every port of a range is in use; the text names address and range."""


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


class FreePorts:
    """Hands out ports of one address, each once.

    Args:
        address: on which they are to be free.
        ports: out of which they come; None where any will do.
        taken: ports of other services that may be about to start.
    """

    def __init__(self, address: str, ports: range | None = None, taken: Collection[int] = ()) -> None:
        self._address = address
        self._ports = ports
        self._taken = set(taken)

    def next(self, wanted: int | None = None) -> int:
        """The wanted port where it is free and one of them, else another one. Raises NoFreePort."""
        if wanted is not None and self._suits(wanted):
            self._taken.add(wanted)
            return wanted
        port = self._any() if self._ports is None else self._of_range(self._ports)
        self._taken.add(port)
        return port

    def count(self, most: int) -> int:
        """How many can still be handed out, up to `most`."""
        count = 0
        for port in self._ports or range(0):
            count += self._suits(port)
            if count == most:
                break
        return count

    def _suits(self, port: int) -> bool:
        is_one = self._ports is None or port in self._ports
        return is_one and port not in self._taken and is_free(self._address, port)

    def _of_range(self, ports: range) -> int:
        for port in ports:
            if self._suits(port):
                return port
        raise NoFreePort(f"no port of {ports[0]}-{ports[-1]} is free on {self._address}")

    def _any(self) -> int:
        while True:
            with socket.socket() as probe:
                probe.bind((self._address, 0))
                port = int(probe.getsockname()[1])
            if port not in self._taken:
                return port
