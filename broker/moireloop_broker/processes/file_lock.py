"""Locks of files that other processes may hold, taken with patience (adapter)."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 0.02


def locks_within(descriptor: int, patience_s: float, interrupted: Callable[[], bool] = lambda: False) -> bool:
    """Lock an open file for this process only; False where another one holds it for longer than `patience_s`.

    The kernel frees the lock when the last descriptor that came from this one is closed, also in child processes.

    Args:
        descriptor: of the open file.
        patience_s: may be infinite; at 0 nothing is waited for.
        interrupted: becomes true when there is no point in waiting any longer.

    Raises:
        OSError: the file system has no locks.
    """
    deadline_s = time.monotonic() + patience_s
    while not _locked(descriptor):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or interrupted():
            return False
        time.sleep(min(PERIOD_S, left_s))
    return True


def is_locked(descriptor: int) -> bool:
    """Whether another process holds the lock of an open file now; asked without keeping it, also of a read-only file.

    On a file system without locks, nobody holds one.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        text = f"file locks (flock) do not work on this file system: {error.strerror}"
        raise OSError(error.errno or errno.ENOLCK, text) from error
    return True
