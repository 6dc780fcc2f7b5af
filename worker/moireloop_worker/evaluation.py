"""What all ranks of a worker do together with one candidate (adapter)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpi4py import MPI

from moireloop_broker.work_queue import Lease
from moireloop_worker.engine import Engine, Watch
from moireloop_worker.growth import GrowthModel, Plan, Snapshot, Still, run_seed
from moireloop_worker.preparation import PreparedStructures, prepared_structure


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A run that came to an end, by itself or `stopped` by its watch; `final` is there on rank 0."""

    steps: int
    planned_steps: int
    stopped: bool
    final: Snapshot | None
    run_seed: int
    preparation_key: str


class Evaluator:
    """Runs candidates of one growth model in one engine.

    Args:
        folder: the campaign's folder; runs go to runs/CANDIDATE/attempt-N, prepared structures to prepared.
        every_steps: steps between frames.
    """

    def __init__(
        self, communicator: MPI.Intracomm, engine: Engine, model: GrowthModel, folder: Path, every_steps: int
    ) -> None:
        self.engine = engine
        self.model = model
        self._comm = communicator
        self._folder = folder
        self._structures = PreparedStructures(folder / "prepared")
        self._every_steps = every_steps

    def evaluate(self, lease: Lease, watch: Watch) -> Evaluated:
        """Prepare and run a candidate. All ranks call it.

        Raises:
            LammpsError, NotMolten, ParametersRefused, PreparationStopped: on all ranks.
        """
        candidate = lease.candidate
        seed = run_seed(candidate.seed, lease.attempt)
        preparation = self.model.preparation(candidate.seed, self.engine.version)
        prepared, key = None, ""
        if preparation is not None:
            prepared = prepared_structure(self._comm, self.engine, self._structures, preparation, watch)
            key = preparation.key
        plan = self.model.plan(candidate.parameters, seed, prepared)
        if isinstance(plan, Still):
            return Evaluated(0, 0, False, plan.snapshot, seed, key)
        return self._run(plan, self.run_folder(lease), watch, seed, key)

    def run_folder(self, lease: Lease) -> Path:
        """Where LAMMPS's log of this attempt goes."""
        return self._folder / "runs" / lease.candidate.candidate_id / f"attempt-{lease.attempt}"

    def _run(self, plan: Plan, folder: Path, watch: Watch, seed: int, key: str) -> Evaluated:
        if self._comm.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
        log_file = folder / "log.lammps"
        watch.begin(plan.steps)
        ended = self.engine.run(plan, log_file=log_file, every_steps=self._every_steps, watch=watch)
        return Evaluated(ended.steps, plan.steps, ended.stopped, ended.final, seed, key)
