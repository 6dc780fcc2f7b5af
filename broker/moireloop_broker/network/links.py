"""Socket options that detect a broken network, and use a repaired one again, within seconds (adapter).

The kernel probes an idle peer each second, and gives up a connection on which nothing was acknowledged for LOST_MS. TCP
by itself backs off further and further: it is back a quarter of a minute after a cut of the same length. Only the
kernels talk: a busy or stopped peer still counts as present.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import zmq

LOST_MS: Final = 3000

CONNECT_MS: Final = 2000
"""A try to connect that was lost on the way is followed by another one after so long."""

PROBE_S: Final = 1

PROBES: Final = 3

UNSENT_BYTES: Final = 128 * 1024
"""Beyond what is on its way the kernel takes no more: when all is sent it is nearly there, and the reply comes soon."""

WANTED: Final = {
    "TCP_KEEPIDLE": PROBE_S,
    "TCP_KEEPINTVL": PROBE_S,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": LOST_MS,
    "TCP_NOTSENT_LOWAT": UNSENT_BYTES,
}

TCP_OPTIONS: Final[dict[int, int]] = {
    getattr(socket, name): value for name, value in WANTED.items() if hasattr(socket, name)
}
"""Of those, what this system has: a controller's may be another one than Linux."""


def watch_link(socket: zmq.Socket[Any]) -> None:
    """Let a ZeroMQ socket notice within seconds that a host or the network is gone. Call before bind and connect."""
    import zmq

    options = {
        zmq.TCP_KEEPALIVE: 1,
        zmq.TCP_KEEPALIVE_IDLE: PROBE_S,
        zmq.TCP_KEEPALIVE_INTVL: PROBE_S,
        zmq.TCP_KEEPALIVE_CNT: PROBES,
        zmq.TCP_MAXRT: LOST_MS,
        zmq.CONNECT_TIMEOUT: CONNECT_MS,
    }
    for option, value in options.items():
        socket.setsockopt(option, value)
