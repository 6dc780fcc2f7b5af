"""Growth model `script`: a LAMMPS input of the user's own, with placeholders (pure).

What stands before the command that makes the cell is the set-up of its plan; that command is the structure; what
follows up to the first run are its forces; each run is a stage. docs/script.md says it to the user.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from moireloop_worker.inputs.lammps_input import Command, ScriptRefused, Wrong, commands_of
from moireloop_worker.inputs.restart_rules import counting_from_the_stage, obstacles, outputs
from moireloop_worker.inputs.script_rules import BOX_MAKERS, file_words, is_once, refusal
from moireloop_worker.inputs.variables import resolved
from moireloop_worker.models.growth_model import (
    Directions,
    Limits,
    Once,
    Output,
    Plan,
    Preparation,
    Stage,
    checked_parameters,
    run_seed,
)
from moireloop_worker.models.script_settings import ReadScript

SEED: Final = "seed"

FRAME_STEPS: Final = "frame_steps"

MORE_SEEDS: Final = re.compile(r"seed([2-9]|[1-9]\d{1,3})")

ANY_NUMBER: Final = (-sys.float_info.max, sys.float_info.max)

TIMESTEPS: Final[Mapping[str, tuple[float, float]]] = {"metal": (0.001, 1.0), "real": (1.0, 0.001)}
"""Unit style -> LAMMPS's default time step, and one unit of time in ps (LAMMPS manual, `units`)."""


def is_seed(name: str) -> bool:
    """Whether a placeholder of this name stands for a seed: `seed`, `seed2`, ... `seed9999`."""
    return name == SEED or MORE_SEEDS.fullmatch(name) is not None


@dataclass(frozen=True)
class Outline:
    """Outline of a script: `runs` are the numbers of its commands that run MD, and `steps` how far each goes."""

    box: int
    runs: tuple[int, ...]
    steps: tuple[int, ...]
    timestep_ps: float
    periodic: Directions


class Script:
    """A script and its numbers. Raises ScriptRefused where it cannot be run.

    `obstacles` are the reasons why its runs write no restart files.
    """

    name = "script"

    def __init__(self, settings: ReadScript) -> None:
        self.elements = settings.elements
        self._commands = [
            with_copies(command, settings.files) for command in fixed_commands(settings.text, settings.values)
        ]
        self._commands = [command.filled({FRAME_STEPS: settings.frame_steps}) for command in self._commands]
        self.outline = outline(self._commands)
        self._outputs = outputs(self._commands)
        self.obstacles = obstacles(self._commands)
        self.lattice_types = settings.lattice_types
        left = {name for command in self._commands for name in command.placeholders}
        self.potential_files = tuple(Path(copy) for copy in (settings.kept_as, *sorted(set(settings.files.values()))))
        self._seeds = {SEED, *filter(is_seed, left)}
        self._parameters = dict.fromkeys(sorted(left - self._seeds), ANY_NUMBER)

    @property
    def periodic(self) -> Directions:
        """As the script's `boundary` says."""
        return self.outline.periodic

    @property
    def parameters(self) -> Mapping[str, Limits]:
        """The placeholders that stand neither for a seed nor for a fixed number; any finite value goes."""
        return self._parameters

    def preparation(self, seed: int, lammps_version: int) -> Preparation | None:
        """None: the script makes or reads its structure itself."""
        return None

    def plan(self, parameters: Mapping[str, float], seed: int, prepared: str | None) -> Plan:
        """The script with these values; `seed2` and so on are drawn from `seed`."""
        checked = checked_parameters(parameters, self._parameters)
        values: dict[str, int | float] = {name: float(value) for name, value in checked.items()}
        values |= {name: _seed(name, seed) for name in self._seeds}
        texts = [
            _engine_command(command.filled(values), is_output=number in self._outputs)
            for number, command in enumerate(self._commands)
        ]
        return replace(_plan(texts, self.outline, self.elements), goes_on=not self.obstacles)


def fixed_commands(text: str, values: Mapping[str, int | float]) -> list[Command]:
    """The commands of a script, with the numbers that are the same for all candidates. Raises ScriptRefused."""
    return [command.filled(values) for command in commands_of(text)]


def with_copies(command: Command, copies: Mapping[str, str]) -> Command:
    """A command that reads the copies of the files that it names."""
    words = command.texts
    return command.renamed({n: copies[words[n]] for n in file_words(command) if words[n] in copies})


