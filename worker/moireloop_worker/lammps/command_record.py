"""The commands that LAMMPS was given, kept in a file that LAMMPS can run again (adapter).

A `run` that ended before its time has the steps that were done. The file is up to date at any moment, also when the
process is killed.
"""

from __future__ import annotations

import logging
from io import FileIO
from pathlib import Path

log = logging.getLogger(__name__)


class CommandRecord:
    """One file of LAMMPS commands; without a path nothing is written. A failing disk only ends the record."""

    def __init__(self, path: Path | None, heading: tuple[str, ...] = ()) -> None:
        self._file: FileIO | None = None
        self._run_at: int | None = None
        if path is not None:
            try:
                self._file = FileIO(path, "w")
            except OSError as error:
                log.warning("commands are not recorded path=%s error=%s", path, error)
        for line in heading:
            self.remark(line)

    def command(self, command: str) -> None:
        """Record a command other than `run`."""
        self._write(command)

    def remark(self, text: str) -> None:
        """A line that LAMMPS does not read."""
        self.command(f"# {text}")

    def run(self, steps: int, words: str) -> None:
        """Record a `run` of a number of steps."""
        if self._file is not None:
            self._run_at = self._file.tell()
            self._write(f"run {steps} {words}")

    def ended_after(self, steps: int, words: str) -> None:
        """Record that the last `run` ended early, after a number of steps."""
        if self._file is not None and self._run_at is not None:
            self._file.seek(self._run_at)
            self._file.truncate()
            self._write(f"run {steps} {words}")

    def close(self) -> None:
        """End the record."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, line: str) -> None:
        if self._file is not None:
            try:
                self._file.write(line.encode() + b"\n")
            except OSError as error:
                log.warning("commands are recorded no further error=%s", error)
                self.close()
