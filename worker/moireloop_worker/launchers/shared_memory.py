"""The shared memory of MPI ranks on this host: room for it, its names, and what dead ranks left of it (adapter).

MPICH keeps one file in /dev/shm for each worker. It takes the name away only in an orderly end, so that a rank that
was killed would leave a megabyte for good. Its name follows from the name of the group of ranks, or from the process
id where one rank starts by itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from moireloop_worker.launchers.launcher import CannotLaunch

PLACE: Final = Path("/dev/shm")  # noqa: S108

FIRST_RANK_BYTES: Final = 1_100_000
"""MPICH 5.0.2: 1 061 440 bytes for one rank."""

EACH_OF_SEVERAL_BYTES: Final = 5_500_000
"""Measured for two ranks: 1 059 392 bytes each of MPICH's, 4 300 800 of UCX's."""


def segment_of_group(name: str) -> str:
    """File name of the shared memory of a group of ranks: FNV-1a, 32 bit, of the group's name."""
    number = 2166136261
    for byte in name.encode():
        number = ((number ^ byte) * 16777619) & 0xFFFFFFFF
    return f"mpich_shm_{number:x}_0"


def segment_of_process(pid: int) -> str:
    """File name of the shared memory of a rank that starts by itself."""
    return f"mpich_shm_{pid:x}_0"


def needed_bytes(ranks: int) -> int:
    """Room that the ranks of one worker take."""
    return FIRST_RANK_BYTES if ranks == 1 else ranks * EACH_OF_SEVERAL_BYTES


def shortage(ranks: int, place: Path = PLACE) -> str | None:
    """Why there is no room for the ranks of one worker, in words; None where there is."""
    try:
        room = os.statvfs(place)
    except OSError as error:
        return f"expected the folder {place}, in which MPI shares memory: {error.strerror}"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"expected to be allowed to write into {place}, in which MPI shares memory"
    free, needed = room.f_bavail * room.f_frsize, needed_bytes(ranks)
    if room.f_blocks == 0 or free >= needed:
        return None
    return (
        f"{place} is full: a worker of {ranks} rank{'s' * (ranks > 1)} needs {needed / 1e6:.1f} MB there, "
        f"{free / 1e6:.1f} MB are free; remove what others left in it, or make it larger (docker run --shm-size)"
    )


def require_room(ranks: int) -> None:
    """Nothing when there is room for a worker. Raises CannotLaunch."""
    if (missing := shortage(ranks)) is not None:
        raise CannotLaunch(missing)


def remove_segment(name: str, place: Path = PLACE) -> bool:
    """Remove what dead ranks left, if it is this user's and not in use; returns whether it was removed."""
    path = place / name
    try:
        if path.stat().st_uid != os.getuid() or _is_mapped(path):
            return False
        path.unlink()
    except OSError:
        return False
    return True


def _is_mapped(path: Path) -> bool:
    mark = f"{path}\n".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark in (process / "maps").read_bytes():
                    return True
            except OSError:
                continue
    return False
