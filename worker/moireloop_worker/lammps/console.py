"""LAMMPS as all ranks of a communicator talk to it: commands in, errors sorted, time summed (adapter).

An error that LAMMPS raises on all ranks becomes LammpsError, and a new instance takes the place of the old one. An
error on a single rank leaves the others waiting inside MPI, so that rank says so and aborts the whole worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

from mpi4py import MPI

from moireloop_worker.lammps.capture import SnapshotRecorder, TooManyAtoms
from moireloop_worker.lammps.command_record import CommandRecord
from moireloop_worker.lammps.library import CommandAborted, CommandFailed, Lammps, LammpsLibrary, StepCallback
from moireloop_worker.lammps.totals import NotANumber
from moireloop_worker.models.growth_model import quoted

log = logging.getLogger(__name__)

ABORT_EXIT: Final = 70


class LammpsError(RuntimeError):
    """LAMMPS refused a command or gave up a run; the text is LAMMPS's own message."""


class Console:
    """One LAMMPS in one communicator; all ranks make the same calls.

    Args:
        on_lone_error: called with LAMMPS's message on the one rank that failed, right before the worker is aborted.

    `record` gets the commands that belong to a run; `md_s` sums the time inside LAMMPS, `held_up_s` what
    callbacks took meanwhile. `recorder` and `callback`
    belong to the present instance. `pace_s` is how long a step took of late, by the number of atoms.

    Raises:
        LibraryUnusable: as Engine.
    """

    def __init__(
        self,
        communicator: MPI.Intracomm,
        library: str | None,
        arguments: Sequence[str],
        on_lone_error: Callable[[str], None],
    ) -> None:
        self.comm = communicator.Dup()
        self.record = CommandRecord(None)
        self.md_s = self.held_up_s = 0.0
        self.pace_s: dict[int, float] = {}
        self._library = LammpsLibrary(library)
        self._arguments = tuple(arguments)
        self._on_lone_error = on_lone_error
        self._lammps: Lammps | None = None
        self._open()
        self.version = self.lammps.version()

    @property
    def lammps(self) -> Lammps:
        """The present instance."""
        if self._lammps is None:
            raise RuntimeError("expected an open LAMMPS: run a plan first")
        return self._lammps

    def renew(self, log_file: Path | None, *, going_on: bool) -> None:
        """An empty LAMMPS. `clear` costs a tenth of a new instance and does not let memory grow.

        What `clear` leaves standing, the log and variables, is dealt with here. After an error the instance is new.
        """
        if self._lammps is None:
            self._open()
        self.command("log none")
        self.command("clear")
        for name in self.lammps.variables():
            self.command(f"variable {name} delete")
        if log_file is not None:
            self.command(f"log {quoted(str(log_file))}{' append' if going_on else ''}")

    def tell(self, command: str) -> None:
        """A command that belongs to the run: it is recorded, too. Raises LammpsError."""
        self.record.command(command)
        self.command(command)

    def command(self, command: str) -> None:
        """A command. Raises LammpsError."""
        began, held_up_s = time.perf_counter(), self.callback.held_up_s
        try:
            self.lammps.command(command)
        except CommandAborted as error:
            self.abort(_message(str(error), command))
        except CommandFailed as error:
            self.close()
            raise LammpsError(_message(str(error), command)) from None
        finally:
            held_up_s = self.callback.held_up_s - held_up_s
            self.held_up_s += held_up_s
            self.md_s += time.perf_counter() - began - held_up_s

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """A fault that all ranks find in a run is a LammpsError too, even where LAMMPS itself would continue."""
        try:
            yield
        except (NotANumber, TooManyAtoms) as error:
            self.close()
            raise LammpsError(str(error)) from None

    def from_first(self, decide: Callable[[], Any]) -> Any:
        """What rank 0 decides, on all ranks."""
        if self.comm.size == 1:
            return decide()
        return self.comm.bcast(decide() if self.comm.rank == 0 else None)

    def close(self) -> None:
        """Give LAMMPS back; the next `renew` opens another."""
        if self._lammps is not None:
            self._lammps.close()
            self._lammps = None

    def _open(self) -> None:
        began = time.perf_counter()
        self._lammps = self._library.open(self.comm, self._arguments)
        self.recorder = SnapshotRecorder(self._lammps, self.comm)
        self.callback = StepCallback(self._lammps)
        self.md_s += time.perf_counter() - began

    def abort(self, message: str) -> NoReturn:
        """End all ranks: the others wait inside LAMMPS for this one."""
        log.critical("failed on one rank rank=%d message=%s", self.comm.rank, message)
        try:
            self._on_lone_error(message)
        finally:
            MPI.COMM_WORLD.Abort(ABORT_EXIT)
        raise AssertionError("unreachable")


def _message(text: str, command: str) -> str:
    """LAMMPS's message and the command that led to it, without what LAMMPS says of its manual and its parser."""
    drop = ("For more information", "Last input line", "--> parsed line", "^")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{' '.join(line for line in lines if not line.startswith(drop))} [{command}]"
