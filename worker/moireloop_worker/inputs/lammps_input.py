"""The text of a LAMMPS input: its commands, their words, and placeholders such as {{temperature_k}} in them (pure).

Lines are joined, stripped of comments and cut into words as LAMMPS does it (manual, Parsing rules for input scripts).
Its own variables, `${x}` and `$(x)`, are left for LAMMPS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{\{(.*?)\}\}")

_WORD: Final = re.compile(r""""(?P<double>[^"]*)"(?!\S)|'(?P<single>[^']*)'(?!\S)|(?P<bare>[^\s"']\S*)""")


@dataclass(frozen=True)
class Wrong:
    """Something in a script that cannot be, and the number of its line, counted from 1; 0 for the script as a whole."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class ScriptRefused(ValueError):
    """A script cannot be run; the text names the first line and what is wrong with it."""

    def __init__(self, wrong: list[Wrong]) -> None:
        super().__init__(str(wrong[0]))
        self.wrong = wrong


@dataclass(frozen=True)
class Word:
    """A word of a command without its quotes, and where it stands in the command, quotes included."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Command:
    """One command, without comment, and the number of its first line, counted from 1."""

    line: int
    text: str

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """Its words in order; the first one is its name."""
        return tuple(
            Word(found["bare"] or found["double"] or found["single"] or "", *found.span())
            for found in _WORD.finditer(self.text)
        )

    @property
    def name(self) -> str:
        """Its first word."""
        return self.texts[0]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Its words without their places."""
        return tuple(word.text for word in self.words)

    @property
    def placeholders(self) -> list[str]:
        """The names of the placeholders in it, in order."""
        return [name.strip() for name in PLACEHOLDER.findall(self.text)]

    def filled(self, values: Mapping[str, int | float]) -> Command:
        """With these values in place of their placeholders, to full precision; other placeholders stay."""

        def value(found: re.Match[str]) -> str:
            name = found[1].strip()
            return repr(values[name]) if name in values else found[0]

        return replace(self, text=PLACEHOLDER.sub(value, self.text))

    def renamed(self, names: Mapping[int, str]) -> Command:
        """With other texts for the words of these numbers; the texts have no blanks and no quotes."""
        text = self.text
        for number in sorted(names, reverse=True):
            word = self.words[number]
            text = f"{text[: word.start]}{names[number]}{text[word.end :]}"
        return replace(self, text=text)


def commands_of(text: str) -> list[Command]:
    """The commands of a script.

    Raises:
        ScriptRefused: quotes that do not close, triple quotes, or braces of a placeholder that do not.
    """
    commands = [Command(line, _without_comment(joined).strip()) for line, joined in _joined_lines(text)]
    wrong = [Wrong(command.line, reason) for command in commands if (reason := _misspelt(command.text))]
    if wrong:
        raise ScriptRefused(wrong)
    return [command for command in commands if command.text]


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with those that it goes on in (`&` at its end), and the number of the first of them."""
    joined, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first or number
        stripped = line.rstrip()
        if stripped.endswith("&"):
            joined += stripped[:-1]
            continue
        yield first, joined + stripped
        joined, first = "", 0
    if joined:
        yield first, joined


def _without_comment(line: str) -> str:
    """The line up to the first `#` that is not inside quotes."""
    quote = ""
    for place, character in enumerate(line):
        if character == "#" and not quote:
            return line[:place]
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
    return line


def _misspelt(text: str) -> str | None:
    """What LAMMPS or we could not read in a command, None where it is in order."""
    if '"""' in text:
        return "triple quotes are not taken; write the command with single or double quotes"
    if "{{" in PLACEHOLDER.sub("", text):
        return "expected a placeholder such as {{seed}}, got {{ without }}"
    if re.search(r"[\"']", _WORD.sub("", text)):
        return "expected quotes around whole words, each closed by its like"
    return None
