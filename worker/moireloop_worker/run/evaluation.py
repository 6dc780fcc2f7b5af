"""What all ranks of a worker do together with one candidate (adapter)."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mpi4py import MPI

from moireloop_broker.files import replaced_whole, synced
from moireloop_broker.processes.file_lock import is_locked, locks_within
from moireloop_broker.state.work_queue.leases import Lease
from moireloop_worker.lammps.engine import ALL_ATOMS, Engine, Watch
from moireloop_worker.lammps.restarts import SIDECAR, RestartFiles, RestartPoint
from moireloop_worker.lammps.writable import make_room
from moireloop_worker.models.growth_model import (
    Configuration,
    GrowthModel,
    Plan,
    Preparation,
    Selection,
    Still,
    content_key,
    is_path_for_lammps,
    name_of,
    restart_key,
    run_seed,
)
from moireloop_worker.run.force_field import sha256_of_files
from moireloop_worker.run.preparation import PreparedStructures, prepared_structure
from moireloop_worker.run.ranks import CannotWrite, on_first_rank


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A run that came to an end, by itself or `stopped` by its watch; `final` is there on rank 0.

    With `goes_on` it was stopped so that another attempt continues from there.
    """

    steps: int
    planned_steps: int
    stopped: bool
    final: Configuration | None
    run_seed: int
    preparation_key: str
    resumed_from: RestartPoint | None = None
    goes_on: bool = False


PREFIX: Final = "moireloop-run-"

LOCK: Final = ".lock"
"""Held by the worker whose folder it is, for as long as it lives."""


class Scratch:
    """A folder of this worker on a disk of rank 0's node, in which runs write their files; none without `root`.

    LAMMPS writes and reads all files of a run on rank 0.

    Args:
        root: where to make it; a variable at its beginning has its value on rank 0.

    Raises:
        CannotWrite: on all ranks, when it cannot be made.
    """

    def __init__(self, communicator: MPI.Intracomm, root: str | None) -> None:
        self._comm = communicator
        self._root = root
        self._lock: int | None = None
        self._place: Path | None = None if root is None else on_first_rank(communicator, self._new_scratch_folder)

    def folder_for(self, folder: Path) -> Path:
        """Where the files of a run are written that belong into `folder`."""
        return folder if self._place is None else self._place / folder.parent.name / folder.name

    def bring_back(self, folder: Path) -> None:
        """Copy what a run has written into `folder`, restart files before what says that they are whole.

        Raises:
            CannotWrite: on all ranks.
        """
        if self._place is not None:
            on_first_rank(self._comm, lambda: _bring_back(self.folder_for(folder), folder))

    def close(self) -> None:
        """Remove it."""
        if self._place is not None and self._comm.rank == 0:
            shutil.rmtree(self._place, ignore_errors=True)

    def _new_scratch_folder(self) -> Path:
        root = Path(os.path.expandvars(self._root or ""))
        if not is_path_for_lammps(str(root)) or "$" in str(root):
            raise CannotWrite(f"expected workers.scratch to be a path that LAMMPS takes, got {root}")
        for lock in root.glob(f"{PREFIX}*/{LOCK}"):
            _remove_if_left(lock)
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        self._lock = os.open(place / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        locks_within(self._lock, 0.0)
        return place


def _remove_if_left(lock: Path) -> None:
    """Remove the folder of a worker that was killed on this node. Those of other users cannot be removed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(lock, os.O_RDWR)
        try:
            if not is_locked(descriptor):
                shutil.rmtree(lock.parent, ignore_errors=True)
        finally:
            os.close(descriptor)


def _bring_back(written: Path, folder: Path) -> None:
    if not written.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(written.iterdir(), key=lambda path: path.suffix == SIDECAR):
        with replaced_whole(folder / file.name) as temporary:
            shutil.copyfile(file, temporary)
            temporary.chmod(file.stat().st_mode)
            synced(temporary)
    shutil.rmtree(written)


class Evaluator:
    """Runs candidates of one growth model in one engine.

    Args:
        folder: the campaign's folder; runs go to runs/CANDIDATE/attempt-N, prepared structures to prepared.
        every_steps: steps between frames.
        restart_s: wall time in seconds between two restart files.
        selection: the atoms in frames, and when each rank sends its own part of them.
        passed_over: called on rank 0 with the reason when the newest restart file of a run is not used.
        scratch: folder on a disk of the node in which runs write their files, which are then copied into the
            campaign's folder.
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
        scratch: str | None = None,
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
        self.scratch = Scratch(communicator, scratch)
        self.is_carried_on = True
        """Whether the present run leaves restart files from which another attempt can continue."""

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
        folder = self.run_folder(lease)
        try:
            return self._run(plan, self.scratch.folder_for(folder), watch, seed, key, files)
        finally:
            self.scratch.bring_back(folder)

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
        folder, earlier = self.scratch.folder_for(self.run_folder(lease)), self._earlier(lease)
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
