"""Frames put together from the parts that the ranks of a worker sent (pure)."""

from __future__ import annotations

from typing import Final

import numpy as np

from moireloop_broker.contract.frames import MAX_FRAME_ATOMS, Frame, FrameHeader

KEPT_BYTES: Final = 1024**3

KEPT_S: Final = 60.0

BEGUN_FRAMES: Final = 256

Key = tuple[str, int, int, bool]


class PartRefused(ValueError):
    """A part does not fit the parts of its frame that are there; the text says why."""


class Assembly:
    """Parts of frames that are not whole yet, bounded in bytes, number of frames and age.

    `incomplete` counts frames that were given up.

    Args:
        kept_bytes: positions and types of all parts that wait; beyond them the oldest frames are given up.
        kept_s: seconds after its first part at which a frame is given up.
    """

    def __init__(self, *, kept_bytes: int = KEPT_BYTES, kept_s: float = KEPT_S) -> None:
        self.incomplete = 0
        self._kept_bytes = kept_bytes
        self._kept_s = kept_s
        self._begun: dict[Key, _Begun] = {}

    def add(self, frame: Frame, now_s: float) -> Frame | None:
        """The whole frame when this was its last part (or its only one), its atoms in any order; else None.

        Args:
            frame: a frame or a part of one.
            now_s: present time on a clock that never goes back.

        Raises:
            PartRefused: the part is there already, its header differs from the other parts', or there are too many
                atoms; the parts that are there stay.
        """
        header = frame.header
        if header.parts == 1:
            return frame
        key = (header.candidate_id, header.attempt, header.step, header.final)
        begun = self._begun.get(key) or _Begun(_common(header), now_s)
        begun.add(frame)
        self._begun[key] = begun
        if len(begun.parts) < header.parts:
            self._give_up_the_oldest()
            return None
        del self._begun[key]
        self._give_up([other for other in self._begun if other[:2] == key[:2] and other[2] < key[2]])
        return begun.whole()

    def forget(self, now_s: float) -> None:
        """Give up the frames whose first part came too long ago; to be called when no part waits to be added."""
        self._give_up([key for key, begun in self._begun.items() if now_s - begun.since_s > self._kept_s])

    @property
    def held_bytes(self) -> int:
        """Bytes of all parts that wait."""
        return sum(begun.bytes for begun in self._begun.values())

    def _give_up_the_oldest(self) -> None:
        while self.held_bytes > self._kept_bytes or len(self._begun) > BEGUN_FRAMES:
            self._give_up([next(iter(self._begun))])

    def _give_up(self, keys: list[Key]) -> None:
        for key in keys:
            del self._begun[key]
        self.incomplete += len(keys)


class _Begun:
    """The parts of one frame that are there, by their numbers, and what their headers have in common."""

    def __init__(self, common: FrameHeader, since_s: float) -> None:
        self.common = common
        self.since_s = since_s
        self.bytes = self.atoms = 0
        self.parts: dict[int, Frame] = {}

    def add(self, frame: Frame) -> None:
        """Take a part. Raises PartRefused."""
        header = frame.header
        if _common(header) != self.common:
            raise PartRefused(f"expected the header of the other parts, got {_difference(header, self.common)}")
        if header.part in self.parts:
            raise PartRefused(f"expected part {header.part} once, got it twice")
        atoms = self.atoms + header.shape[0]
        if atoms > MAX_FRAME_ATOMS:
            raise PartRefused(f"expected at most {MAX_FRAME_ATOMS} atoms in a frame, got {atoms} in some of its parts")
        self.parts[header.part] = frame
        self.atoms = atoms
        self.bytes += frame.positions.nbytes + frame.types.nbytes

    def whole(self) -> Frame:
        """All parts in one, in the order of their numbers."""
        parts = [self.parts[number] for number in sorted(self.parts)]
        positions = np.concatenate([part.positions for part in parts])
        header = self.common.model_copy(update={"shape": [len(positions), 3], "parts": 1})
        return Frame(header, positions, np.concatenate([part.types for part in parts]))


def _common(header: FrameHeader) -> FrameHeader:
    """What the headers of all parts of a frame have in common."""
    return header.model_copy(update={"shape": [0, 3], "part": 0})


def _difference(header: FrameHeader, common: FrameHeader) -> str:
    fields, other = _common(header).model_dump(), common.model_dump()
    name = next(name for name, value in fields.items() if value != other[name])
    return f"{name} {fields[name]} instead of {other[name]}"
