"""`python -m mpi4py -m moireloop_worker --connection FILE --name NAME`: one worker, on one or more MPI ranks (main)."""

from __future__ import annotations

import sys

from moireloop_worker.run.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
