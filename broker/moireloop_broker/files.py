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
    """A file beside `path` to write; it takes its place when the block ends well, and goes when it fails.

    The new file can be read only by the user (mode 0600).
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
    """Write a file of mode 0600 whole or not at all, so that it also outlasts a power cut. Raises OSError."""
    with replaced_whole(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        synced(temporary)
    synced(path.parent)


def take_over(written: Path, path: Path) -> Path:
    """Put a file that another program wrote instead of `path`, so that it outlasts a power cut. Raises OSError."""
    synced(written)
    return written.replace(path)


def synced(path: Path) -> None:
    """Have what was written to a file or folder outlast a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
