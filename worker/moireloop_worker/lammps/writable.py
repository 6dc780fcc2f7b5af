"""Whether files can be written, before LAMMPS tries to, and whether a campaign's folder can be used (adapter).

LAMMPS opens its files on a single rank, and an error on one rank costs the whole worker.
"""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

ROOM_BYTES: Final = 64 * 1024


def opens(path: Path) -> bool:
    """Make an empty file, and the folder that it lies in; False, with a warning, where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    except OSError as error:
        log.warning("file cannot be written path=%s error=%s", path, error)
        return False
    return True


def make_room(folder: Path) -> None:
    """Make a folder in which something can be written; LAMMPS does not look whether its log and data files can.

    Raises:
        OSError: it cannot be made, is no folder, or the disk is full. `filename` is the folder.
    """
    probe = folder / f".room.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(bytes(ROOM_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror, str(folder)) from error


def why_unusable(folder: Path) -> str | None:
    """What keeps runs from being written or prepared structures from being read, in words; None where nothing does.

    Args:
        folder: the campaign's folder, with `runs` and `prepared`.
    """
    try:
        for name in ("runs", "prepared"):
            make_room(folder / name)
        for path in (folder / "prepared").glob("*.data"):
            os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return f"cannot use {error.filename or folder}: {error.strerror or error}"
    return None
