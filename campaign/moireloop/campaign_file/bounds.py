"""How large, how deep and how full a campaign file may be, looked at before it is parsed (pure).

Parsing and checking take longer than in proportion for some texts: keys of thousands of parts, thousands of unknown
keys, deep nesting. Such a text is refused by a scan that looks at each character once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from moireloop_broker.problems import Problem

LARGEST_FILE_BYTES: Final = 1_000_000

MOST_KEYS: Final = 2000

MOST_PARTS: Final = 32

MOST_LEVELS: Final = 32

MOST_VALUES: Final = 100_000

_TOKEN: Final = re.compile(
    r"""
    (?P<comment> \#[^\n]*)
    | (?P<long> (?: \"\"\" (?: [^"\\]++ | \\. | "(?!"") )*+ \"\"\" ) | (?: ''' (?: [^']++ | '(?!'') )*+ ''' ) )
    | (?P<unended> \"\"\" | ''')
    | (?P<string> " (?: [^"\\\n]++ | \\[^\n] )*+ " | ' [^'\n]*+ ')
    | (?P<mark> ["'\[\]{}.,=\n])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass
class _Scan:
    """What was counted so far: line, levels of lists and tables, keys, values, and parts of the present key."""

    line: int = 1
    level: int = 0
    keys: int = 0
    values: int = 0
    parts: int = 1
    is_line_start: bool = True

    def take(self, mark: str) -> str | None:
        """Count one mark; what is too much, if anything is."""
        if mark == ".":
            self.parts += 1
            return f"a key of at most {MOST_PARTS} parts" if self.parts > MOST_PARTS else None
        self.parts = 1
        if mark in "[{":
            self.keys += self.is_line_start and self.level == 0
            self.level += 1
        elif mark in "]}":
            self.level = max(0, self.level - 1)
        self.keys += mark == "="
        self.values += mark == ","
        self.line += mark == "\n"
        self.is_line_start = mark == "\n" or (self.is_line_start and mark == "[")
        return self._excess()

    def _excess(self) -> str | None:
        if self.level > MOST_LEVELS:
            return f"at most {MOST_LEVELS} lists and tables inside each other, got more: nested too deeply"
        if self.keys > MOST_KEYS:
            return f"at most {MOST_KEYS} keys"
        return f"at most {MOST_VALUES} values in lists" if self.values > MOST_VALUES else None


def excess(text: str) -> Problem | None:
    """What a text has too much of, and in which line; None where it can be parsed and checked within a second.

    What stands in strings and comments does not count. Where a string does not end the rest is not looked at: the
    parser does not get there either.
    """
    scan = _Scan()
    for token in _TOKEN.finditer(text):
        kind, found = token.lastgroup, token.group()
        if kind == "unended" or found in ('"', "'"):
            return None
        if kind == "mark" and (too_much := scan.take(found)) is not None:
            return Problem("", f"line {scan.line}: expected {too_much}{'' if 'got' in too_much else ', got more'}")
        if kind != "mark":
            scan.line += found.count("\n")
            scan.is_line_start = False
    return None
