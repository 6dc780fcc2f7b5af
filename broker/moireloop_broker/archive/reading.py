"""Reads parts of the log from the Parquet files of the archive, block by block (adapter)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from moireloop_broker.archive.parts import ArchiveLost, Part, order

if TYPE_CHECKING:
    import numpy as np

Entry = tuple[str, bytes]

LARGEST: Final = 2**63 - 1
"""Of the numbers in a column."""


class PartFile:
    """One file of the archive, open. The block that was read last is kept.

    Raises:
        ArchiveLost: the file is gone, damaged, or has another part of the log.
    """

    def __init__(self, path: Path, part: Part) -> None:
        self._path, self._part = path, part
        with _readable(path, part):
            import pyarrow.parquet

            self._file: Any = pyarrow.parquet.ParquetFile(path)
        sizes = [self._file.metadata.row_group(n).num_rows for n in range(self._file.num_row_groups)]
        self._ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
        self._read: tuple[int, list[Entry]] = -1, []
        if self.rows != part.events:
            self.close()
            raise ArchiveLost(f"expected {part.events} events in {path}, got {self.rows}: is it of another campaign?")
        with _readable(path, part):
            self._ms, self._number = (self._column(name) for name in ("ms", "number"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def rows(self) -> int:
        """How many events it has."""
        return self._ends[-1] if self._ends else 0

    def rows_to(self, log_id: str) -> int:
        """How many of its events are at this id or before it."""
        ms, number = order(log_id)
        low, high = (int(self._ms.searchsorted(ms, side)) for side in ("left", "right"))
        return low + int(self._number[low:high].searchsorted(min(number, LARGEST), "right"))

    def has(self, log_id: str) -> bool:
        """Whether one of its events has this id."""
        row = self.rows_to(log_id) - 1
        return row >= 0 and (int(self._ms[row]), int(self._number[row])) == order(log_id)

    def from_row(self, row: int, limit: int) -> list[Entry]:
        """Up to `limit` events from a row on, of one block."""
        number = bisect_right(self._ends, row)
        begin = self._ends[number - 1] if number else 0
        return self._block(number)[row - begin : row - begin + limit]

    def blocks(self) -> Iterator[list[Entry]]:
        """All its events, in blocks."""
        for number in range(len(self._ends)):
            yield self._block(number)

    def _block(self, number: int) -> list[Entry]:
        if self._read[0] != number:
            begin = self._ends[number - 1] if number else 0
            with _readable(self._path, self._part):
                bodies: list[bytes] = self._file.read_row_group(number, columns=["body"]).column(0).to_pylist()
            ids = zip(self._ms[begin : self._ends[number]], self._number[begin : self._ends[number]], strict=True)
            named = [f"{ms}-{count}" for ms, count in ids]
            self._read = number, list(zip(named, bodies, strict=True))
        return self._read[1]

    def _column(self, name: str) -> np.ndarray[Any, Any]:
        column: np.ndarray[Any, Any] = self._file.read(columns=[name]).column(0).to_numpy()
        return column


class Archive:
    """The files of one campaign's archive, of which the one that was read last stays open.

    Args:
        folder: of the archive; None where it is not known.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._open: tuple[Part, PartFile] | None = None

    def after(self, parts: Sequence[Part], since: str, limit: int) -> list[Entry]:
        """Up to `limit` archived events after an id, oldest first; fewer only where there are no more.

        Raises:
            ArchiveLost: a file that is needed cannot be read.
        """
        found: list[Entry] = []
        for part in parts[bisect_right(parts, order(since), key=lambda part: order(part.last)) :]:
            file = self._opened(part)
            row = file.rows_to(since)
            while row < file.rows and len(found) < limit:
                block = file.from_row(row, limit - len(found))
                found += block
                row += len(block)
            if len(found) >= limit:
                break
        return found

    def has(self, parts: Sequence[Part], log_id: str) -> bool:
        """Whether there is an archived event of this id. Raises ArchiveLost."""
        number = bisect_right(parts, order(log_id), key=lambda part: order(part.first)) - 1
        return number >= 0 and self._opened(parts[number]).has(log_id)

    def _opened(self, part: Part) -> PartFile:
        if self._open is not None and self._open[0] == part:
            return self._open[1]
        if self._folder is None:
            raise ArchiveLost(f"events up to {part.last} lie in the campaign's folder, which is not known here")
        if self._open is not None:
            self._open[1].close()
            self._open = None
        file = PartFile(self._folder / part.name, part)
        self._open = part, file
        return file


@contextmanager
def _readable(path: Path, part: Part) -> Iterator[None]:
    """Around what reads a file: whatever is wrong with it is an ArchiveLost."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ArchiveLost(f"{path} cannot be read without pyarrow: pip install 'moireloop[broker]'") from error
    except (OSError, ValueError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArchiveLost(
            f"the log's events {part.first} to {part.last} are not in {path}: {reason}; put it back from a copy"
        ) from error
