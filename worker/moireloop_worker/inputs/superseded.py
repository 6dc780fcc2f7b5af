"""Which commands of a run that went so far are still in force (pure).

When a run continues from a restart file, its commands are given again. LAMMPS hands what the file has of a fix to each
new fix of that name and style, so that one which was unfixed or replaced by then must not be among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from moireloop_worker.inputs.lammps_input import Command

ENDS: Final[Mapping[str, str]] = MappingProxyType({"unfix": "fix", "uncompute": "compute"})

MODIFIES: Final[Mapping[str, str]] = MappingProxyType({"fix_modify": "fix", "compute_modify": "compute"})

NAMES_A_COMPUTE: Final = frozenset({"temp", "press"})
"""Keywords of fix_modify, compute_modify and thermo_modify, before the ID of a compute."""

DEFINES: Final = frozenset({"compute", "variable", "region", "group", "molecule"})


@dataclass
class _Made:
    """A fix or compute that is there: the command that made it, what has modified it since, and its place."""

    command: int
    place: int
    modified: list[int] = field(default_factory=list)


def in_force(texts: Sequence[str]) -> list[str | None]:
    """The same commands, None for those that are not to be given again.

    A fix that replaces another one of its ID is given instead of that one, as in LAMMPS's list, where it
    needs nothing that is only made after that place; else where it stands.
    """
    commands = [Command(0, text) for text in texts]
    remaining: list[str | None] = list(texts)
    there: dict[tuple[str, str], _Made] = {}
    ended: set[str] = set()
    thermo = max((n for n, command in enumerate(commands) if command.name == "thermo_style"), default=-1)
    for number, command in enumerate(commands):
        name, words = command.name, command.texts
        key = (ENDS.get(name) or MODIFIES.get(name) or name, words[1] if len(words) > 1 else "")
        if name in ENDS.values() and len(words) > 1:
            _make(key, number, remaining, there)
            ended -= {key[1]} if name == "compute" else set()
        elif name in ENDS and key in there:
            _forget(there.pop(key), remaining)
            remaining[number] = None
            ended |= {key[1]} if name == "uncompute" else set()
        elif name in MODIFIES and key in there:
            there[key].modified.append(number)
        elif name in ("thermo_style", "thermo_modify") and number < thermo:
            remaining[number] = None
    _move_replacing(commands, remaining, there)
    return [text and _without_computes(text, ended) for text in remaining]


def _make(key: tuple[str, str], number: int, remaining: list[str | None], there: dict[tuple[str, str], _Made]) -> None:
    place = number
    if key in there:
        place = there[key].place
        _forget(there[key], remaining)
    there[key] = _Made(number, place)


def _forget(made: _Made, remaining: list[str | None]) -> None:
    for number in (made.command, *made.modified):
        remaining[number] = None


def _move_replacing(
    commands: Sequence[Command], remaining: list[str | None], there: Mapping[tuple[str, str], _Made]
) -> None:
    for made in there.values():
        if made.place != made.command and not _needs(commands, made):
            remaining[made.place], remaining[made.command] = remaining[made.command], None


def _needs(commands: Sequence[Command], made: _Made) -> bool:
    """Whether it needs what is made between its place and its command."""
    replacing = commands[made.command]
    between = commands[made.place + 1 : made.command]
    names = {command.texts[1] for command in between if command.name in DEFINES and len(command.texts) > 1}
    words = {word[2:] if word[:2] in ("v_", "c_", "f_") else word for word in replacing.texts[2:]}
    return "$" in replacing.text or any(word.partition("[")[0] in names for word in words)


def _without_computes(text: str, ended: set[str]) -> str | None:
    """A command that modifies, without the words that name a compute which is no more; None if nothing is left."""
    words = list(Command(0, text).texts)
    if not ended or words[0] not in (*MODIFIES, "thermo_modify"):
        return text
    first = 1 if words[0] == "thermo_modify" else 2
    for place in range(len(words) - 2, first - 1, -1):
        if words[place] in NAMES_A_COMPUTE and words[place + 1] in ended:
            del words[place : place + 2]
    if words == list(Command(0, text).texts):
        return text
    return " ".join(f'"{word}"' if not word or " " in word else word for word in words) if len(words) > first else None
