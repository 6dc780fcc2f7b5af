"""The commands that LAMMPS was given, kept in a file that LAMMPS can run again (adapter).

Steps that were run in pieces stand there as one `run`. The file is up to date at any moment, also when the process
is killed.
"""

from __future__ import annotations

import logging
from io import FileIO
from pathlib import Path

log = logging.getLogger(__name__)


class CommandRecord:
    """One file of LAMMPS commands; without a path nothing is written. A disk that fails ends the record, no more."""

    def __init__(self, path: Path | None, heading: tuple[str, ...] = ()) -> None:
        self._file: FileIO | None = None
        self._run_at: int | None = None
        self._run_steps = 0
        if path is not None:
            try:
                self._file = FileIO(path, "w")
            except OSError as error:
                log.warning("commands are not recorded path=%s error=%s", path, error)
        for line in heading:
            self.remark(line)

    def command(self, command: str) -> None:
        """LAMMPS is given a command that is no `run`."""
        self._run_at = None
        self._write(command)

    def remark(self, text: str) -> None:
        """A line that LAMMPS does not read. The next `run` is one of its own."""
        self.command(f"# {text}")

    def run(self, steps: int, words: str) -> None:
        """LAMMPS is to run so many steps; right after another `run` they are steps of that one."""
        if self._file is None:
            return
        if self._run_at is None:
            self._run_at, self._run_steps = self._file.tell(), 0
        self._run_steps += steps
        self._file.seek(self._run_at)
        self._write(f"run {self._run_steps} {words}")

    def close(self) -> None:
        """Write no more."""
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
