"""What of a script restart files depend on, and what of it they do not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from moireloop_worker.inputs.lammps_input import commands_of
from moireloop_worker.inputs.restart_rules import counting_from_the_stage, obstacles, outputs
from moireloop_worker.models.growth_model import restart_key
from moireloop_worker.models.script import Script
from moireloop_worker.models.script_files import script_lines
from moireloop_worker.models.script_settings import ScriptSettings
from tests.helpers.growth_scripts import GOOD, settings

RUN = "run 100"


def key(extra: str, frame_steps: int) -> str:
    text = GOOD.replace(RUN, f"{extra}\n{RUN}")
    return restart_key(Script(settings(text, frame_steps=frame_steps)).plan({"temperature_k": 1.0}, 1, None), 20250722)


@pytest.mark.parametrize(
    "extra",
    [
        "thermo_modify flush yes",
        "print 'a frame each {{frame_steps}} steps'",
        "fix say all print {{frame_steps}} 'step $(step)'",
        "fix mean all ave/time 1 1 {{frame_steps}} c_thermo_temp\nthermo_style custom step f_mean",
        "variable often equal {{frame_steps}}\nthermo ${often}",
        "variable often equal {{frame_steps}}\nfix mean all ave/time 1 1 ${often} c_thermo_pe",
        "variable w equal stride(0,1000,{{frame_steps}})\nthermo v_w",
        "compute far all msd\nfix keep all vector {{frame_steps}} c_far[4]",
    ],
)
def test_restart_files_do_not_depend_on_output(extra: str) -> None:
    """Steps between frames may change between stop and resume where only output goes by them."""
    assert key(extra, 500) == key(extra, 250)


@pytest.mark.parametrize(
    "extra",
    [
        "fix soft all adapt {{frame_steps}} pair lj/cut epsilon 1 1 v_e",
        "variable f equal step/{{frame_steps}}\nfix push all addforce v_f 0 0",
        "fix mean all ave/time 1 1 {{frame_steps}} c_thermo_temp\nvariable t equal f_mean\nfix p all addforce v_t 0 0",
        "neigh_modify every {{frame_steps}}",
    ],
)
def test_restart_files_depend_on_what_acts(extra: str) -> None:
    """The same number in a command that moves atoms makes another run of it."""
    assert key(extra, 500) != key(extra, 250)


def test_output_is_found_through_what_it_refers_to() -> None:
    """Of variables, computes and averages those that only output refers to."""
    commands = commands_of("variable a equal 1\nvariable b equal v_a\nthermo ${b}\nvariable c equal 2\nmass 1 $c")
    assert outputs(commands) == {0, 1, 2}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("fix s all deform 1 x final 0 $(1.1*lx)", "line 2: $ inserts the current value of lx into a command"),
        ("variable l equal lx\nvariable m equal 2*v_l\nfix s all deform 1 x final 0 ${m}", "value of lx"),
        ("variable l equal $(lx)\nfix p all addforce v_l 0 0", "value of lx"),
        ("variable r equal random(1,2,{{seed}})\nfix p all addforce ${r} 0 0", "value of random"),
        ("fix p all addforce $(c_thermo_temp) 0 0", "value of c_thermo_temp"),
        ("fix c all recenter INIT INIT INIT", "fix recenter: a restart file does not store the centre that it holds"),
        ("fix m all ave/time 1 1 10 c_thermo_temp\nvariable t equal f_m\nfix p all addforce v_t 0 0", "its averages"),
        ("fix w all wall/reflect zlo EDGE\nchange_box all z final 0 30", "line 2: EDGE means the box at that moment"),
        ("region top block EDGE EDGE EDGE EDGE 5 EDGE\nfix n all npt temp 1 1 1 iso 1 1 1", "line 2: EDGE"),
        (
            "variable n file names.txt\nvariable k equal next(n)\nfix p all addforce v_k 0 0",
            "how far a variable has read",
        ),
    ],
)
def test_what_a_restart_file_does_not_hold_is_reported(lines: str, reason: str) -> None:
    """Each with its line; runs of such a script write no restart files."""
    found = obstacles(commands_of(f"create_box 1 cell\n{lines}\nrun 10"))
    assert found, "expected an obstacle"
    assert reason in str(found[0])


@pytest.mark.parametrize(
    "lines",
    [
        "fix p all addforce $(2*sqrt(3.5e-2)+PI) 0 0",
        "variable t equal 300\nvariable u equal 2*v_t\nfix b all langevin ${t} $u 0.1 {{seed}}",
        "change_box all x scale $(1.1*lx) remap\nvelocity all create $(c_thermo_temp) 1",
        "variable f equal ramp(0,1)*lx\nfix p all addforce v_f 0 0",
        "fix m all ave/time 1 1 10 c_thermo_temp\nthermo_style custom step f_m",
        "compute t all temp\nfix m all ave/time 1 1 10 c_t\nrun 10\nunfix m\nuncompute t",
        "print 'the box is $(lx) wide'",
        "variable name string run-$(lx)\nprint ${name}",
        "change_box all z final 0 30\nfix w all wall/reflect zlo EDGE",
        "variable e equal 0.01*elapsed\nfix p all addforce v_e 0 0",
    ],
)
def test_what_it_holds_or_does_not_need_is_not_an_obstacle(lines: str) -> None:
    """Constants, what is evaluated step by step, what changes atoms and is not done again, output."""
    assert obstacles(commands_of(f"create_box 1 cell\n{lines}\nrun 10")) == []


def test_the_example_continues_from_restart_files() -> None:
    """The input of the tutorial has no obstacle."""
    example = Path(__file__).parents[4] / "examples" / "script" / "growth.in"
    assert obstacles(commands_of(example.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variable k equal 1000*(1-elapsed/10000)", "variable k equal 1000*(1-elaplong/10000)"),
        ("variable elapsed equal v_elapsed+elapsed", "variable elapsed equal v_elapsed+elaplong"),
        ("variable k equal ${elapsed}+elapsed_s", "variable k equal ${elapsed}+elapsed_s"),
        ("fix p all addforce $(elapsed*dt) 0 0", "fix p all addforce $(elaplong*dt) 0 0"),
        ("thermo_style custom step elapsed", "thermo_style custom step elapsed"),
    ],
)
def test_steps_count_from_the_stage(text: str, message: str) -> None:
    """`elapsed` in formulas, not in names: from a restart file on it would begin again."""
    (command,) = commands_of(text)
    assert counting_from_the_stage(command) == message


def test_validate_says_that_there_are_no_restart_files(tmp_path: Path) -> None:
    """With the line and the reason; a script without obstacles gets no such line."""
    for line, said in (("fix p all addforce $(lx) 0 0", ["restarts none"]), ("fix p all addforce 1 0 0", [])):
        (tmp_path / "growth.in").write_text(GOOD.replace(RUN, f"{line}\n{RUN}"), encoding="utf-8")
        given = ScriptSettings(
            file=tmp_path / "growth.in", lattice_types=(1,), values={"mass": 32.5, "quench_steps": 40}
        )
        found = [text for text in script_lines(given, 7) if text.startswith("restarts")]
        assert [text[:13] for text in found] == said
        assert all("growth.in, line 15: $ inserts the current value of lx into" in text for text in found)


def test_run_that_could_not_go_on_writes_no_restart_files() -> None:
    """Its plan says so to whoever runs it."""
    texts = [GOOD.replace(RUN, f"fix p all addforce {number} 0 0\n{RUN}") for number in ("$(lx)", "$(2*3)")]
    plans = [Script(settings(text)).plan({"temperature_k": 1.0}, 1, None) for text in texts]
    assert [plan.goes_on for plan in plans] == [False, True]
