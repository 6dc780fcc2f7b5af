"""Locks of files that somebody else holds."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from moireloop_broker.processes.file_lock import locks_within


def opened(path: Path) -> int:
    """A separate descriptor, as in another process."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def test_lock_is_for_one_and_free_when_it_is_closed(tmp_path: Path) -> None:
    """Without patience the second is refused at once; with some it gets the lock as soon as it is free."""
    first, second = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert locks_within(first, 0.0)
    assert not locks_within(second, 0.0)
    threading.Timer(0.05, os.close, [first]).start()
    assert locks_within(second, 30.0)
    os.close(second)


def test_patience_ends(tmp_path: Path) -> None:
    """After the seconds that were given, or as soon as the wait is interrupted."""
    first, second = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert locks_within(first, 0.0)
    begun_s = time.monotonic()
    assert not locks_within(second, 0.1)
    assert time.monotonic() - begun_s >= 0.1
    asked = iter([False, True])
    assert not locks_within(second, float("inf"), lambda: next(asked))
    os.close(first)
    os.close(second)
