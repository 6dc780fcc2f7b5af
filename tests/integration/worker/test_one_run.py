"""Each `run` of a growth script is one run of LAMMPS: what is tied to its beginning and end is as in `lmp` itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moireloop_worker.inputs.lammps_input import commands_of
from moireloop_worker.lammps.engine import Ended, Engine
from moireloop_worker.lammps.restarts import RestartFiles
from moireloop_worker.models.growth_model import Plan, run_seed
from moireloop_worker.models.script import Script
from tests.helpers.growth_scripts import settings
from tests.integration.worker.stop_at import StopAt

SEED = 5
NUMBERS = {"temperature_k": 60.0, "seed": SEED, "seed2": run_seed(SEED, 2), "frame_steps": 50, "mass": 40}
ARGON = """\
units metal
atom_modify map array
lattice custom 5.4 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0 0 0 basis 0.5 0.5 0 basis 0.5 0 0.5 basis 0 0.5 0.5
region cell block 0 3 0 3 0 3
create_box 2 cell
create_atoms 1 box basis 4 2
mass * {{mass}}
pair_style lj/cut 7.0
pair_coeff * * 0.0103 3.4
velocity all create {{temperature_k}} {{seed}} loop geom
timestep 0.002
thermo {{frame_steps}}
"""
NVE = "fix move all nve\n"
DIGITS = "thermo_modify format float %.12g\n"
ROW = "thermo_style custom step temp pe etotal press lx xy {}\n" + DIGITS
TILTED = ARGON.replace("create_box", "change_box all triclinic\ncreate_box").replace("change_box all triclinic\n", "")

TIED: dict[str, str] = {
    "elapsed": NVE
    + "variable f equal 0.02*(1-elapsed/600)\nfix push all addforce v_f 0 0\n"
    + ROW.format("v_f elapsed elaplong")
    + "run 200\nrun 400",
    "fix adapt reset": NVE
    + "variable e equal 0.0103*(1+step/300)\nfix soft all adapt 7 pair lj/cut epsilon 2 2 v_e reset yes\n"
    + ROW.format("")
    + "run 333\nrun 250",
    "fix adapt scale": NVE
    + "variable e equal ramp(1,3)\nfix soft all adapt 1 pair lj/cut epsilon 1 2 v_e scale yes reset yes\n"
    + ROW.format("v_e")
    + "run 300\nunfix soft\nrun 200",
    "ramp and its kin": NVE
    + "variable r equal ramp(0,0.01)\nvariable s equal swiggle(0,0.01,0.3)\nvariable c equal cwiggle(0,0.01,0.2)\n"
    + "variable d equal vdisplace(0,0.02)\nfix push all addforce v_r v_s v_c\n"
    + ROW.format("v_r v_s v_c v_d")
    + "run 250\nrun 300",
    "ave/time with start": NVE
    + "fix mean all ave/time 5 10 50 c_thermo_temp start 120 ave running\n"
    + ROW.format("f_mean")
    + "run 450\nrun 350",
    "ave/time in a window": NVE
    + "fix mean all ave/time 10 5 50 c_thermo_temp c_thermo_pe ave window 3\n"
    + ROW.format("f_mean[1] f_mean[2]")
    + "run 550\nrun 350",
    "vector": NVE
    + "fix keep all vector 10 c_thermo_temp\nvariable m equal max(f_keep)\n"
    + ROW.format("v_m")
    + "run 230\nrun 230",
    "deform to a final box": NVE + "fix strain all deform 1 x final 0.0 17.0 remap x\n" + ROW.format("") + "run 420",
    "deform trate": "fix move all nvt/sllod temp 60 30 0.1\nfix strain all deform 1 x trate 0.01 remap v\n"
    + ROW.format("")
    + "run 300\nrun 300",
    "langevin": NVE + "fix bath all langevin 60 5 0.1 {{seed2}}\n" + ROW.format("") + "run 400\nrun 300",
    "nvt": "fix move all nvt temp 60 10 0.05\n" + ROW.format("") + "run 400\nrun 300",
    "npt": "fix move all npt temp 60 40 0.05 iso 0 500 0.5\n" + ROW.format("") + "run 400\nrun 300",
    "temp/rescale": NVE + "fix cool all temp/rescale 1 60 10 0.0 1.0\n" + ROW.format("") + "run 300\nrun 300",
    "move": NVE.replace("all", "mobile").replace("fix", "group mobile type 1\ngroup held type 2\nfix")
    + "fix drive held move wiggle 0.1 0.0 0.0 0.5\n"
    + ROW.format("")
    + "run 260\nrun 300",
    "store/state": NVE
    + "fix old all store/state 100 x y\ncompute sum all reduce sum f_old[1] f_old[2]\n"
    + ROW.format("c_sum[1] c_sum[2]")
    + "run 150\nrun 250",
    "msd": NVE + "compute far all msd com yes\n" + ROW.format("c_far[4]") + "run 200\nrun 300",
    "stride and logfreq": NVE
    + "variable w equal stride(0,500,70)\nthermo v_w\n"
    + ROW.format("v_w").replace(DIGITS, DIGITS.strip() + " flush yes\n")
    + "run 200\nrun 250",
    "minimize at both ends": "minimize 0 1e-3 20 200\n" + NVE + ROW.format("") + "run 200\nrun 0\nrun 100",
    "temp/berendsen and viscous": NVE
    + "fix t all temp/berendsen 60 20 0.1\nfix v all viscous 1e-4\n"
    + ROW.format("")
    + "run 300\nrun 200",
    "momentum, setforce, wall": NVE
    + "fix m all momentum 13 linear 1 1 1\nregion low block INF INF INF INF INF 2\ngroup low region low\n"
    + "fix hold low setforce 0 0 NULL\n"
    + ROW.format("")
    + "run 240\nrun 300",
}


def planned(tied: str) -> Plan:
    return Script(settings(ARGON + tied, values={"mass": 40}, frame_steps=50)).plan(
        {"temperature_k": NUMBERS["temperature_k"]}, SEED, None
    )


def rows(log_file: Path) -> dict[int, list[str]]:
    """Step -> what the thermo output printed there first: we have the last instant computed once more."""
    found: dict[int, list[str]] = {}
    for line in log_file.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) >= 7 and words[0].isdigit() and numeric(words):
            found.setdefault(int(words[0]), words)
    return found


def numeric(words: list[str]) -> bool:
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


def numbers(words: list[str]) -> list[float]:
    return [float(word) for word in words]


def by_lmp(tied: str, folder: Path) -> dict[int, list[str]]:
    """What LAMMPS's own program prints for the same script."""
    text = "\n".join(command.filled(NUMBERS).text for command in commands_of(ARGON + tied))
    text = text.replace("minimize 0 1e-3 20 200\n", "minimize 0 1e-3 20 200\nreset_timestep 0\n")
    (folder / "plain.in").write_text(text + "\n", encoding="ascii")
    command = [str(Path(sys.executable).parent / "lmp"), "-in", "plain.in", "-log", "plain.log", "-screen", "none"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return rows(folder / "plain.log")


def restarts(engine: Engine, attempt: Path, *earlier: Path, every_s: float = 0.0) -> RestartFiles:
    attempt.mkdir(exist_ok=True)
    return RestartFiles(attempt, "script", engine.version, every_s, earlier)


@pytest.mark.parametrize("name", TIED)
def test_run_is_that_of_lammps(engine: Engine, tmp_path: Path, name: str) -> None:
    """The same seed: digit for digit what `lmp` prints, while we look up and take frames."""
    expected, watch, plan = by_lmp(TIED[name], tmp_path), StopAt(10**9), planned(TIED[name])
    ended = engine.run(plan, every_steps=20, log_file=tmp_path / "log", watch=watch)
    last = max(expected)
    assert rows(tmp_path / "log") == expected
    assert ended.steps == plan.steps == last
    assert len(watch.frames) == (last - 1) // 20


@pytest.mark.parametrize("name", sorted(TIED.keys() - {"deform trate", "store/state"}))
def test_restart_files_leave_the_run_alone(engine: Engine, tmp_path: Path, name: str) -> None:
    """Where LAMMPS writes one after another, each makes it wrap its atoms: the run is the same apart from rounding."""
    expected, plan = by_lmp(TIED[name], tmp_path), planned(TIED[name])
    engine.run(plan, every_steps=20, log_file=tmp_path / "log", restarts=restarts(engine, tmp_path / "attempt-1"))
    found = rows(tmp_path / "log")
    assert found.keys() == expected.keys()
    for step, words in found.items():
        assert numbers(words) == pytest.approx(numbers(expected[step]), rel=1e-5, abs=1e-5)
    if plan.goes_on:
        assert len(list((tmp_path / "attempt-1").glob("restart.*.json"))) == 2


@pytest.mark.parametrize("step", [90, 310])
@pytest.mark.parametrize(
    "name",
    ["elapsed", "fix adapt reset", "fix adapt scale", "ramp and its kin", "deform to a final box", "nvt",
     "temp/rescale", "move", "msd", "temp/berendsen and viscous", "momentum, setforce, wall"],
)  # fmt: skip
def test_interrupted_run_ends_as_the_whole_one(engine: Engine, tmp_path: Path, name: str, step: int) -> None:
    """In the first or the second run it goes on from a restart file, and ends where LAMMPS's own program does.

    But for rounding: how it grows depends on the step at which a busy machine stops the run.
    """
    expected = by_lmp(TIED[name], tmp_path)
    plan = planned(TIED[name])
    first, ended = interrupted_and_resumed(engine, plan, plan, tmp_path, step)
    assert ended.resumed_from is not None
    assert ended.resumed_from.step == first.steps
    found, last = rows(tmp_path / "log"), max(expected)
    counts_from_here = {8} if name == "elapsed" else set()
    for place, (mine, its) in enumerate(zip(found[last], expected[last], strict=True)):
        if place not in counts_from_here:
            assert float(mine) == pytest.approx(float(its), rel=1e-4, abs=1e-5), f"column {place}"


def interrupted_and_resumed(engine: Engine, plan: Plan, later: Plan, folder: Path, step: int) -> tuple[Ended, Ended]:
    files = restarts(engine, folder / "attempt-1", every_s=1e6)
    first = engine.run(plan, every_steps=1, watch=StopAt(step), restarts=files)
    assert first.goes_on
    files = restarts(engine, folder / "attempt-2", folder / "attempt-1", every_s=1e6)
    return first, engine.run(later, every_steps=10, log_file=folder / "log", restarts=files)


SUPERSEDED = {
    "unfixed, another of its name": "fix s all deform 1 x erate 0.02 remap x\nrun 100\nunfix s\n"
    "fix s all deform 1 y trate 0.02 remap x\nrun 200",
    "replaced in its place": "fix s all deform 1 x erate 0.02 remap x\nrun 100\n"
    "fix s all deform 1 y erate 0.02 remap x\nrun 200",
    "unfixed for good": "fix s all deform 1 x erate 0.02 remap x\nrun 100\nunfix s\nrun 200",
    "thermostat of another temperature": "unfix move\nfix move all nvt temp 60 60 0.05\ncompute own all temp/com\n"
    "fix_modify move temp own\nthermo_modify temp own\nrun 100\nfix_modify move temp thermo_temp\n"
    "thermo_modify temp thermo_temp\nuncompute own\nrun 200",
    "group that is no more": "group some type 2\nfix p some addforce 0.01 0 0\nrun 100\nunfix p\n"
    "group some delete\nrun 200",
    "compute of a fix": "fix a all ave/time 1 1 10 c_thermo_temp\nrun 100\nunfix a\n"
    "fix a all ave/time 1 1 50 c_thermo_pe\nthermo_style custom step temp pe etotal press lx xy f_a\nrun 200",
}


@pytest.mark.parametrize("name", SUPERSEDED)
def test_superseded_command_is_not_repeated(engine: Engine, tmp_path: Path, name: str) -> None:
    """Interrupted in the second run, it goes on and ends where the unbroken run does."""
    tied = NVE + ROW.format("") + SUPERSEDED[name]
    expected = by_lmp(tied, tmp_path)
    first, ended = interrupted_and_resumed(engine, planned(tied), planned(tied), tmp_path, 150)
    assert ended.resumed_from is not None
    assert ended.resumed_from.step == first.steps > 150
    found, last = rows(tmp_path / "log"), max(expected)
    assert [float(word) for word in found[last]] == pytest.approx(
        [float(w) for w in expected[last]], rel=1e-6, abs=1e-6
    )


def test_run_that_lammps_cannot_continue_starts_over(engine: Engine, tmp_path: Path) -> None:
    """A command that is given again does not fit the file: the same attempt starts over, and this is reported."""
    tied = (
        NVE
        + ROW.format("")
        + "region r block 0 1 0 1 0 1\nrun 100\ngroup late region r\nfix p late setforce 0 0 0\nrun 200"
    )
    plan, reports = planned(tied), list[str]()
    first = restarts(engine, tmp_path / "attempt-1", every_s=1e6)
    engine.run(plan, every_steps=1, watch=StopAt(50), restarts=first)
    (sidecar,) = (tmp_path / "attempt-1").glob("restart.*.json")
    step = int(sidecar.name.split(".")[1])
    text = sidecar.read_text(encoding="utf-8").replace(f'"step":{step}', '"step":150')
    sidecar.with_name("restart.150.json").write_text(text, encoding="utf-8")
    sidecar.with_suffix("").rename(sidecar.with_name("restart.150"))
    (tmp_path / "attempt-2").mkdir()
    earlier = (tmp_path / "attempt-1",)
    files = RestartFiles(tmp_path / "attempt-2", "script", engine.version, 1e6, earlier, (), reports.append)
    ended = engine.run(plan, every_steps=10, restarts=files)
    assert (ended.resumed_from, ended.steps, reports) == (None, 300, ["refused"])
    assert not list(tmp_path.rglob("restart.*"))
