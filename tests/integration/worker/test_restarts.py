"""Runs that are interrupted and go on from a restart file, on one rank in this process."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from moireloop_worker.lammps.engine import Ended, Engine, LammpsError, Watch
from moireloop_worker.lammps.restarts import RestartFiles
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import Plan, Stage
from moireloop_worker.models.settings import BeadSettings
from moireloop_worker.run.molten import NotMolten
from moireloop_worker.run.preparation import PreparationStopped, PreparedStructures, prepared_structure
from tests.integration.worker.lammps_files import Floats, data_of, thermo_of
from tests.integration.worker.stop_at import StopAt

SETTINGS = BeadSettings(cells=(6, 6), melt_steps=200, equilibrate_steps=50, anneal_steps=400, quench_steps=3000)
PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.03}
DIGITS = "thermo_modify format float %.15g"


@pytest.fixture(scope="module")
def plan(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The bead model's run, with its temperature in the log at each step to the last digit."""
    prepared = tmp_path_factory.mktemp("prepared") / "start.data"
    engine.run(Bead(SETTINGS).preparation(0, engine.version).plan)
    engine.write_structure(prepared)
    made = Bead(SETTINGS).plan(PARAMETERS, 7, str(prepared))
    return replace(made, forces=(*made.forces, "thermo 1", DIGITS))


@pytest.fixture
def newton(plan: Plan) -> Plan:
    """The same without a thermostat: 300 steps that Newton's equations fix."""
    stages = [replace(s, commands=tuple(c for c in s.commands if "heat" not in c), steps=150) for s in plan.stages]
    return replace(plan, stages=tuple(stages))


@pytest.fixture
def rescaled(plan: Plan) -> Plan:
    """A thermostat without noise, which brings the temperature to the ramp's value at each step: 1000 K, then to 10."""
    velocity = plan.stages[0].commands[0]
    return replace(
        plan,
        stages=(
            Stage("hold", (velocity, "fix t all temp/rescale 1 1000 1000 0 1"), 100),
            Stage("quench", ("unfix t", "fix t all temp/rescale 1 1000 10 0 1"), 200),
        ),
    )


def files(engine: Engine, attempt: Path, *earlier: Path, every_s: float = 1e6) -> RestartFiles:
    return RestartFiles(attempt, "this plan", engine.version, every_s, earlier)


def interrupted(engine: Engine, plan: Plan, folder: Path, step: int) -> Ended:
    """The first attempt: it ends within 32 steps of a step, or on the border of its stage, with a restart file."""
    folder.mkdir(parents=True, exist_ok=True)
    ended = engine.run(
        plan,
        log_file=folder / "log.lammps",
        every_steps=1,
        watch=StopAt(step),
        restarts=files(engine, folder),
    )
    assert ended.goes_on
    assert step <= ended.steps < min(plan.steps, step + 32)
    return ended


