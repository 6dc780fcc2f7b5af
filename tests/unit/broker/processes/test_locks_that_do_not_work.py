"""A file that cannot be locked is distinguished from one that another process has locked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moireloop_broker.processes.file_lock import locks_within


def test_want_of_file_locks_is_named(tmp_path: Path) -> None:
    """The system refuses to lock what was opened as a mere place: the error says what does not work."""
    path = tmp_path / "lock"
    path.touch()
    descriptor = os.open(path, os.O_PATH)
    try:
        with pytest.raises(OSError, match=r"file locks \(flock\) do not work on this file system: Bad file"):
            locks_within(descriptor, 0.0)
    finally:
        os.close(descriptor)
