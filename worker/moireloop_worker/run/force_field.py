"""Which force field it was: SHA-256 of the files that it is read from (adapter)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from moireloop_broker.files import sha256_of_file

log = logging.getLogger(__name__)


def sha256_of_files(files: Sequence[Path]) -> str:
    """SHA-256 of each file in hexadecimal digits, separated by blanks; empty for none.

    A file that cannot be read is "unreadable": LAMMPS says what is wrong with it when it is to be used.
    """
    return " ".join(_sha256(file) for file in files)


def _sha256(file: Path) -> str:
    try:
        return sha256_of_file(file)
    except OSError as error:
        log.warning("force field cannot be read file=%s error=%s", file, error)
        return "unreadable"