def resumed(engine: Engine, plan: Plan, folder: Path, *earlier: Path, watch: Watch | None = None) -> Ended:
    """A later attempt, run to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    restarts = files(engine, folder, *earlier)
    return engine.run(plan, log_file=folder / "log.lammps", every_steps=10, watch=watch, restarts=restarts)


def end_state(engine: Engine, folder: Path) -> tuple[Floats, Floats]:
    engine.write_structure(folder / "end.data")
    return data_of(folder / "end.data")


def steps_kept(folder: Path) -> list[int]:
    """The steps of the restart files that have a sidecar."""
    return sorted(int(path.name.split(".")[1]) for path in folder.glob("restart.*.json"))


@pytest.mark.parametrize("step", [40, 150, 250])
def test_newtons_trajectory_is_the_same(engine: Engine, newton: Plan, tmp_path: Path, step: int) -> None:
    """Without noise, an interrupted run ends where the unbroken one does: positions to 1e-6 A, springs and all.

    Step 150 is the border of its two stages.
    """
    engine.run(newton)
    expected = end_state(engine, tmp_path)
    interrupted(engine, newton, tmp_path / "attempt-1", step)
    ended = resumed(engine, newton, tmp_path / "attempt-2", tmp_path / "attempt-1")
    found = end_state(engine, tmp_path)
    assert ended.steps == 300
    assert ended.resumed_from is not None
    assert ended.resumed_from.origin == "attempt-1"
    np.testing.assert_allclose(found[0], expected[0], atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)


@pytest.mark.parametrize("step", [40, 100, 250])
def test_schedule_is_neither_repeated_nor_skipped(engine: Engine, rescaled: Plan, tmp_path: Path, step: int) -> None:
    """The logs of both attempts, joined, have each step once, and at each the temperature that the ramp has there.

    Step 100 is the border of its two stages.
    """
    first = interrupted(engine, rescaled, tmp_path / "attempt-1", step)
    resumed(engine, rescaled, tmp_path / "attempt-2", tmp_path / "attempt-1")
    before, after = (thermo_of(tmp_path / name / "log.lammps") for name in ("attempt-1", "attempt-2"))
    assert before[-1][0] == after[0][0] == first.steps
    steps = [step for step, _ in before + after]
    assert all(later - step in (0, 1) for step, later in pairwise(steps))
    assert sorted(set(steps)) == list(range(301))
    for step, temperature_k in (before + after)[2:]:
        ramp_k = 1000.0 if step <= 100 else 1000 - 990 * (step - 100) / 200
        assert step == 0 or temperature_k == pytest.approx(ramp_k, rel=1e-9)


@pytest.mark.parametrize("step", [200, 1500])
def test_resumed_run_is_continuous_with_its_thermostat(engine: Engine, plan: Plan, tmp_path: Path, step: int) -> None:
    """Langevin: the kinetic energy at the step of the restart is the same to the digits, the atoms move on from
    where they were, and the temperature follows the ramp of the unbroken quench to its end."""
    first = interrupted(engine, plan, tmp_path / "attempt-1", step)
    watch = StopAt(10**9)
    ended = resumed(engine, plan, tmp_path / "attempt-2", tmp_path / "attempt-1", watch=watch)
    before, after = (thermo_of(tmp_path / name / "log.lammps") for name in ("attempt-1", "attempt-2"))
    assert after[0][0] == before[-1][0]
    assert after[0][1] == pytest.approx(before[-1][1], rel=1e-12)
    assert first.final is not None
    assert watch.frames[0].step - first.steps <= 10
    moved = (watch.frames[0].positions - first.final.positions) @ np.linalg.inv(first.final.cell)
    assert np.abs((moved - np.round(moved)) @ first.final.cell).max() < 1.0
    assert ended.steps == plan.steps == 3400
    halfway = [s.temperature_k or 0 for s in watch.frames if 1700 <= s.step <= 2100]
    assert np.mean(halfway) == pytest.approx(1000, rel=0.2)
    assert ended.final is not None
    assert 0 < (ended.final.temperature_k or 0) < 100


def test_restart_files_come_at_an_interval_and_two_are_kept(engine: Engine, plan: Plan, tmp_path: Path) -> None:
    """One is due at each look-up here: the newest two are kept, each with a sidecar, and nothing else is left."""
    restarts = files(engine, tmp_path, every_s=0.0)
    ended = engine.run(plan, every_steps=10, restarts=restarts)
    kept = steps_kept(tmp_path)
    assert len(kept) == 2
    assert 0 < kept[0] < kept[1] < plan.steps
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"restart.{step}{end}" for step in kept for end in ("", ".json")
    )
    assert (ended.steps, ended.resumed_from) == (3400, None)
    newest = json.loads((tmp_path / f"restart.{kept[1]}.json").read_text(encoding="utf-8"))
    assert newest["step"] == kept[1]
    assert newest["time_ps"] == pytest.approx(kept[1] * 0.004)
    restarts.remove()
    assert list(tmp_path.iterdir()) == []


def test_files_of_earlier_attempts_go_when_there_are_two_newer_ones(engine: Engine, plan: Plan, tmp_path: Path) -> None:
    """An attempt that has written two files needs no earlier attempt's files."""
    first, second = tmp_path / "attempt-1", tmp_path / "attempt-2"
    interrupted(engine, plan, first, 100)
    engine.run(plan, every_steps=10, restarts=files(engine, second, first, every_s=0.0))
    assert steps_kept(first) == []
    assert len(steps_kept(second)) == 2


@pytest.fixture
def two_kept(engine: Engine, plan: Plan, tmp_path: Path) -> Path:
    """The folder of an attempt that left two restart files."""
    folder = tmp_path / "attempt-1"
    engine.run(plan, every_steps=10, restarts=files(engine, folder, every_s=0.0), watch=StopAt(600))
    assert len(steps_kept(folder)) == 2
    return folder


def damaged(path: Path, how: str) -> None:
    sidecar = path.with_name(path.name + ".json")
    whole = path.read_bytes()
    fields = json.loads(sidecar.read_text(encoding="utf-8"))
    match how:
        case "cut":
            path.write_bytes(whole[:-1000])
        case "flipped":
            path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
        case "gone":
            path.unlink()
        case "sidecar cut":
            sidecar.write_text(sidecar.read_text(encoding="utf-8")[:-20], encoding="utf-8")
        case "another plan":
            sidecar.write_text(json.dumps({**fields, "key": "that plan"}), encoding="utf-8")
        case "another LAMMPS":
            sidecar.write_text(json.dumps({**fields, "lammps_version": 20200303}), encoding="utf-8")


