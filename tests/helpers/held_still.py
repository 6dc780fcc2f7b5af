"""A process that does nothing for a while, whatever signals reach it and whoever of its parents dies (ptrace(2)).

A process that was stopped by a signal is continued by the kernel when the death of its parent leaves its group without
a shell; one that is traced is not.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000


@contextmanager
def held_still(pid: int) -> Iterator[None]:
    """Hold the main thread of a process, which ends no sooner, while the block lasts. Signals reach it afterwards.

    The test is skipped where processes may not be traced, as in some containers.

    Raises:
        OSError: there is no such process.
    """
    try:
        _ptrace(_SEIZE, pid)
    except PermissionError as error:
        pytest.skip(f"this machine lets no process be traced: {error}")
    _ptrace(_INTERRUPT, pid)
    os.waitpid(pid, _WALL)
    try:
        yield
    finally:
        _ptrace(_DETACH, pid)


def _ptrace(request: int, pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes, libc.ptrace.restype = [ctypes.c_long] * 4, ctypes.c_long
    if libc.ptrace(request, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace of process {pid}: {os.strerror(ctypes.get_errno())}")
