"""Files written whole or not at all, and their digests (adapter)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`; it replaces `path` when the block succeeds and is removed when it fails.

    Only the user can read the new file (mode 0600).
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_synced(path: Path, content: str | bytes) -> None:
    """Write a file of mode 0600, whole or not at all; it survives a power failure. Raises OSError."""
    with replaced_whole(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        synced(temporary)
    synced(path.parent)


def take_over(written: Path, path: Path) -> Path:
    """Replace `path` by a file that another program wrote; it survives a power failure. Raises OSError."""
    synced(written)
    return written.replace(path)


def synced(path: Path) -> None:
    """Make writes to a file or folder survive a power failure. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
