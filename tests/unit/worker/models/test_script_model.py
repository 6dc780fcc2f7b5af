"""Growth model `script`: what a LAMMPS input comes to, and what it may not say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moireloop_worker.inputs.lammps_input import ScriptRefused
from moireloop_worker.inputs.script_rules import REFUSED as REFUSED_COMMANDS
from moireloop_worker.inputs.script_rules import REFUSED_FIXES
from moireloop_worker.models import growth_model, growth_settings
from moireloop_worker.models.growth_model import LARGEST_SEED, Once, ParametersRefused, Plan
from moireloop_worker.models.script import Script
from tests.helpers.growth_scripts import GOOD, settings


def planned(text: str = GOOD, **fields: object) -> Plan:
    return Script(settings(text, **fields)).plan({"temperature_k": 1234.5678901234567}, 9, None)


def once(plan: Plan) -> list[str]:
    """The first words of the commands that are left out where a run goes on."""
    stages = [command for stage in plan.stages for command in stage.commands]
    return [command.split()[0] for command in (*plan.forces, *stages) if isinstance(command, Once)]


def test_script_is_cut_at_its_cell_and_its_runs() -> None:
    """Set-up, the maker of the cell, forces up to the first run, a stage for each run; no run command is left."""
    plan = planned()
    assert plan.setup == ("units metal", "boundary p p f", "region box block 0 20 0 20 0 20")
    assert plan.structure == ("create_box 1 box",)
    assert plan.forces[1] == "mass 1 32.5"
    assert plan.forces[-1] == "fix walls all wall/reflect zlo EDGE zhi EDGE"
    assert [(stage.commands and stage.commands[0].split()[1], stage.steps) for stage in plan.stages] == [
        ((), 100),
        ("heat", 40),
    ]
    assert plan.timestep_ps == 0.002


def test_all_commands_are_there_in_order() -> None:
    """Nothing of the script is lost or moved but its runs."""
    plan = planned()
    commands = [*plan.setup, *plan.structure, *plan.forces, *(c for stage in plan.stages for c in stage.commands)]
    assert [c.split()[0] for c in commands] == [
        line.split()[0] for line in GOOD.splitlines() if not line.startswith("run")
    ]


def test_numbers_are_filled_in() -> None:
    """Growth parameter, fixed value, frame interval and seeds stand where their placeholders stood."""
    plan = planned()
    assert "thermo 7" in plan.forces
    assert "1234.5678901234567 10 0.1" in plan.stages[1].commands[0]
    assert plan.forces[0] == "create_atoms 1 random 30 9 NULL overlap 1.5 maxtry 200"
    assert "{{" not in repr(plan)


@given(st.integers(1, LARGEST_SEED))
def test_seeds_differ_and_are_taken_by_lammps(seed: int) -> None:
    """`seed` is the run's own, the others follow from it; each is one that LAMMPS takes."""
    plan = Script(settings()).plan({"temperature_k": 1.0}, seed, None)
    words = [plan.forces[0].split()[4], plan.forces[-3].split()[-1], plan.stages[1].commands[0].split()[-1]]
    assert int(words[0]) == seed
    assert len(set(words)) == 3
    assert all(1 <= int(word) <= LARGEST_SEED for word in words)


def test_what_changes_atoms_is_done_once() -> None:
    """Commands that change atoms, cell or groups are marked; those that act from then on are not."""
    text = GOOD.replace("fix move", "minimize 0 0 9 9\nset type 1 charge 0\ngroup d dynamic all every 1\nfix move")
    text = text.replace("fix heat", "run 0\ndisplace_atoms all move 0 0 1\nchange_box all z delta 0 1\nfix heat")
    assert once(planned(text)) == [
        "create_atoms", "group", "velocity", "minimize", "reset_timestep", "set", "run", "displace_atoms", "change_box",
    ]  # fmt: skip


