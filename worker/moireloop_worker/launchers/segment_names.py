"""The name of the shared memory that MPI ranks have in common: taken away once all of them have it (adapter).

The memory itself then goes with the last of them, however they end; MPICH takes the name away only in an orderly end.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mpi4py import MPI

SEGMENT: Final = re.compile(r"(/dev/shm/mpich_shm_[0-9a-f]+_\d+)$", re.MULTILINE)


def remove_segment_names(communicator: MPI.Intracomm) -> list[str]:
    """Remove the names of the shared memory that this process has; all ranks call it. Returns those that it saw."""
    communicator.Barrier()
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    seen = sorted(set(SEGMENT.findall(mapped)))
    for name in seen:
        Path(name).unlink(missing_ok=True)
    return seen
