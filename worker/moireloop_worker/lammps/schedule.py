"""What LAMMPS is told of a plan, from its first step or from the step of a restart file (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from moireloop_worker.models.growth_model import Once, Plan, quoted

FORGET: Final = "run 0 post no"
"""LAMMPS gives what a restart file has of a fix to each new fix of that name, until its first run."""

MOVES_NOTHING: Final = frozenset({"group", "ndx2group", "run"})
"""Commands that, marked as `Once` too, leave atoms and cell as they are; such a `run` is one of no steps."""


@dataclass(frozen=True)
class Leg:
    """What is to be run of one stage: `commands`, then the steps from `step` to `last`.

    The stage spans the steps from `first` to `last`, and so do its ramps, wherever in it the leg begins.
    """

    commands: tuple[str, ...]
    step: int
    first: int
    last: int

    @property
    def ramp(self) -> str:
        """The words of LAMMPS's `run` that tell it what its ramps span."""
        return f"start {self.first} stop {self.last}"


def beginning(plan: Plan, restart_file: str | None = None, step: int = 0) -> tuple[str, ...]:
    """The commands before the first leg; a restart file takes the place of the plan's structure."""
    if restart_file is None:
        return (*plan.setup, *plan.structure, *plan.forces)
    return (*plan.setup, f"read_restart {quoted(restart_file)}", *_repeatable(plan.forces))


def legs(plan: Plan, step: int = 0) -> tuple[Leg, ...]:
    """What is left to run after `step` steps of a plan, one leg for each stage that is not over.

    The commands of stages that are over come before those of the first leg. What is marked as `Once` is left out
    of every stage that was begun by then; on the border of two stages the second one was not. There LAMMPS is made to
    forget what the file remembers of fixes, so that a new one of the same name begins anew.
    """
    left: list[Leg] = []
    passed: tuple[str, ...] = ()
    first = 0
    for stage in plan.stages:
        last = first + stage.steps
        begun = first < step
        commands = _repeatable(stage.commands) if begun else stage.commands
        if begun and last <= step:
            passed += commands
        else:
            forget = (FORGET,) if step and first == step and not left else ()
            left.append(Leg((*passed, *forget, *commands), max(first, step), first, last))
            passed = ()
        first = last
    return tuple(left)


def conclusion(plan: Plan, step: int) -> tuple[str, ...]:
    """What a run that is ended early at `step` is told, so that its structure compares with those of whole runs.

    These are the commands of a last stage without steps. Before them come those of the stages that were not begun, so
    that the same forces act and the same names are known, but none that changes atoms or cell.
    """
    if not plan.stages or plan.stages[-1].steps:
        return ()
    told: list[str] = []
    first = 0
    for stage in plan.stages[:-1]:
        if first >= step:
            told += [c for c in stage.commands if not isinstance(c, Once) or c.split()[0] in MOVES_NOTHING]
        first += stage.steps
    return (*told, *plan.stages[-1].commands)


def _repeatable(commands: Iterable[str]) -> tuple[str, ...]:
    return tuple(command for command in commands if not isinstance(command, Once))
