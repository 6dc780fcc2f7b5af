"""Commands whose state a restart file does not hold, so that a run could not continue from it; output commands (pure).

From the LAMMPS manual: what each fix writes to restart files, when `$` and formulas are evaluated, which keywords count
from the beginning of a `run`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from moireloop_worker.inputs.lammps_input import Command, Wrong
from moireloop_worker.inputs.script_rules import BOX_MAKERS, is_once, without_suffix
from moireloop_worker.inputs.variables import immediates, names_in

OUTPUT: Final = frozenset({"thermo", "thermo_style", "thermo_modify", "print", "info", "echo", "timer"})

PASSIVE_FIXES: Final = ("ave/", "print", "vector")

CONSTANT: Final = frozenset(
    {
        "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "exp", "floor", "ln", "log", "PI", "pi", "round", "sin",
        "sqrt", "tan", "ternary", "sign", "version", "yes", "no", "on", "off", "true", "false", "e", "E",
    }
)  # fmt: skip
"""Functions and constants of formulas that have the same value at any time."""

FORGETFUL_FIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "controller": "its control variable",
        "recenter": "the centre that it holds",
        "spring/chunk": "the centres that it holds",
        "spring/rg": "the radius that it holds",
        "pour": "how much it has poured",
        "ave/": "its averages, on which another command depends",
        "vector": "its values, on which another command depends",
    }
)
"""Beginnings of styles of fixes, and what of them a restart file does not hold."""

CHANGES_THE_BOX: Final = ("deform", "npt", "nph", "press/", "box/relax", "nphug", "msst", "qbmsst")

ELAPSED: Final = re.compile(r"(?<![\w{])elapsed(?!\w)")


def outputs(commands: Sequence[Command]) -> frozenset[int]:
    """The numbers of the commands that move no atom: output, and what only output refers to."""
    users = _users(commands)
    numbers = {number for number, command in enumerate(commands) if _is_output(command)}
    passive = {number: command.texts[1] for number, command in enumerate(commands) if _is_passive(command)}
    while more := {
        number
        for number, name in passive.items()
        if number not in numbers
        and all(user in numbers or _makes_or_ends(commands[user], name) for user in users[name])
    }:
        numbers |= more
        passive = {number: name for number, name in passive.items() if number not in more}
    return frozenset(numbers)


def obstacles(commands: Sequence[Command]) -> list[Wrong]:
    """Why a run of these commands could not correctly continue from a restart file, by line; empty if it could."""
    idle = outputs(commands)
    acting = [command for number, command in enumerate(commands) if number not in idle and not is_once(command)]
    formulas = _formulas(commands)
    made = next((n for n, command in enumerate(commands) if command.name in BOX_MAKERS), 0)
    kept = [command for command in acting if command is not commands[made]] if commands else []
    return sorted(
        [
            *(wrong for command in kept if (wrong := _by_state(command, formulas))),
            *(wrong for command in kept if (wrong := _forgets(command))),
            *_edges(commands),
        ],
        key=lambda wrong: wrong.line,
    )


def counting_from_the_stage(command: Command) -> str:
    """Its text, with `elaplong` for the keyword `elapsed` in formulas.

    In a whole `run` they are the same. When it continues from a restart file, only `elaplong` counts from the beginning
    of the stage.
    """
    words = command.words
    first = words[3].start if command.name == "variable" and len(words) > 3 else len(command.text)
    text = command.text[:first] + ELAPSED.sub("elaplong", command.text[first:])
    return re.sub(r"\$\([^$]*\)", lambda found: ELAPSED.sub("elaplong", found[0]), text) if "$(" in text else text


def _is_output(command: Command) -> bool:
    words = command.texts
    if words[0] == "thermo_modify":
        return "lost" not in words
    return words[0] in OUTPUT or (words[0] == "fix" and words[3:4] == ("print",))


def _is_passive(command: Command) -> bool:
    """Whether it makes something that does nothing by itself."""
    words = command.texts
    if words[0] in ("variable", "compute"):
        return len(words) > 1
    return words[0] == "fix" and len(words) > 3 and words[3].startswith(PASSIVE_FIXES)


def _makes_or_ends(command: Command, name: str) -> bool:
    makers = ("variable", "compute", "fix", "unfix", "uncompute")
    return command.name in makers and command.texts[1:2] == (name,)


def _users(commands: Sequence[Command]) -> Mapping[str, set[int]]:
    """Name -> the commands that may refer to it: any word of theirs that is or contains it."""
    users: dict[str, set[int]] = defaultdict(set)
    for number, command in enumerate(commands):
        for word in set(re.findall(r"\w+", command.text)):
            users[word].add(number)
            if word[:2] in ("v_", "c_", "f_"):
                users[word[2:]].add(number)
        for reference in immediates(command.text):
            for word in names_in(reference):
                users[word.removeprefix("v_")].add(number)
    return users


def _formulas(commands: Sequence[Command]) -> Mapping[str, str]:
    """Variable -> all of its formulas, and what was put into them at once, in one text."""
    formulas: dict[str, str] = defaultdict(str)
    for command in commands:
        words = command.texts
        if words[0] == "variable" and len(words) > 3:
            formula = f" {' '.join(words[3:])}" if words[2] not in ("index", "string", "loop", "format") else ""
            formulas[words[1]] += formula + "".join(f" {found}" for found in immediates(command.text))
    return formulas


def _by_state(command: Command, formulas: Mapping[str, str]) -> Wrong | None:
    """A number that LAMMPS fills in when it reads the command, and that differs when the run continues."""
    for expression in immediates(command.text):
        if changing := sorted(_changing(expression, formulas, set())):
            text = f"$ inserts the current value of {changing[0]} into a command that is repeated"
            return Wrong(command.line, text)
    return None


def _changing(expression: str, formulas: Mapping[str, str], seen: Collection[str]) -> Iterator[str]:
    for name in names_in(re.sub(r"(?<![\w.])[\d.]+(?:[eE][-+]?\d+)?", " ", expression)):
        if name.startswith("v_"):
            if name not in seen:
                yield from _changing(formulas.get(name[2:], ""), formulas, {*seen, name})
        elif name not in CONSTANT:
            yield name


def _forgets(command: Command) -> Wrong | None:
    words = command.texts
    if words[0] == "fix" and len(words) > 3:
        style = without_suffix(words[3])
        for begins, what in FORGETFUL_FIXES.items():
            if style.startswith(begins):
                return Wrong(command.line, f"fix {style}: a restart file does not store {what}")
    if words[0] == "variable" and re.search(r"(?<!\w)next\(", command.text):
        return Wrong(command.line, "a restart file does not store how far a variable has read its file")
    return None


def _edges(commands: Sequence[Command]) -> Iterator[Wrong]:
    """A wall or region at the edge of the box stays where the edge was, while the box changes after it."""
    changing = max((n for n, command in enumerate(commands) if _changes_the_box(command)), default=-1)
    for number, command in enumerate(commands):
        if number < changing and command.name in ("fix", "region") and "EDGE" in command.texts:
            yield Wrong(command.line, "EDGE means the box at that moment, and the box changes later")


def _changes_the_box(command: Command) -> bool:
    words = command.texts
    return words[0] == "change_box" or (words[0] == "fix" and len(words) > 3 and words[3].startswith(CHANGES_THE_BOX))
