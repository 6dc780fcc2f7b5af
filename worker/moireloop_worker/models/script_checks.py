"""Whether the placeholders of a script are those that the campaign file has numbers for (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from moireloop_broker.problems import Problem, nearest
from moireloop_worker.inputs.lammps_input import Command
from moireloop_worker.models.script import FRAME_STEPS, SEED, is_seed
from moireloop_worker.models.script_settings import ScriptSettings

MOST_PROBLEMS: Final = 20

LONGEST_NAME: Final = 64


def name_problems(space: Collection[str], values: Collection[str]) -> list[Problem]:
    """Names in [space] and in growth.values that stand for something else already."""
    taken = f"expected a name that is not one of moireloop's own placeholders: {SEED}, {SEED}2, ..., {FRAME_STEPS}"
    problems = [
        Problem(f"{table}.{name}", taken)
        for table, names in (("space", space), ("growth.values", values))
        for name in names
        if is_seed(name) or name == FRAME_STEPS
    ]
    twice = [Problem(f"growth.values.{name}", "has a range in [space] already") for name in values if name in space]
    return [*problems, *twice]


def placeholder_problems(
    commands: Sequence[Command], settings: ScriptSettings, space: Collection[str]
) -> list[Problem]:
    """Placeholders that nothing is known of, each with its line and the nearest known one, and those that are missing.

    Args:
        commands: commands of the script, nothing filled in.
        space: names of the growth parameters.
    """
    known = [*space, *settings.values, SEED, FRAME_STEPS]
    lines = {name: command.line for command in reversed(commands) for name in command.placeholders}
    unknown = {name: line for name, line in lines.items() if name not in known and not is_seed(name)}
    told_of = sorted(unknown, key=lambda name: unknown[name])[: MOST_PROBLEMS + 1]
    meant = {name: nearest(name[:LONGEST_NAME], known) for name in told_of}
    file = settings.file.name
    problems = [
        Problem(
            "growth.file",
            f"{file}, line {unknown[name]}: unknown placeholder {_braces(name)}; {_suggestion(meant[name], known)}",
        )
        for name in told_of
    ]
    problems += _bare_variables(commands, file, known)
    seeds = {SEED} if any(is_seed(name) for name in lines) else set()
    referred = _variables(commands)
    bare = {name for name in known if name in referred}
    used = {*lines, *meant.values(), *seeds, *(bare if problems else ())}
    missing = [_missing(name, settings.values, space) for name in known if name not in used]
    return [*at_most(problems, len(unknown) - len(told_of)), *missing]


def at_most(problems: list[Problem], left_out: int = 0) -> list[Problem]:
    """The first MOST_PROBLEMS of them, and how many more there are."""
    more = len(problems) - MOST_PROBLEMS + left_out
    if len(problems) <= MOST_PROBLEMS:
        return problems
    return [*problems[:MOST_PROBLEMS], Problem("growth.file", f"{more} more of its lines cannot be used")]


def first_difference(old: str, new: str) -> int:
    """The number of the first line, counted from 1, in which two texts differ."""
    pairs = zip(old.split("\n"), new.split("\n"), strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
    return 1 + (min(old.count("\n"), new.count("\n")) + 1 if same is None else same)


def _braces(name: str) -> str:
    return f"{{{{{name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + '...'}}}}}"


def _suggestion(name: str | None, known: Sequence[str]) -> str:
    if name is not None:
        return f"did you mean {{{{{name}}}}}?"
    return "expected one of " + ", ".join(f"{{{{{name}}}}}" for name in known)


def _missing(name: str, values: Mapping[str, int | float], space: Collection[str]) -> Problem:
    placeholder = f"{{{{{name}}}}}"
    if name in values:
        return Problem(f"growth.values.{name}", f"expected {placeholder} somewhere in the script, got none")
    why = {
        SEED: "without it all attempts of a candidate would be the same",
        FRAME_STEPS: "the steps between two frames, such as in thermo {{frame_steps}}",
    }
    reason = f"[space] has a range for {name}" if name in space else why[name]
    return Problem("growth.file", f"expected {placeholder} somewhere in the script, got none: {reason}")


def _variables(commands: Sequence[Command]) -> dict[str, int]:
    """The variables of LAMMPS that a script refers to, and the first line of each."""
    return {name: command.line for command in reversed(commands) for name in re.findall(r"\$\{(\w+)\}", command.text)}


def _bare_variables(commands: Sequence[Command], file: str, known: Collection[str]) -> list[Problem]:
    """Placeholders written as LAMMPS's own variables, `${seed}`, that nothing in the script sets."""
    defined = {command.texts[1] for command in commands if command.name == "variable" and len(command.texts) > 1}
    return [
        Problem(
            "growth.file",
            f"{file}, line {line}: variable {name} is not defined before this line; "
            f"write {{{{{name}}}}} for the placeholder",
        )
        for name, line in _variables(commands).items()
        if name in known and name not in defined
    ]
