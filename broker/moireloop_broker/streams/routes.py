"""By which way a worker reaches an analyzer: local socket or TCP, by what the analyzer announced (adapter).

An announcement is one endpoint, or both ways in one text: `tcp://HOST:PORT ipc://PATH HOST'S NAME`. Each process reads
it for itself, since the ranks of one worker may be on several hosts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from moireloop_broker.network.addresses import this_host

IPC: Final = "ipc://"

TCP: Final = "tcp://"


def both_ways(tcp: str, ipc: str) -> str:
    """The announcement of an analyzer of this host that listens on TCP and on a local socket."""
    return f"{tcp} {ipc} {this_host()}"


def route(announcement: str) -> str:
    """The endpoint by which this process reaches an analyzer: the local socket where both are on this host."""
    tcp, *local = announcement.split(" ", 2)
    if len(local) == 2 and local[1] == this_host() and _is_there(local[0]):
        return local[0]
    return tcp


def is_secured(endpoint: str) -> bool:
    """Whether CURVE goes with an endpoint: with TCP, not with a socket in the user's private folder."""
    return endpoint.startswith(TCP)


def _is_there(ipc: str) -> bool:
    """Whether the socket can be reached by its name: a container on the same host has other folders."""
    return os.access(Path(ipc.removeprefix(IPC)), os.W_OK)
