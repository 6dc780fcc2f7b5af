"""What is wrong with a setting: its key, what was expected, what came (pure)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LONGEST_VALUE: Final = 60

LONGEST_KEY: Final = 120

LONGEST_WORD: Final = 64
"""A longer word is like no known one; the comparison takes longer than in proportion."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the dotted path of the key (empty for the file as a whole), and what to do."""

    key: str
    text: str

    def __str__(self) -> str:
        key = self.key if len(self.key) <= LONGEST_KEY else f"{self.key[:LONGEST_KEY]}..."
        return f"{key}: {self.text}" if key else self.text


def not_utf8(error: UnicodeDecodeError) -> tuple[int, str]:
    """The line where a file is no UTF-8 text, from 1, and what was expected and came."""
    line = error.object[: error.start].count(b"\n") + 1
    mend = "; it looks like UTF-16: save it as UTF-8" if error.object.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
    return line, f"expected UTF-8 text, got the byte 0x{error.object[error.start]:02x}{mend}"


def unknown_key(key: str, allowed: Sequence[str], elsewhere: Sequence[str] = ()) -> Problem:
    """An unknown key, with the nearest known one.

    Args:
        key: dotted path of the unknown key.
        allowed: dotted paths of the keys that may stand there.
        elsewhere: dotted paths of keys of other tables, tried when none that is allowed comes near.
    """
    by_name = {_last(path): path for path in allowed}
    name = nearest(_last(key), by_name)
    meant = by_name[name] if name else _same_name(key, elsewhere)
    if meant is not None:
        return Problem(key, f"unknown key; did you mean {meant}?")
    names = ", ".join(_last(path) for path in allowed)
    return Problem(key, f"unknown key; expected one of {names}" if names else "unknown key")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one, or None when none is like it."""
    if len(word) > LONGEST_WORD:
        return None
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[matches[0]] if matches else None


def shown(value: object) -> str:
    """A value as it would be written in the file, shortened, without passwords."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    try:
        text = repr(value)
    except ValueError:
        return "a number with too many digits"
    text = re.sub(r"//[^@/]*@", "//***@", text)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _same_name(key: str, elsewhere: Sequence[str]) -> str | None:
    return next((path for path in elsewhere if _last(path) == _last(key) and path != key), None)


def _last(path: str) -> str:
    return path.rpartition(".")[2]
