"""Hands a value from rank 0 to all ranks without burning the cores of those that wait (adapter).

MPI's own broadcast waits in a busy loop, which would cost an idle worker a core for each rank.
"""

from __future__ import annotations

import time
from typing import Any, Final

from mpi4py import MPI

POLL_S: Final = 0.002


def quiet_broadcast(communicator: MPI.Intracomm, value: Any) -> Any:
    """The value of rank 0 on all ranks; `value` is looked at on rank 0 alone."""
    if communicator.size == 1:
        return value
    if communicator.rank == 0:
        requests = [communicator.isend(value, dest=rank) for rank in range(1, communicator.size)]
        MPI.Request.waitall(requests)
        return value
    while not communicator.iprobe(source=0):
        time.sleep(POLL_S)
    return communicator.recv(source=0)
