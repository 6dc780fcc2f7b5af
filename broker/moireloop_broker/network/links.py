"""Options of connections between hosts, by which a broken network is noticed, and used again, within seconds (adapter).

The kernel asks an idle peer each second for a sign of life, and gives up a connection on which nothing was acknowledged
for LOST_MS. TCP alone would try again later and later, and be back a quarter of a minute after a cut of as long.
Only the kernels talk: a peer that is busy, or stopped, is still there.
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

TCP_OPTIONS: Final = {
    socket.TCP_KEEPIDLE: PROBE_S,
    socket.TCP_KEEPINTVL: PROBE_S,
    socket.TCP_KEEPCNT: PROBES,
    socket.TCP_USER_TIMEOUT: LOST_MS,
}


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
