"""Very many results in little memory: packed and compressed, and made again when they are looked at (pure)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, overload

import msgpack

from moireloop_broker.contract.events import (
    AnalysisArray,
    AnalysisOutcome,
    Candidate,
    Measurement,
    Result,
    RunReport,
    StageTimes,
)
from moireloop_broker.contract.message import Message

BLOCK: Final = 128
"""Results that are packed together. The newest, at least as many, are kept as they are."""

LEVEL: Final = 1
"""zlib's fastest: what is alike in the results of a block is small by it as well as by higher ones."""


PARTS: Final[Mapping[str, type[Message]]] = {
    "candidate": Candidate,
    "measurement": Measurement,
    "report": RunReport,
    "times": StageTimes,
}
"""Fields of a result that are messages themselves."""


class PackedResults(Sequence[Result]):
    """Results in their order. One of a bead run takes some 300 bytes, where the object takes 7600.

    A result that is made again is equal to the one that was appended.
    """

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._newest: list[Result] = []
        self._open: tuple[int, list[Result]] = (-1, [])

    def __len__(self) -> int:
        return BLOCK * len(self._blocks) + len(self._newest)

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> list[Result]: ...

    def __getitem__(self, place: int | slice) -> Result | list[Result]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = place + len(self) if place < 0 else place
        if not 0 <= number < len(self):
            raise IndexError(f"expected a number below {len(self)}, got {place}")
        block, inside = divmod(number, BLOCK)
        if block >= len(self._blocks):
            return self._newest[number - BLOCK * len(self._blocks)]
        if self._open[0] != block:
            self._open = block, unpacked(self._blocks[block])
        return self._open[1][inside]

    def __iter__(self) -> Iterator[Result]:
        for block in self._blocks:
            yield from unpacked(block)
        yield from self._newest

    def append(self, result: Result) -> None:
        """Add the next result."""
        self._newest.append(result)
        if len(self._newest) >= 2 * BLOCK:
            self._blocks.append(packed(self._newest[:BLOCK]))
            self._newest = self._newest[BLOCK:]


def packed(results: Sequence[Result]) -> bytes:
    """These results in one block."""
    return zlib.compress(msgpack.packb([result.model_dump() for result in results]), LEVEL)


def unpacked(block: bytes) -> list[Result]:
    """The results of a block. They were checked before they were packed, and are not again; those with equal
    provenances share one.
    """
    provenances: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    rows = msgpack.unpackb(zlib.decompress(block))
    for report in (fields["report"] for fields in rows if fields["report"] is not None):
        provenance = report["provenance"]
        report["provenance"] = provenances.setdefault(tuple(provenance.items()), provenance)
    return [_made(fields) for fields in rows]


def _made(fields: dict[str, Any]) -> Result:
    parts = {name: _part(model, fields[name]) for name, model in PARTS.items()}
    analyses = {name: _analysis(outcome) for name, outcome in fields["analyses"].items()}
    return Result.model_construct(**{**fields, **parts, "analyses": analyses})


def _part(model: type[Message], fields: dict[str, Any] | None) -> Message | None:
    return None if fields is None else model.model_construct(**fields)


def _analysis(fields: dict[str, Any]) -> AnalysisOutcome:
    arrays = {name: AnalysisArray.model_construct(**array) for name, array in fields["arrays"].items()}
    return AnalysisOutcome.model_construct(**{**fields, "arrays": arrays})
