"""The environment of MPI ranks: what keeps them within one host, or on one network interface (pure).

A rank that only talks to others of its host needs no port. MPICH's UCX and libfabric open ports on every address
otherwise, on which anybody's bytes would end the worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FOREIGN: Final = ("PMI_", "PMIX_", "HYDRA_", "HYDI_", "MPI_LOCALNRANKS", "MPI_LOCALRANKID")
"""Variables of an MPI program that this process may itself be part of; a rank would look for that one's peers."""


def rank_environment(
    inherited: Mapping[str, str], ranks: int, interface: str | None = None, nodes: int = 1
) -> dict[str, str]:
    """The environment of the ranks of one worker.

    Args:
        inherited: environment of the launcher's process.
        ranks: how many ranks the worker has.
        interface: network interface between hosts; None leaves it to MPI, and ranks of one host then open no port.
        nodes: over how many hosts the ranks are spread.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(FOREIGN)}
    kept.setdefault("OMP_NUM_THREADS", "1")
    if interface is not None:
        return {**kept, **_between_hosts(interface)}
    return {**kept, **_within_host(ranks)} if nodes == 1 else kept


def _within_host(ranks: int) -> dict[str, str]:
    return {
        "UCX_TLS": "self" if ranks == 1 else "self,posix",
        "FI_TCP_IFACE": "lo",
        "FI_SOCKETS_IFACE": "lo",
    }


def _between_hosts(interface: str) -> dict[str, str]:
    return {"UCX_NET_DEVICES": interface, "FI_TCP_IFACE": interface, "FI_SOCKETS_IFACE": interface}