def test_what_follows_the_last_run_is_done_at_its_end() -> None:
    """A minimization after the last run is a stage without steps."""
    plan = planned(f"{GOOD}\nunfix heat\nminimize 0 0 9 9")
    assert plan.stages[-1].commands == ("unfix heat", "minimize 0 0 9 9")
    assert plan.stages[-1].steps == 0
    assert plan.steps == 140


@pytest.mark.parametrize(
    ("old", "new", "timestep_ps"),
    [
        ("timestep 0.002\n", "", 0.001),
        ("metal", "real", 2e-6),
        ("timestep 0.002\n", "timestep 0.5\ntimestep 0.002\n", 0.002),
        ("fix heat", "timestep 2e-3\nfix heat", 0.002),
    ],
)
def test_time_step_is_that_of_the_script(old: str, new: str, timestep_ps: float) -> None:
    """By `timestep` and `units`, or LAMMPS's default."""
    assert planned(GOOD.replace(old, new)).timestep_ps == pytest.approx(timestep_ps)


def test_default_time_step_of_units_real() -> None:
    """1 fs."""
    assert planned(GOOD.replace("timestep 0.002\n", "").replace("metal", "real")).timestep_ps == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("boundary", "periodic"),
    [("boundary p p f", (True, True, False)), ("", (True, True, True)), ("boundary p fs m", (True, False, False))],
)
def test_periodic_directions_are_those_of_the_script(boundary: str, periodic: tuple[bool, bool, bool]) -> None:
    """By `boundary`, or LAMMPS's default."""
    assert Script(settings(GOOD.replace("boundary p p f", boundary))).periodic == periodic


def test_files_are_read_from_their_copies() -> None:
    """The words that name files become the names of the copies, quotes gone; like words elsewhere stay."""
    text = GOOD.replace(
        "pair_coeff 1 1 0.01 2.0", "pair_style rebomos\npair_coeff * * 'my MoS.rebomos' Mo\nprint MoS.rebomos"
    ).replace("create_box 1 box", "read_data start.data # start.data")
    plan = planned(text, files={"my MoS.rebomos": "script/1-my_MoS.rebomos", "start.data": "script/2-start.data"})
    assert plan.structure == ("read_data script/2-start.data",)
    assert "pair_coeff * * script/1-my_MoS.rebomos Mo" in plan.forces
    assert "print MoS.rebomos" in plan.forces


def test_script_and_its_files_belong_to_the_provenance() -> None:
    """Their copies are what makes the force field of a run."""
    files = {"b.data": "script/2-b.data", "a.sw": "script/1-a.sw"}
    assert [str(path) for path in Script(settings(files=files)).potential_files] == [
        "script/growth.in", "script/1-a.sw", "script/2-b.data",
    ]  # fmt: skip


@pytest.mark.parametrize("parameters", [{}, {"temperature_k": 1.0, "x": 2.0}, {"temperature_k": float("inf")}])
def test_wrong_parameters_are_refused(parameters: dict[str, float]) -> None:
    """Missing, unknown and infinite parameters are refused before anything runs."""
    with pytest.raises(ParametersRefused):
        Script(settings()).plan(parameters, 1, None)


def test_settings_pass_through_json() -> None:
    """What goes to the workers gives the same plan there."""
    section = settings().model_dump(mode="json")
    model = growth_model(growth_settings(section))
    assert model.name == "script"
    assert model.plan({"temperature_k": 1234.5678901234567}, 9, None) == planned()
    assert model.preparation(1, 1) is None


