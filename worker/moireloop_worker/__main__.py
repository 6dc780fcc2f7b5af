"""`python -m mpi4py -m moireloop_worker --connection FILE --name NAME`: one worker, on one or more MPI ranks (main)."""

from __future__ import annotations

import sys

from moireloop_broker.processes.exits import leave
from moireloop_broker.processes.service_loop import started


def run() -> int:
    """One worker; returns its exit code."""
    from mpi4py import MPI

    from moireloop_worker.run.worker import main

    code = main(sys.argv[1:])
    if code == 0:
        MPI.Finalize()
        leave(code)
    return code  # MPI ends the other ranks


if __name__ == "__main__":
    sys.exit(started("moireloop_worker", "worker", run))
