"""What all ranks of a worker do together with one candidate (adapter)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mpi4py import MPI

from moireloop_broker.state.work_queue import Lease
from moireloop_worker.lammps.engine import ALL_ATOMS, Engine, Watch
from moireloop_worker.lammps.restarts import RestartFiles, RestartPoint
from moireloop_worker.lammps.writable import make_room
from moireloop_worker.models.growth_model import (
    Configuration,
    GrowthModel,
    Plan,
    Preparation,
    Selection,
    Still,
    content_key,
    name_of,
    restart_key,
    run_seed,
)
from moireloop_worker.run.force_field import sha256_of_files
from moireloop_worker.run.preparation import PreparedStructures, prepared_structure
from moireloop_worker.run.ranks import on_first_rank


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A run that came to an end, by itself or `stopped` by its watch; `final` is there on rank 0.

    With `goes_on` it was stopped so that another attempt goes on from there.
    """

    steps: int
    planned_steps: int
    stopped: bool
    final: Configuration | None
    run_seed: int
    preparation_key: str
    resumed_from: RestartPoint | None = None
    goes_on: bool = False


class Evaluator:
    """Runs candidates of one growth model in one engine.

    Args:
        folder: the campaign's folder; runs go to runs/CANDIDATE/attempt-N, prepared structures to prepared.
        every_steps: steps between frames.
        restart_s: wall time in seconds between two restart files.
        selection: the atoms in frames, and when each rank sends its own part of them.
        passed_over: called on rank 0 with the reason when the newest restart file of a run is not used.
    """

    def __init__(
        self,
        communicator: MPI.Intracomm,
        engine: Engine,
        model: GrowthModel,
        folder: Path,
        every_steps: int,
        restart_s: float = 300.0,
        selection: Selection = ALL_ATOMS,
        passed_over: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.engine = engine
        self.model = model
        self._comm = communicator
        self._folder = folder
        self._structures = PreparedStructures(folder / "prepared")
        self._every_steps = every_steps
        self._restart_s = restart_s
        self.force_field_sha256 = sha256_of_files(model.potential_files)
        self._selection = selection
        self._passed_over = passed_over
        self.is_carried_on = True
        """Whether the present run leaves restart files from which another attempt goes on."""

    def evaluate(self, lease: Lease, watch: Watch) -> Evaluated:
        """Prepare and run a candidate. All ranks call it.

        Raises:
            LammpsError, NotMolten, ParametersRefused, CannotWrite, PreparationStopped: on all ranks.
        """
        candidate = lease.candidate
        seed = run_seed(candidate.seed, lease.attempt)
        preparation = self._preparation(candidate.seed)
        prepared, key = None, ""
        if preparation is not None:
            restarts = self._structures.restarts(preparation.key, self.engine.version, self._restart_s)
            prepared = prepared_structure(self._comm, self.engine, self._structures, preparation, watch, restarts)
            key = preparation.key
        plan = self.model.plan(candidate.parameters, seed, prepared)
        if isinstance(plan, Still):
            self.is_carried_on = False
            return Evaluated(0, 0, False, plan.snapshot, seed, key)
        files = self._restarts(lease, prepared)
        self.is_carried_on = files is not None
        return self._run(plan, self.run_folder(lease), watch, seed, key, files)

    def run_folder(self, lease: Lease) -> Path:
        """Where LAMMPS's input, log and final structure of this attempt go."""
        return self._attempt_folder(lease, lease.attempt)

    def forget_restarts(self, lease: Lease) -> None:
        """The run of this lease came to its end: its restart files, of all attempts, are not needed any more."""
        RestartFiles(self.run_folder(lease), "", 0, self._restart_s, self._earlier(lease)).remove()

    def _preparation(self, candidate_seed: int) -> Preparation | None:
        """What to prepare. Another content of the force field's files is another preparation."""
        preparation = self.model.preparation(candidate_seed, self.engine.version)
        if preparation is None or not self.force_field_sha256:
            return preparation
        return replace(preparation, key=name_of(f"{preparation.key} {self.force_field_sha256}"))

    def _attempt_folder(self, lease: Lease, attempt: int) -> Path:
        return self._folder / "runs" / lease.candidate.candidate_id / f"attempt-{attempt}"

    def _earlier(self, lease: Lease) -> list[Path]:
        return [self._attempt_folder(lease, attempt) for attempt in range(1, lease.attempt)]

    def _restarts(self, lease: Lease, prepared: str | None) -> RestartFiles | None:
        """The candidate's restart files. Attempts differ in nothing but their seeds, which are left out of the key."""
        plan = self.model.plan(lease.candidate.parameters, 1, prepared)
        if isinstance(plan, Still) or not plan.goes_on:
            return None
        version = self.engine.version
        key, older = (name(plan, version) + self.force_field_sha256 for name in (restart_key, content_key))
        folder, earlier = self.run_folder(lease), self._earlier(lease)
        return RestartFiles(folder, key, version, self._restart_s, earlier, {older}, self._passed_over)

    def _run(
        self, plan: Plan, folder: Path, watch: Watch, seed: int, key: str, restarts: RestartFiles | None
    ) -> Evaluated:
        on_first_rank(self._comm, lambda: make_room(folder))
        watch.begin(plan.steps)
        ended = self.engine.run(
            plan,
            log_file=folder / "log.lammps",
            input_file=folder / "input.lammps",
            every_steps=self._every_steps,
            selection=self._selection,
            watch=watch,
            restarts=restarts,
        )
        if not ended.goes_on:
            self.engine.write_final(plan, folder / "final.data", folder / "final.extxyz")
            on_first_rank(self._comm, lambda: make_room(folder))
        return Evaluated(
            steps=ended.steps,
            planned_steps=plan.steps,
            stopped=ended.stopped,
            final=ended.final,
            run_seed=seed,
            preparation_key=key,
            resumed_from=ended.resumed_from,
            goes_on=ended.goes_on,
        )
