"""Whether a file can be opened to write, before LAMMPS is told to (adapter).

LAMMPS opens its files on one rank alone, and an error on one rank costs the whole worker.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def opens(path: Path) -> bool:
    """Make an empty file, and the folder that it lies in; False, with a warning, where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    except OSError as error:
        log.warning("file cannot be written path=%s error=%s", path, error)
        return False
    return True
