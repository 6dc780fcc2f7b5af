"""The text of a LAMMPS input: its commands, their words, and placeholders such as {{temperature_k}} in them (pure).

Characters that LAMMPS takes for others, such as typographic quotes, are replaced first, so that LAMMPS gets what
was checked. Lines are joined, stripped of comments and cut into words as LAMMPS does it (manual, Parsing rules for
input scripts). Its own variables, `${x}` and `$(x)`, are left for LAMMPS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")

BLANKS: Final = " \t\n\r\f\v"
"""What LAMMPS takes for a blank, and nothing else."""

_B: Final = r" \t\n\r\f\v"

_WORD: Final = re.compile(
    rf""""(?P<double>[^"]*)"(?![^{_B}])|'(?P<single>[^']*)'(?![^{_B}])|(?P<bare>[^{_B}"'][^{_B}]*)"""
)

_UNQUOTED: Final = re.compile(rf"[^{_B}]+")

MOST_COMMANDS: Final = 10_000

_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

_SAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u2060\u2063\ufeff",
        "'": "\u2018\u2019",
        '"': "\u201c\u201d",
        "+": "\u02d6\u2064",
        "-": "\u02d7\u2212",
    }
)
"""ASCII character -> those that LAMMPS replaces by it (utils::utf8_subst)."""

_TO_ASCII: Final = {ord(other): ascii_ for ascii_, others in _SAME.items() for other in others}


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
            Word(match["bare"] or match["double"] or match["single"] or "", *match.span())
            for match in _WORD.finditer(self.text)
        )

    @property
    def name(self) -> str:
        """Its first word."""
        return self.texts[0]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Its words without their places."""
        if '"' not in self.text and "'" not in self.text:
            return tuple(_UNQUOTED.findall(self.text))
        return tuple(bare or double or single for double, single, bare in _WORD.findall(self.text))

    @property
    def placeholders(self) -> list[str]:
        """The names of the placeholders in it, in order."""
        return [name.strip() for name in PLACEHOLDER.findall(self.text)]

    def filled(self, values: Mapping[str, int | float]) -> Command:
        """With these values in place of their placeholders, to full precision; other placeholders stay."""

        if "{{" not in self.text:
            return self

        def value(found: re.Match[str]) -> str:
            name = found[1].strip()
            return repr(values[name]) if name in values else found[0]

        return replace(self, text=PLACEHOLDER.sub(value, self.text))

    def renamed(self, names: Mapping[int, str]) -> Command:
        """With other texts for the words of these numbers; the texts have no blanks and no quotes."""
        pieces, end = [], 0
        for number in sorted(names):
            word = self.words[number]
            pieces += [self.text[end : word.start], names[number]]
            end = word.end
        return replace(self, text="".join((*pieces, self.text[end:])))


def commands_of(text: str) -> list[Command]:
    """The commands of a script.

    Raises:
        ScriptRefused: quotes that do not close, triple quotes, or braces of a placeholder that do not; or more than
            MOST_COMMANDS.
    """
    commands = []
    for line, joined in _joined_lines(text.translate(_TO_ASCII)):
        if command := _without_comment(joined).strip(BLANKS):
            commands.append(Command(line, command))
        if len(commands) > MOST_COMMANDS:
            raise ScriptRefused([Wrong(line, f"expected at most {MOST_COMMANDS} commands, got more")])
    wrong = [Wrong(command.line, reason) for command in commands if (reason := misspelt(command.text))]
    if wrong:
        raise ScriptRefused(wrong)
    return commands


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line joined with its continuation lines (`&` at its end), and the number of the first of them."""
    joined: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first or number
        stripped = line.rstrip(BLANKS)
        if stripped.endswith("&"):
            joined.append(stripped[:-1])
            continue
        yield first, "".join((*joined, stripped))
        joined, first = [], 0
    if joined:
        yield first, "".join(joined)


def _without_comment(line: str) -> str:
    """The line up to the first `#` that is not inside quotes."""
    if "#" not in line:
        return line
    quote = ""
    for match in re.finditer("[#\"']", line):
        mark = match[0]
        if mark == "#" and not quote:
            return line[: match.start()]
        if mark != "#" and quote in ("", mark):
            quote = "" if quote else mark
    return line


def misspelt(text: str) -> str | None:
    """What LAMMPS or we could not read in a command, None where it is in order."""
    if found := _CONTROL.search(text):
        return f"expected text, got the character 0x{ord(found[0]):02x}"
    if '"""' in text:
        return "triple quotes are not supported; write the command with single or double quotes"
    if "{{" in PLACEHOLDER.sub("", text):
        return "expected a placeholder such as {{seed}}, got {{ without }}"
    if re.search(r"[\"']", _WORD.sub("", text)):
        return "expected quotes around whole words, each closed by the same kind"
    return None
