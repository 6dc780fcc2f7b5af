"""One frame of a run on the wire (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

import msgpack
from pydantic import Field, TypeAdapter, model_validator

from moireloop_broker.contract.codec import _decoded, _validated
from moireloop_broker.contract.message import (
    Attempt,
    Count,
    Element,
    Identifier,
    MalformedMessage,
    Message,
    Number,
    Row,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_FRAME_ATOMS: Final = 200_000_000

MAX_FINAL_ATOMS: Final = 40_000_000
"""Atoms of a final frame, 13 bytes each: a Redis value has at most 512 MiB (redis.io/docs, `proto-max-bulk-len`)."""

MAX_PARTS: Final = 4096

FRAME_TOPIC: Final = b"frame/3"


class FrameHeader(Message):
    """Part two of a frame message; the raw buffers follow as parts three and four.

    `cell` holds the rows a, b, c in angstrom. Positions are `dtype` (N, 3) in angstrom, little-endian, row by row;
    types are uint8 (N,). `lattice_types` are the types whose in-plane lattice carries the twist; `elements` has the
    chemical symbol of type 1 first, "" where it is unknown, and may be shorter than there are types. Temperature,
    pressure and energies refer to the whole system, atoms that are not sent included; None where not known.
    With `parts` above 1 the message is one part of a frame: the headers of all its parts differ only in `shape` and
    `part`.
    """

    tag: Literal["frame/3"] = "frame/3"
    candidate_id: Identifier
    attempt: Attempt
    step: Count
    time_ps: Number
    cell: Annotated[list[Row], Field(min_length=3, max_length=3)]
    periodic: Annotated[list[bool], Field(min_length=3, max_length=3)]
    dtype: Literal["<f4"] = "<f4"
    shape: Annotated[list[Annotated[int, Field(ge=0, le=MAX_FRAME_ATOMS)]], Field(min_length=2, max_length=2)]
    lattice_types: Annotated[list[Annotated[int, Field(ge=1, le=255)]], Field(min_length=1, max_length=16)]
    elements: Annotated[list[Element], Field(max_length=255)] = []
    temperature_k: Number | None = None
    pressure_bar: Number | None = None
    potential_ev: Number | None = None
    kinetic_ev: Number | None = None
    final: bool = False
    planned_steps: Count = 0
    part: Annotated[int, Field(ge=0, lt=MAX_PARTS)] = 0
    parts: Annotated[int, Field(ge=1, le=MAX_PARTS)] = 1

    @model_validator(mode="after")
    def _part_of_parts(self) -> Self:
        if self.part >= self.parts:
            raise ValueError(f"expected a part below {self.parts}, the number of parts, got {self.part}")
        return self


DIFFERING: Final = (
    "step", "time_ps", "cell", "shape", "temperature_k", "pressure_bar", "potential_ev", "kinetic_ev",
)  # fmt: skip
"""Fields in which the frames of a run differ."""


class FrameHeaders:
    """Packed headers of the frames of one run, which have most of their bytes in common.

    Args:
        first: the header of any frame of the run, which is checked. What differs in the others is taken on trust, as
            long as its numbers are finite: the receiver checks it.
    """

    def __init__(self, first: FrameHeader) -> None:
        self._pack = msgpack.Packer().pack
        common = {name: value for name, value in first.__dict__.items() if name not in DIFFERING}
        head = msgpack.Packer().pack_map_header(len(common) + len(DIFFERING))
        self._common: bytes = head + self._pack(common)[1:]

    def packed(self, *values: object) -> bytes:
        """The header of another frame, as `frame_parts` packs it, except for the order of its fields.

        Args:
            values: for the fields of DIFFERING, in that order.
        """
        differing: bytes = self._pack(dict(zip(DIFFERING, values, strict=True)))
        return self._common + differing[1:]


class Frame:
    """Positions of one instant of a run: a header, positions float32 (N, 3) in angstrom and types uint8 (N,)."""

    __slots__ = ("header", "positions", "types")

    def __init__(self, header: FrameHeader, positions: npt.NDArray[np.float32], types: npt.NDArray[np.uint8]) -> None:
        self.header = header
        self.positions = positions
        self.types = types


_FRAME_HEADER: Final = TypeAdapter(FrameHeader)


def frame_parts(frame: Frame) -> list[bytes | memoryview]:
    """The multipart message of a frame; positions and types are passed on as buffers, not copied."""
    header: bytes = msgpack.packb(frame.header.__dict__)  # flat: model_dump would give the same, more slowly
    return message_of(header, frame.positions, frame.types)


def message_of(
    header: bytes, positions: npt.NDArray[np.float32], types: npt.NDArray[np.uint8]
) -> list[bytes | memoryview]:
    """The multipart message of a packed header, positions (N, 3), row by row, and types (N,), which are not copied."""
    import numpy as np

    return [FRAME_TOPIC, header, positions.reshape(-1).view(np.uint8).data, types.data]


def frame_from_parts(parts: Sequence[bytes | memoryview]) -> Frame:
    """The frame in a multipart message, its arrays views of the buffers received.

    Raises:
        MalformedMessage: wrong number of parts, a bad header, or buffers that do not fit the header's shape.
    """
    import numpy as np

    if len(parts) != 4:
        raise MalformedMessage(f"expected a frame of 4 parts, got {len(parts)}")
    topic, header_bytes, positions, types = parts
    if topic != FRAME_TOPIC:
        raise MalformedMessage(f"expected topic {FRAME_TOPIC!r}, got {bytes(topic[:40])!r}")
    header: FrameHeader = _validated(_FRAME_HEADER, _decoded(header_bytes))
    atoms, columns = header.shape
    expected, came = (atoms * 12, atoms, 3), (len(positions), len(types), columns)
    if expected != came:
        raise MalformedMessage(
            f"expected buffers of {atoms} x 3 float32 and {atoms} uint8, got {came[:2]} bytes and shape {header.shape}"
        )
    return Frame(header, np.frombuffer(positions, "<f4").reshape(atoms, 3), np.frombuffer(types, np.uint8))
