"""What a run leaves in its folder: the input that LAMMPS was given, its log, and the final structure in two formats."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from moireloop_broker.contract.events import Candidate
from moireloop_broker.state.work_queue.leases import Lease
from moireloop_worker.lammps.engine import Engine, Watch
from moireloop_worker.lammps.schedule import FRAMES_AT_ONCE
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import Configuration, Plan
from moireloop_worker.models.noop import Noop
from moireloop_worker.models.settings import BeadSettings, NoopSettings
from moireloop_worker.run.evaluation import Evaluated, Evaluator
from tests.integration.worker.lammps_files import Floats, cell_of, data_of, extxyz_of, thermo_of
from tests.integration.worker.stop_at import StopAt

SETTINGS = BeadSettings(cells=(6, 6), melt_steps=200, equilibrate_steps=50, anneal_steps=300, quench_steps=700)
LOOK_UP_STEPS = 64


@dataclass
class Runs:
    """One engine in the folder of a campaign, as a worker has it: LAMMPS is given paths within that folder."""

    engine: Engine
    folder: Path

    def run(self, model: Bead | Noop, attempt: int = 1, watch: Watch | None = None) -> Evaluated:
        parameters = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.02}
        candidate = Candidate(candidate_id="c0", parameters=parameters, seed=7, proposed_s=time.time())
        lease = Lease(candidate, attempt, "worker-0", 1.0, 2.0)
        evaluator = Evaluator(MPI.COMM_WORLD, self.engine, model, Path(), LOOK_UP_STEPS // FRAMES_AT_ONCE)
        return evaluator.evaluate(lease, watch or Watch())

    def of(self, attempt: int = 1) -> Path:
        return self.folder / "runs" / "c0" / f"attempt-{attempt}"


@pytest.fixture
def runs(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    monkeypatch.chdir(tmp_path)
    return Runs(engine, tmp_path)


def final_of(evaluated: Evaluated) -> Configuration:
    assert evaluated.final is not None
    return evaluated.final


def wrapped(positions: Floats, cell: Floats) -> Floats:
    """In-plane positions moved by whole cells into the one at the origin, heights as they are."""
    fractional = positions @ np.linalg.inv(cell)
    fractional[:, :2] %= 1
    folded: Floats = fractional @ cell
    return folded


def rerun(folder: Path, input_file: Path) -> Path:
    """Run an input by LAMMPS's own program in the campaign's folder; returns its log."""
    log_file = folder / "again.lammps"
    lmp = Path(sys.executable).parent / "lmp"
    command = [str(lmp), "-in", str(input_file), "-log", str(log_file), "-screen", "none"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return log_file


def loops(log_file: Path) -> list[int]:
    """The number of steps of each `run` of a log."""
    return [int(steps) for steps in re.findall(r"Loop time of .* for (\d+) steps", log_file.read_text())]


def test_final_structure_is_the_final_frame(runs: Runs) -> None:
    """final.data and final.extxyz have the positions, cell and step of the final frame, in the order of the ids."""
    final = final_of(runs.run(Bead(SETTINGS)))
    comment, species, numbers = extxyz_of(runs.of() / "final.extxyz")
    assert set(species) == {"X"}
    assert comment["Timestep"] == str(final.step) == "1000"
    cell = np.array(comment["Lattice"].split(), dtype=float).reshape(3, 3)
    np.testing.assert_allclose(cell, final.cell, rtol=1e-5)
    assert comment["Properties"] == "species:S:1:pos:R:3:vel:R:3"
    positions, velocities = data_of(runs.of() / "final.data")
    whole_cell = cell_of((runs.of() / "final.data").read_text())
    np.testing.assert_allclose(whole_cell, final.cell, rtol=1e-12)
    expected = wrapped(final.positions.astype(float), final.cell)
    for found in (numbers[:, :3], positions):
        moved = (wrapped(found, final.cell) - expected) @ np.linalg.inv(final.cell)
        np.testing.assert_allclose((moved - np.round(moved)) @ final.cell, 0, atol=1e-4)
    np.testing.assert_allclose(numbers[:, 3:6], velocities, rtol=1e-6, atol=1e-9)


def test_elements_stand_in_the_extended_xyz(runs: Runs) -> None:
    """A plan that names the elements of its atom types has them in the file."""

    class WithElements(Bead):
        def plan(self, parameters, seed, prepared) -> Plan:  # type: ignore[no-untyped-def]
            return replace(super().plan(parameters, seed, prepared), elements=("Mo", "W"))

    final = final_of(runs.run(WithElements(SETTINGS)))
    _, species, _ = extxyz_of(runs.of() / "final.extxyz")
    assert species == [{1: "Mo", 2: "W"}[int(kind)] for kind in final.types]


def test_input_runs_again_in_lammps_itself(runs: Runs) -> None:
    """`lmp -in input.lammps` in the campaign's folder: the same stages, steps and temperatures."""
    runs.run(Bead(SETTINGS))
    again = rerun(runs.folder, runs.of() / "input.lammps")
    assert loops(again) == [300, 700]
    (first, *_), (*_, last) = thermo_of(again), thermo_of(again)
    ours = thermo_of(runs.of() / "log.lammps")
    assert (first, last) == (ours[0], ours[-1])
    assert last[0] == 1000