REFUSED = [
    ("fix heat", "jump SELF", 16, "jump cannot be used: moireloop must know the steps"),
    ("fix heat", "label x\nfix heat", 16, "label cannot be used"),
    ("fix heat", "next x\nfix heat", 16, "next cannot be used"),
    ("fix heat", 'if "1 > 0" then "run 5"\nfix heat', 16, "if cannot be used"),
    ("fix heat", "quit\nfix heat", 16, "quit cannot be used"),
    ("fix heat", "include more.in\nfix heat", 16, "include cannot be used: placeholders in the other file"),
    ("fix heat", "clear\nfix heat", 16, "clear cannot be used"),
    ("fix heat", "log mine\nfix heat", 16, "log cannot be used"),
    ("fix heat", "shell rm -r x\nfix heat", 16, "shell cannot be used: a script may only run LAMMPS"),
    ("fix heat", "python f invoke\nfix heat", 16, "python cannot be used"),
    ("fix heat", "dump 1 all atom 10 x\nfix heat", 16, "dump cannot be used: all workers would write the same file"),
    ("fix heat", "write_data x\nfix heat", 16, "write_data cannot be used"),
    ("fix heat", "restart 100 a b\nfix heat", 16, "restart cannot be used"),
    ("fix heat", "rerun x\nfix heat", 16, "rerun cannot be used"),
    ("fix heat", "partition yes 1 run 5\nfix heat", 16, "partition cannot be used"),
    ("fix heat", "reset_timestep 0\nfix heat", 16, "reset_timestep cannot be used: moireloop counts the steps"),
    ("create_box 1 box", "read_restart x", 4, "read_restart cannot be used"),
    ("fix heat", "fix h all halt 10 tlimit > 5\nfix heat", 16, "fix halt cannot be used"),
    ("fix heat", "fix h all dt/reset 10 NULL 0.1 0.1\nfix heat", 16, "fix dt/reset cannot be used"),
    ("fix heat", "fix h all ave/time 1 1 1 c_x file a\nfix heat", 16, "fix ave/time cannot be used: all workers"),
    ("fix heat", "fix h all print 5 'a' append b\nfix heat", 16, "fix print cannot be used"),
    ("fix heat", "print 'a' file b\nfix heat", 16, "print to a file cannot be used"),
    *[
        ("fix heat", f"{command}\nfix heat", 16, "cannot be used: all workers would write the same file")
        for command in (
            "info all out append f",
            "info all out overwrite f",
            "balance 1.1 shift xyz 10 1.1 out f",
            "processors * * * file f",
            "fix b all balance 100 1.1 shift xyz 10 1.1 out f",
            "pair_write 1 1 100 r 1.0 5.0 f lj",
            "bond_write 1 100 1.0 2.0 f b",
            "angle_write 1 100 f a",
            "dihedral_write 1 100 f d",
            "fix c all colvars f",
            "fix p all plumed plumedfile f outfile g",
            "fix s all reaxff/species/kk 1 1 1 f",
        )
    ],
    ("run 100", "variable c string run\n${c} 100\nrun 100", 16, "the name of a command must be written out"),
    ("run 100", "$c rm -r x\nrun 100", 15, "the name of a command must be written out"),
    ("run 100", "$(v_c) SELF\nrun 100", 15, "the name of a command must be written out"),
    ("fix heat", "fix h all ${style} 10 tlimit > 5\nfix heat", 16, "style must be written out, without a variable of"),
    ("fix heat", "fix h ${two} 10 tlimit > 5\nfix heat", 16, "LAMMPS, got ${two}"),
    ("fix heat", "compute h all $s\nfix heat", 16, "LAMMPS, got $s"),
    ("fix heat", "fix h all dt/reset/kk 10 NULL 0.1 0.1\nfix heat", 16, "fix dt/reset/kk cannot be used"),
    ("fix heat", "timer timeout 5\nfix heat", 16, "timer timeout cannot be used"),
    ("boundary p p f", "atom_modify map array id no", 2, "frames need the ids"),
    ("run 100", "run", 15, "expected run N with an integer N and nothing after it, got run alone"),
    ("run 100", "run ${n}", 15, "write a placeholder such as {{n}}"),
    ("run 100", "run $n", 15, "write a placeholder such as {{n}}"),
    ("run 100", "run {{temperature_k}}", 15, "steps are the same for all candidates"),
    ("run 100", "run 1e3", 15, "got run 1e3"),
    ("run 100", "run -5", 15, "got run -5"),
    ("run 100", "run {{mass}}", 15, "got run 32.5"),
    ("run 100", "run 100 upto", 15, "got run 100 upto: write only the steps of this run"),
    ("run 100", "run 100 every 10 'print x'", 15, "got run 100 every"),
    ("run 100", "run 100 start 0 stop 500", 15, "ramps span a run anyway"),
    ("run 100", "run 100 pre no", 15, "got run 100 pre no"),
    ("units metal\n", "", 0, "expected units metal or units real, got no units command"),
    ("units metal", "units lj", 1, "expected units metal or units real, got units lj"),
    ("create_box 1 box", "", 0, "expected read_data or create_box, got neither"),
    ("run {{quench_steps}}", "timestep 0.001\nrun 5", 17, "must be the same for all runs, expected 0.002, got"),
    ("timestep 0.002", "timestep ${dt}", 10, "expected timestep and a number above 0"),
    ("timestep 0.002", "timestep 0", 10, "expected timestep and a number above 0"),
    ("boundary p p f", "boundary p p", 2, "expected boundary and three of p, f, s, m"),
    ("fix heat", "minimize 0 0 9 9\nfix heat", 16, "minimize must come before the first run or after the last one"),
    ("units metal", "units metal\nrun 10\n", 2, "expected a run of at least one step after read_data or create_box"),
]  # fmt: skip