def outline(commands: Sequence[Command]) -> Outline:
    """Outline of a script; fixed values and the frame interval are filled in.

    Raises:
        ScriptRefused: it cannot be run; the text lists all that is wrong, in the order of its lines.
    """
    wrong = [
        Wrong(command.line, reason) for command, whole in resolved(commands) if (reason := refusal(command, whole))
    ]
    if wrong:
        raise ScriptRefused(wrong)
    units, box = _units(commands), _box(commands)
    runs = tuple(n for n, command in enumerate(commands) if command.name == "run" and command.texts[1] != "0")
    if not runs or runs[0] < box:
        line = commands[runs[0]].line if runs else 0
        raise ScriptRefused(
            [Wrong(line, "expected a run of at least one step after read_data or create_box, got none")]
        )
    _refuse_minimize_between(commands, runs)
    steps = tuple(int(commands[n].texts[1]) for n in runs)
    return Outline(box, runs, steps, _timestep_ps(commands, runs[0], units), _periodic(commands))


def _units(commands: Sequence[Command]) -> str:
    given = [command for command in commands if command.name == "units"]
    if not given:
        raise ScriptRefused([Wrong(0, "expected units metal or units real, got no units command")])
    if given[0].texts[1:] not in (("metal",), ("real",)):
        raise ScriptRefused([Wrong(given[0].line, f"expected units metal or units real, got {given[0].text}")])
    return given[0].texts[1]


def _box(commands: Sequence[Command]) -> int:
    """The number of the command that makes the cell."""
    number = next((n for n, command in enumerate(commands) if command.name in BOX_MAKERS), None)
    if number is None:
        raise ScriptRefused([Wrong(0, "expected read_data or create_box, got neither")])
    return number


def _refuse_minimize_between(commands: Sequence[Command], runs: Sequence[int]) -> None:
    """A minimization moves the step counter, and while frames are taken that would spoil their steps."""
    between = [c for c in commands[runs[0] : runs[-1]] if c.name == "minimize"]
    if between:
        raise ScriptRefused([Wrong(between[0].line, "minimize must come before the first run or after the last one")])


def _timestep_ps(commands: Sequence[Command], first_run: int, units: str) -> float:
    """The time step, the same for all runs."""
    default, unit_ps = TIMESTEPS[units]
    timestep = default
    for number, command in enumerate(commands):
        if command.name == "timestep":
            given = _positive(command)
            if number > first_run and given != timestep:
                text = f"the time step must be the same for all runs, expected {timestep!r}, got {given!r}"
                raise ScriptRefused([Wrong(command.line, text)])
            timestep = given
    return timestep * unit_ps


def _positive(command: Command) -> float:
    words = command.texts
    try:
        value = float(words[1]) if len(words) == 2 else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        text = f"expected timestep and a number above 0, the same for all candidates, got {command.text}"
        raise ScriptRefused([Wrong(command.line, text)])
    return value


def _periodic(commands: Sequence[Command]) -> Directions:
    """By the last `boundary`, or its default p p p."""
    x, y, z = True, True, True
    for command in commands:
        if command.name == "boundary":
            sides = command.texts[1:]
            if len(sides) != 3 or not all(re.fullmatch("p|[fsm]{1,2}", side) for side in sides):
                text = f"expected boundary and three of p, f, s, m, got {command.text}"
                raise ScriptRefused([Wrong(command.line, text)])
            x, y, z = (side == "p" for side in sides)
    return x, y, z


def _seed(name: str, seed: int) -> int:
    return seed if name == SEED else run_seed(seed, int(name.removeprefix(SEED)))


def _engine_command(command: Command, *, is_output: bool) -> str:
    if command.texts == ("run", "0"):
        return Once("run 0 post no")
    text = counting_from_the_stage(command).encode("ascii", "replace").decode()
    if is_once(command):
        return Once(text)
    return Output(text) if is_output else text


def _plan(texts: Sequence[str], outline: Outline, elements: tuple[str, ...]) -> Plan:
    """Cut at the cell's maker and at the runs; what follows the last run is a stage without steps."""
    box, runs = outline.box, outline.runs
    starts = [n + 1 for n in runs]
    stages = [Stage("run 1", (), outline.steps[0])]
    for number, (start, end, steps) in enumerate(zip(starts, runs[1:], outline.steps[1:], strict=False), 2):
        stages.append(Stage(f"run {number}", tuple(texts[start:end]), steps))
    if texts[starts[-1] :]:
        stages.append(Stage("end", tuple(texts[starts[-1] :]), 0))
    return Plan(
        setup=tuple(texts[:box]),
        structure=(texts[box],),
        forces=_with_counter_at_0(texts[box + 1 : runs[0]]),
        stages=tuple(stages),
        timestep_ps=outline.timestep_ps,
        elements=elements,
    )


def _with_counter_at_0(texts: Sequence[str]) -> tuple[str, ...]:
    """A minimization moves the step counter: it is set back."""
    return tuple(
        command
        for text in texts
        for command in ((text, Once("reset_timestep 0")) if text.split()[0] == "minimize" else (text,))
    )
