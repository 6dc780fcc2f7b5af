"""The name of the memory that MPI ranks share: removed once all ranks have mapped it (adapter).

The memory itself then goes with the last rank, however it ends. MPICH removes the name only in an orderly end.
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