NAMED_IN_PART = {"run", "print", "info", "balance", "processors", "fix", "compute", "file", "minimize", "$"} | {
    "labelmap",
    "pair_style",
    "getenv",
    "format",
}


@pytest.mark.parametrize(("old", "new", "line", "expected"), REFUSED, ids=lambda value: str(value)[:24])
def test_what_cannot_be_is_refused_with_its_line(old: str, new: str, line: int, expected: str) -> None:
    """Each refusal names the line and says why, or what to write instead."""
    assert GOOD.count(old) == 1
    with pytest.raises(ScriptRefused) as caught:
        Script(settings(GOOD.replace(old, new)))
    assert expected in caught.value.wrong[0].text
    assert caught.value.wrong[0].line == line


@pytest.mark.parametrize(
    "command", ["info all", "info styles fix out log", "balance 1.1 shift xyz 10 1.1", "print file",
                "fix h all ave/time 1 1 1 c_x", "fix h all addforce ${x} 0 0", "variable v equal ${x}"],
)  # fmt: skip
def test_what_writes_no_file_is_taken(command: str) -> None:
    """Like commands and styles without a file, and variables among the numbers of a fix."""
    assert Script(settings(GOOD.replace("fix heat", f"{command}\nfix heat"))).outline.steps == (100, 40)


def test_script_without_a_run_is_refused() -> None:
    """There must be something to run; `run 0` is nothing."""
    text = GOOD.replace("run 100", "run 0").replace("run {{quench_steps}}", "")
    with pytest.raises(ScriptRefused, match="expected a run of at least one step"):
        Script(settings(text))


def test_all_that_is_refused_is_reported() -> None:
    """Not the first command alone, so that a script is fixed at one go."""
    text = GOOD.replace("fix heat", "shell ls\nquit\nfix heat")
    with pytest.raises(ScriptRefused) as caught:
        Script(settings(text))
    assert [wrong.line for wrong in caught.value.wrong] == [16, 17]


def test_page_and_code_refuse_the_same() -> None:
    """Every command that docs/script.md says cannot be is refused, and none of these stands in a script of ours."""
    page = (Path(__file__).parents[4] / "docs" / "script.md").read_text(encoding="utf-8")
    table = page.partition("## What an input cannot have")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert {name for name in named if " " not in name} - NAMED_IN_PART <= set(REFUSED_COMMANDS)
    assert {name.removeprefix("fix ") for name in named if name.startswith("fix ")} <= set(REFUSED_FIXES)
    assert len(named) > 20
