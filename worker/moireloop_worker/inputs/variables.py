"""What LAMMPS's variables put into the commands of an input, as far as it is known beforehand (pure).

Without loops and conditions each variable has one value at each command. Numbers that are only known when LAMMPS runs
stand as NUMBER; they are one word and no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from moireloop_worker.inputs.lammps_input import Command

NUMBER: Final = "0"

LONGEST: Final = 100_000

REFERENCE: Final = re.compile(r"\$(?:\{(?P<braces>[^{}]*)\}|(?P<immediate>\()|(?P<letter>.))", re.DOTALL)

TEXT_STYLES: Final = frozenset({"index", "string", "loop", "world", "universe", "uloop"})

FORMAT: Final = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?l?[diouxXeEfFgGaA]")

NAME: Final = re.compile(r"[A-Za-z_]\w*")


class Unknown(Exception):
    """The value of a variable is not known before LAMMPS runs, and may be any text; the text says why."""


class Values:
    """The values of variables, while commands are gone through from the first to the last one."""

    def __init__(self) -> None:
        self._texts: dict[str, str | Unknown] = {}

    def set_by(self, command: Command) -> None:
        """Take note of a command `variable`, which is resolved; nothing for others."""
        words = command.texts
        if words[0] != "variable" or len(words) < 3:
            return
        name, style, given = words[1], words[2], words[3:]
        if style == "delete":
            self._texts.pop(name, None)
        elif style in ("index", "loop", "world", "universe", "uloop") and name in self._texts:
            return
        elif style in TEXT_STYLES:
            self._texts[name] = NUMBER if style in ("loop", "uloop") else " ".join(given[:1])
        elif style == "format" and not FORMAT.fullmatch(" ".join(given[1:])):
            self._texts[name] = Unknown(f"the format of variable {name} must be the format of one number, such as %.8g")
        elif style in ("getenv", "file", "python"):
            self._texts[name] = Unknown(f"variable {name} of style {style} could be any text: write it out")
        else:
            self._texts[name] = NUMBER

    def put_into(self, command: Command) -> Command:
        """A command as LAMMPS reads it once variables are substituted: outside quotes.

        Raises:
            Unknown: it has one whose text cannot be known.
        """
        if "$" not in command.text:
            return command
        pieces, length = [], 0
        for piece in self._pieces(command.text):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                raise Unknown(f"expected at most {LONGEST} characters with the values of variables, got more")
        return replace(command, text="".join(pieces))

    def _pieces(self, text: str) -> Iterator[str]:
        quote, place, begin = "", 0, 0
        while place < len(text):
            mark = text[place]
            if mark == "$" and not quote:
                yield text[begin:place]
                value, place = self._value(text, place)
                yield value
                begin = place
                continue
            if mark in "\"'" and quote in ("", mark):
                quote = "" if quote else mark
            place += 1
        yield text[begin:]

    def _value(self, text: str, place: int) -> tuple[str, int]:
        """The value of the reference that begins here, and where it ends."""
        match = REFERENCE.match(text, place)
        if match is None:
            raise Unknown("expected a variable after $, got none")
        if match["immediate"] is None:
            return self._text_of(match["braces"] if match["braces"] is not None else match["letter"]), match.end()
        end = closing(text, match.end())
        expression, colon, form = text[match.end() : end].rpartition(":%")
        if colon and expression and not FORMAT.fullmatch("%" + form):
            raise Unknown(f"expected the format of one number such as %.8g, got %{form}")
        return NUMBER, end + 1

    def _text_of(self, name: str) -> str:
        value = self._texts.get(name, NUMBER)
        if isinstance(value, Unknown):
            raise value
        return value


def closing(text: str, begin: int) -> int:
    """Where the bracket closes that was opened right before `begin`. Raises Unknown where it does not."""
    depth = 1
    for place in range(begin, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if not depth:
            return place
    raise Unknown("expected ) after $(, got none")


def immediates(text: str) -> Iterator[str]:
    """The expressions of `$(...)` in a text, in quotes or not, and the names of `$x` and `${x}` as v_x."""
    place = 0
    while found := REFERENCE.search(text, place):
        place = found.end()
        if found["immediate"] is None:
            yield f"v_{found['braces'] if found['braces'] is not None else found['letter']}"
            continue
        try:
            place = closing(text, found.end())
        except Unknown:
            place = len(text)
        yield text[found.end() : place]


def resolved(commands: Sequence[Command]) -> Iterator[tuple[Command, Command | Unknown]]:
    """Each command, and what it is with the values of variables; Unknown where that cannot be known."""
    values = Values()
    for command in commands:
        try:
            whole = values.put_into(command)
        except Unknown as error:
            yield command, error
            continue
        values.set_by(whole)
        yield command, whole


def names_in(formula: str) -> set[str]:
    """All names in a formula: variables, computes and fixes with their v_, c_, f_, keywords, functions."""
    return set(NAME.findall(formula))