@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "sidecar cut", "another plan", "another LAMMPS"])
def test_damaged_file_is_passed_over_for_the_one_before(
    engine: Engine, plan: Plan, two_kept: Path, tmp_path: Path, how: str
) -> None:
    """The newest is damaged or not ours: the run goes on from the one before. Both are: it starts over."""
    older, newer = steps_kept(two_kept)
    damaged(two_kept / f"restart.{newer}", how)
    ended = resumed(engine, plan, tmp_path / "attempt-2", two_kept)
    assert ended.resumed_from is not None
    assert ended.resumed_from.step == older
    assert ended.steps == plan.steps
    damaged(two_kept / f"restart.{older}", how)
    ended = resumed(engine, plan, tmp_path / "attempt-3", tmp_path / "attempt-2", two_kept)
    assert (ended.resumed_from, ended.steps) == (None, plan.steps)


def test_error_of_lammps_removes_them(engine: Engine, plan: Plan, two_kept: Path, tmp_path: Path) -> None:
    """What ended with an error starts over: neither its own restart files nor earlier attempts' are left."""
    bad = replace(plan, stages=(*plan.stages[:-1], replace(plan.stages[-1], commands=("nonsense",))))
    second = tmp_path / "attempt-2"
    with pytest.raises(LammpsError, match="nonsense"):
        engine.run(bad, every_steps=10, restarts=files(engine, second, two_kept, every_s=0.0))
    assert steps_kept(two_kept) == steps_kept(second) == []
    assert files(engine, tmp_path / "attempt-3", second, two_kept).find() is None


def test_folder_that_cannot_be_written_costs_the_file_but_not_the_run(
    engine: Engine, plan: Plan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file stands where the folder should be: each restart file is missed with a warning, and the run ends well."""
    (tmp_path / "taken").write_text("", encoding="ascii")
    ended = engine.run(plan, every_steps=10, restarts=files(engine, tmp_path / "taken", every_s=0.0))
    assert ended.steps == plan.steps
    assert "file cannot be written" in caplog.text


def test_file_that_lammps_could_not_finish_is_dropped(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """LAMMPS tells a full disk in a warning alone: a file without its last bytes is not kept."""
    restarts = files(engine, tmp_path)
    raw = restarts.raw()
    assert raw is not None
    raw.write_bytes(b"LammpS RestartT\0 and then the disk was full")
    restarts.keep(raw, 100, 0.4)
    assert list(tmp_path.iterdir()) == []
    assert "restart file is lost step=100" in caplog.text


def test_preparation_goes_on_where_it_was(engine: Engine, tmp_path: Path) -> None:
    """A preparation that is stopped leaves a restart file, the next one goes on from it and removes it."""
    structures = PreparedStructures(tmp_path)
    made = Bead(SETTINGS).preparation(0, engine.version)
    preparation = replace(made, plan=replace(made.plan, forces=(*made.plan.forces, "thermo 1")))
    with pytest.raises(PreparationStopped):
        prepared(engine, structures, preparation.key, preparation, StopAt(100))
    (kept,) = steps_kept(tmp_path / f"{preparation.key}.restarts")
    assert 100 <= kept < 250
    path = prepared(engine, structures, preparation.key, preparation, Watch())
    assert structures.find(preparation.key) == path
    assert list((tmp_path / f"{preparation.key}.restarts").iterdir()) == []
    steps = [step for step, _ in thermo_of(structures.log_file(preparation.key))]
    assert all(later - step in (0, 1) for step, later in pairwise(steps))
    assert sorted(set(steps)) == list(range(251))


def test_preparation_that_does_not_melt_ends_at_its_check(engine: Engine, tmp_path: Path) -> None:
    """It is given up where it must be molten, behind which no restart file is written, and leaves none."""
    structures = PreparedStructures(tmp_path)
    cold = BeadSettings(cells=(6, 6), melt_steps=200, melt_k=300.0, equilibrate_steps=300)
    preparation = Bead(cold).preparation(0, engine.version)
    restarts = structures.restarts(preparation.key, engine.version, 0.0)
    with pytest.raises(NotMolten, match="at step 200"):
        prepared_structure(MPI.COMM_WORLD, engine, structures, preparation, Watch(), restarts)
    assert thermo_of(structures.log_file(preparation.key))[-1][0] == 200
    assert list((tmp_path / f"{preparation.key}.restarts").iterdir()) == []


def prepared(engine: Engine, structures: PreparedStructures, key: str, preparation: object, watch: Watch) -> Path:
    restarts = structures.restarts(key, engine.version, 1e6)
    return Path(prepared_structure(MPI.COMM_WORLD, engine, structures, preparation, watch, restarts))  # type: ignore[arg-type]
