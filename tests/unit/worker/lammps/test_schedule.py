"""The part of a plan that LAMMPS gets when a run begins with its first step, and when it continues from a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from moireloop_worker.lammps.schedule import FORGET, Leg, beginning, conclusion, legs
from moireloop_worker.models.growth_model import Once, Plan, Stage

PLAN = Plan(
    setup=("units metal",),
    structure=("read_data x",),
    forces=("pair_style zero 1", Once("delete_atoms group gone")),
    stages=(
        Stage("melt", (Once("velocity 1"), "fix heat 1"), 10),
        Stage("strain", (Once("change_box"),), 0),
        Stage("anneal", ("unfix heat", Once("velocity 2"), "fix heat 2"), 20),
        Stage("quench", ("unfix heat", Once("velocity 3"), "fix heat 3"), 30),
    ),
    timestep_ps=0.001,
)
WHOLE = (
    Leg(("velocity 1", "fix heat 1"), 0, 0, 10),
    Leg(("change_box",), 10, 10, 10),
    Leg(("unfix heat", "velocity 2", "fix heat 2"), 10, 10, 30),
    Leg(("unfix heat", "velocity 3", "fix heat 3"), 30, 30, 60),
)


def test_from_the_first_step_all_is_done() -> None:
    """Each stage with all its commands and steps."""
    assert beginning(PLAN) == ("units metal", "read_data x", "pair_style zero 1", "delete_atoms group gone")
    assert legs(PLAN) == WHOLE


def test_restart_file_takes_the_place_of_the_structure() -> None:
    """What makes and changes atoms is left out."""
    assert beginning(PLAN, "a b/restart.7") == ("units metal", 'read_restart "a b/restart.7"', "pair_style zero 1")


def test_within_a_stage_its_rest_is_run_with_the_same_ramp() -> None:
    """Step 47 of 60: what is in force is built up once more, atoms are left alone, the ramp still spans 30 to 60."""
    assert legs(PLAN, 47) == (Leg(("fix heat 3",), 47, 30, 60),)
    assert legs(PLAN, 47)[0].ramp == "start 30 stop 60"


def test_on_a_border_the_next_stage_begins_with_all_its_commands() -> None:
    """At step 30 the quench is begun as if nothing had been: its new fix remembers nothing of the old one."""
    first, *rest = legs(PLAN, 30)
    assert first == Leg(("fix heat 2", FORGET, "unfix heat", "velocity 3", "fix heat 3"), 30, 30, 60)
    assert rest == []


def test_stage_without_steps_is_done_on_its_border() -> None:
    """At step 10 the strain, which takes no steps, is still to come; at step 11 it is over."""
    assert legs(PLAN, 10) == (Leg(("fix heat 1", FORGET, "change_box"), 10, 10, 10), *WHOLE[2:])
    assert legs(PLAN, 11)[0] == Leg(("fix heat 2",), 11, 10, 30)


@pytest.mark.parametrize("step", range(60))
def test_steps_are_neither_repeated_nor_skipped(step: int) -> None:
    """From wherever a run goes on, its legs cover the rest of the schedule without gap or overlap."""
    covered = [done for leg in legs(PLAN, step) for done in range(leg.step, leg.last)]
    assert covered == list(range(step, 60))


@pytest.mark.parametrize(
    ("step", "skipped"),
    [
        (5, ("group hot", "unfix heat", "fix heat 2")),
        (10, ("group hot", "unfix heat", "fix heat 2")),
        (11, ()),
        (29, ()),
    ],
)
def test_run_that_ends_early_gets_what_follows_the_last_one(step: int, skipped: tuple[str, ...]) -> None:
    """The commands after the last run; before them what acts in stages not begun, but nothing that moves atoms."""
    stages = (
        Stage("melt", ("fix heat 1",), 10),
        Stage("anneal", (Once("group hot"), "unfix heat", Once("velocity 2"), "fix heat 2"), 20),
        Stage("end", ("unfix heat", Once("minimize")), 0),
    )
    plan = replace(PLAN, stages=stages)
    assert conclusion(plan, step) == (*skipped, "unfix heat", "minimize")


def test_plan_that_ends_with_steps_has_nothing_after_them() -> None:
    """Then a run that ends early gets nothing more."""
    assert conclusion(PLAN, 5) == ()
