"""LAMMPS on one rank, in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moireloop_worker.lammps.engine import Engine, LammpsError, Watch
from moireloop_worker.models.bead import Bead
from moireloop_worker.models.growth_model import Configuration, Plan, Stage
from moireloop_worker.models.settings import BeadSettings

SETTINGS = BeadSettings(
    cells=(6, 6), melt_steps=200, equilibrate_steps=50, anneal_steps=400, quench_steps=5000, damping_ps=0.1
)
PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.03}


class Recorder(Watch):
    """Keeps all frames; stops the run at a step."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self.frames: list[Configuration] = []
        self._stop_at = stop_at

    def frame(self, snapshot: Configuration) -> None:
        self.frames.append(snapshot)

    def stop(self, step: int) -> bool:
        return step >= self._stop_at


@pytest.fixture(scope="module")
def plan(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    prepared = tmp_path_factory.mktemp("prepared with blanks $HOME") / "start.data"
    engine.run(Bead(SETTINGS).preparation(0, engine.version).plan)
    engine.write_structure(prepared)
    return Bead(SETTINGS).plan(PARAMETERS, 7, str(prepared))


@pytest.fixture
def short(plan: Plan) -> Plan:
    return replace(plan, stages=tuple(replace(stage, steps=20) for stage in plan.stages))


def final(engine: Engine, plan: Plan, every_steps: int = 0) -> Configuration:
    snapshot = engine.run(plan, every_steps=every_steps).final
    assert snapshot is not None
    return snapshot


def test_chunks_do_not_change_the_trajectory(engine: Engine, plan: Plan) -> None:
    """A run with a look-up every 37 steps ends bit for bit where the unbroken one does, through the quench."""
    unbroken = final(engine, plan)
    chunked = final(engine, plan, every_steps=37)
    np.testing.assert_array_equal(chunked.positions, unbroken.positions)
    assert chunked.temperature_k == unbroken.temperature_k
    assert chunked.step == plan.steps == 5400


def test_quench_ends_cold(engine: Engine, plan: Plan) -> None:
    """The quench spans its stage exactly: 2000 K halfway down to 1000 K, and about 10 K, the lag, at its end."""
    watch = Recorder()
    ended = engine.run(plan, every_steps=100, watch=watch)
    halfway = [s.temperature_k or 0 for s in watch.frames if 2400 <= s.step <= 3400]
    assert np.mean(halfway) == pytest.approx(1000, rel=0.15)
    assert ended.final is not None
    assert 0 < (ended.final.temperature_k or 0) < 30


def test_frames_come_at_multiples_of_every_steps(engine: Engine, short: Plan) -> None:
    """Frames fall on multiples, across stages; the last step is the final snapshot and no frame."""
    watch = Recorder()
    ended = engine.run(short, every_steps=8, watch=watch)
    assert [s.step for s in watch.frames] == [8, 16, 24, 32]
    assert ended.final is not None
    assert ended.final.step == 40
    assert ended.final.time_ps == pytest.approx(0.16)


def test_snapshot_holds_the_deformed_cell_and_both_layers(engine: Engine, short: Plan) -> None:
    """Positions are float32 (N, 3), types uint8, the cell is the strained and sheared one."""
    snapshot = final(engine, short)
    side = 6 * 3.16 * 1.01
    height = side * np.sqrt(0.75)
    expected = [[side, 0, 0], [side / 2 + 0.03 * height, height, 0], [0, 0, 22.3]]
    np.testing.assert_allclose(snapshot.cell, expected, rtol=1e-12)
    assert snapshot.positions.dtype == np.float32
    assert snapshot.positions.shape == (72, 3)
    assert snapshot.positions.flags.c_contiguous
    assert snapshot.types.dtype == np.uint8
    heights = [snapshot.positions[snapshot.types == t][:, 2].mean() for t in (1, 2)]
    np.testing.assert_allclose(heights, [0, 6.3], atol=0.3)
    assert [int((snapshot.types == t).sum()) for t in (1, 2)] == [36, 36]


def test_atoms_keep_their_places_in_snapshots(engine: Engine, short: Plan) -> None:
    """LAMMPS sorts its atoms; snapshots keep them in the order of their ids."""
    sorting = replace(short, setup=(*short.setup, "atom_modify sort 5 4.0"))
    watch = Recorder()
    engine.run(sorting, every_steps=2, watch=watch)
    for before, after in zip(watch.frames, watch.frames[1:], strict=False):
        fractional = (after.positions - before.positions) @ np.linalg.inv(after.cell)
        moved = (fractional - np.round(fractional)) @ after.cell
        assert np.abs(moved).max() < 0.5


def test_atoms_with_gaps_in_their_ids_are_gathered_too(engine: Engine, short: Plan) -> None:
    """Ids 1 and 5 are deleted: the others come, in the order of their ids."""
    gaps = replace(short, forces=(*short.forces, "group gone id 1 5", "delete_atoms group gone compress no"))
    snapshot = final(engine, gaps)
    assert snapshot.positions.shape == (70, 3)
    assert np.isfinite(snapshot.positions).all()
    assert snapshot.types.shape == (70,)


def test_run_ends_early_on_request(engine: Engine, plan: Plan) -> None:
    """The watch asks for it after step 100: the run ends at the next look-up with the present snapshot."""
    ended = engine.run(plan, every_steps=37, watch=Recorder(stop_at=100))
    assert ended.stopped
    assert 100 <= ended.steps < plan.steps
    assert ended.final is not None
    assert ended.final.step == ended.steps


def test_error_is_lammpss_own_and_the_next_run_is_unharmed(engine: Engine, short: Plan) -> None:
    """A refused command and a run that explodes become LammpsError; the engine goes on as if nothing had been."""
    expected = final(engine, short).positions
    nonsense = replace(short, forces=(*short.forces, "fix wrong all nonsense"))
    with pytest.raises(LammpsError, match=r"Unrecognized fix style 'nonsense'.*\[fix wrong all nonsense\]"):
        engine.run(nonsense)
    explosion = replace(short, stages=(Stage("explode", ("velocity all set 1e6 0 0", "timestep 10"), 50),))
    with pytest.raises(LammpsError, match="ERROR"):
        engine.run(explosion)
    np.testing.assert_array_equal(final(engine, short).positions, expected)


def test_runs_leave_nothing_to_the_next(engine: Engine, short: Plan) -> None:
    """A variable of one run does not replace the next run's variable."""
    for side in (12.5, 14.0):
        setup = (f"variable side index {side}", "region r block 0 ${side} 0 9 0 9", "create_box 1 r", "mass 1 1")
        plan = Plan((), (*setup, "create_atoms 1 single 1 1 1"), ("fix f all nve",), (Stage("s", (), 1),), 0.001)
        assert final(engine, plan).cell[0, 0] == side


def test_log_goes_where_it_is_sent(
    engine: Engine, short: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LAMMPS writes its log into the given file, and nothing into the working directory."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    log_file = tmp_path / "run folder" / "log.lammps"
    log_file.parent.mkdir()
    engine.run(short, log_file=log_file)
    assert "langevin 2000.0 0.0" in log_file.read_text(encoding="utf-8")
    assert list(here.iterdir()) == []


def test_time_in_lammps_is_summed(engine: Engine, plan: Plan) -> None:
    """`md_s` grows by about the wall time of a run."""
    before = engine.md_s
    final(engine, plan)
    assert engine.md_s > before


def test_memory_does_not_grow(engine: Engine, short: Plan) -> None:
    """Of four blocks of 30 runs after a warm-up, runs that fail included, one at least takes less than 0.5 MB more.

    What a run leaks is missing in no block. What the allocator and the interpreter keep comes in few of them.
    """
    bad = replace(short, forces=(*short.forces, "nonsense"))

    def runs(count: int) -> None:
        for number in range(count):
            engine.run(short, every_steps=10)
            if number % 10 == 0:
                with pytest.raises(LammpsError):
                    engine.run(bad)

    def grown_by() -> int:
        before = resident_bytes()
        runs(30)
        return resident_bytes() - before

    runs(60)
    assert min(grown_by() for _ in range(4)) < 0.5e6


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


class StepsAsked(Recorder):
    """Notes the steps at which it is asked whether to stop, and how soon after its step each frame came."""

    within_a_frame = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.seen_at: list[int] = []

    def stop(self, step: int) -> bool:
        self.asked.append(step)
        self.seen_at += [step] * (len(self.frames) - len(self.seen_at))
        return False


def test_within_a_frame_it_is_asked_at_each_frame_and_between(engine: Engine, plan: Plan) -> None:
    """Frames are handed over at their own step, and the watch is asked before the next one is due."""
    watch = StepsAsked()
    every_steps = 10_000
    slow = replace(plan, stages=(replace(plan.stages[0], steps=3 * every_steps),))
    ended = engine.run(slow, every_steps=every_steps, watch=watch)
    assert ended.final is not None
    assert [s.step for s in watch.frames] == watch.seen_at == [10_000, 20_000]
    assert [step for step in watch.asked if 10_000 < step < 20_000]
    np.testing.assert_array_equal(ended.final.positions, final(engine, slow).positions)