def test_input_of_a_resumed_attempt_runs_again_too(runs: Runs) -> None:
    """It begins with the restart file and has the rest of the schedule, its ramps spanning the whole stages."""
    first = runs.run(Bead(SETTINGS), watch=StopAt(400, goes_on=True))
    assert 400 <= first.steps < 400 + LOOK_UP_STEPS
    assert sorted(p.name for p in runs.of(1).iterdir()) == [
        "input.lammps",
        "log.lammps",
        f"restart.{first.steps}",
        f"restart.{first.steps}.json",
    ]
    second = runs.run(Bead(SETTINGS), attempt=2)
    assert second.steps == 1000
    assert second.resumed_from is not None
    assert (second.resumed_from.origin, second.resumed_from.step) == ("attempt-1", first.steps)
    text = (runs.of(2) / "input.lammps").read_text()
    assert text.splitlines()[-1] == f"run {1000 - first.steps} start 300 stop 1000"
    again = rerun(runs.folder, runs.of(2) / "input.lammps")
    assert loops(again) == [1000 - first.steps]
    assert thermo_of(again)[-1] == thermo_of(runs.of(2) / "log.lammps")[-1]


def test_run_that_ended_early_has_its_structure_and_input(runs: Runs) -> None:
    """Stopped for good in the quench: the present structure is there, and the input has as many steps as were run."""
    evaluated = runs.run(Bead(SETTINGS), watch=StopAt(400, goes_on=False))
    final = final_of(evaluated)
    comment, _, _ = extxyz_of(runs.of() / "final.extxyz")
    assert comment["Timestep"] == str(final.step)
    assert (runs.of() / "input.lammps").read_text().splitlines()[-1] == (
        f"run {evaluated.steps - 300} start 300 stop 1000"
    )
    assert list(runs.of().glob("restart*")) == []


def test_lammps_without_the_style_costs_a_warning_alone(
    runs: Runs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LAMMPS that does not know extended XYZ: the run ends well, with the data file, and the next run too."""
    monkeypatch.setattr("moireloop_worker.lammps.engine.EXTXYZ", "no_such_style")
    other = Runs(Engine(MPI.COMM_WORLD), runs.folder)
    for attempt in (1, 2):
        assert other.run(Bead(SETTINGS), attempt).steps == 1000
        assert (runs.of(attempt) / "final.data").stat().st_size > 1000
        assert not (runs.of(attempt) / "final.extxyz").exists()
    assert caplog.text.count("Unrecognized dump style") == 1
    other.engine.close()


def test_model_without_md_writes_nothing(runs: Runs) -> None:
    """`noop` has no run folder."""
    runs.run(Noop(NoopSettings()))
    assert not (runs.folder / "runs").exists()


def test_force_field_is_named_by_its_content(runs: Runs) -> None:
    """SHA-256 of each potential file, as sha256sum says it; nothing for a model without files."""
    (runs.folder / "a.reax").write_bytes(b"force field")

    class WithFile(Bead):
        potential_files = (Path("a.reax"), Path("missing.reax"))

    evaluator = Evaluator(MPI.COMM_WORLD, runs.engine, WithFile(SETTINGS), Path(), 100)
    assert evaluator.force_field_sha256 == f"{hashlib.sha256(b'force field').hexdigest()} unreadable"
    assert Evaluator(MPI.COMM_WORLD, runs.engine, Bead(SETTINGS), Path(), 100).force_field_sha256 == ""


def test_plan_that_could_not_go_on_leaves_no_restart_file(runs: Runs) -> None:
    """What a restart file does not hold would be lost: it is given back as it is, and the next attempt is whole."""

    class Forgetful(Bead):
        def plan(self, parameters, seed, prepared) -> Plan:  # type: ignore[no-untyped-def]
            return replace(super().plan(parameters, seed, prepared), goes_on=False)

    first = runs.run(Forgetful(SETTINGS), watch=StopAt(400, goes_on=True))
    assert (first.stopped, first.goes_on) == (True, False)
    assert list(runs.of(1).glob("*restart*")) == []
    second = runs.run(Forgetful(SETTINGS), attempt=2)
    assert (second.steps, second.resumed_from) == (1000, None)
