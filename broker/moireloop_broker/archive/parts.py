"""What is known of each file of the archive: its name, and which part of the log it has (pure)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

SUFFIX: Final = ".parquet"

HIGHEST: Final = 2**64 - 1
"""Of the second numbers of ids (redis.io/docs, streams)."""


class ArchiveLost(RuntimeError):
    """Older events of the log cannot be read from the campaign's folder; the text says which file is the matter."""


@dataclass(frozen=True)
class Part:
    """One file: the ids of its first and last event, how many it has, and its size in bytes."""

    first: str
    last: str
    events: int
    size: int

    @property
    def name(self) -> str:
        """The file's name."""
        return name_of(self.first)

    def packed(self) -> bytes:
        """The part as Redis keeps it."""
        return json.dumps(asdict(self)).encode()


def name_of(first: str) -> str:
    """The name of a file by its first event alone, so that a file that came to nothing is replaced."""
    return first + SUFFIX


def unpacked(text: bytes) -> Part:
    """A part as it was packed. Raises ArchiveLost."""
    try:
        return Part(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise ArchiveLost(f"expected a part of the archive in Redis, got {text!r:.80}: {error}") from error


def order(log_id: str) -> tuple[int, int]:
    """The sort key of an id within its stream."""
    milliseconds, number = log_id.split("-")
    return int(milliseconds), int(number)


def following(log_id: str) -> str:
    """The lowest id after this one."""
    milliseconds, number = order(log_id)
    return f"{milliseconds}-{number + 1}"


def preceding(log_id: str) -> str:
    """The highest id before this one, which is not "0-0"."""
    milliseconds, number = order(log_id)
    return f"{milliseconds}-{number - 1}" if number else f"{milliseconds - 1}-{HIGHEST}"
