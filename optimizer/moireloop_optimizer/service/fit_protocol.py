"""What passes between the service and its fit process: MessagePack of one question, one answer (pure)."""

from __future__ import annotations

from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from moireloop_broker.contract.search import Points, SearchSpace, Target
from moireloop_optimizer.growths import Growths
from moireloop_optimizer.runs import Runs

LOADING_S: Final = 120.0
"""For the import of a user's strategy."""


class Question(BaseModel):
    """Ask for n points; points are rows of unit cube coordinates; twists and their errors, in degrees, may be NaN.

    Arrays travel as the bytes of their numbers (`packed_rows`): as lists, 100 000 runs would take seconds.
    `lattices` has 12 numbers for each run, as in runs.Runs, or nothing where they are known for no run.
    `growths` has the four arrays of growths.Growths in their order, or nothing where none is learnt from.
    `replicates` is how many replicates each recipe that hit gets. `options` and `suggest_s` are for users' strategies:
    arguments of the class, and the seconds that it has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    seed: int
    n: int
    index: int
    space: SearchSpace
    points: bytes
    twist_deg: bytes
    sigma_deg: bytes
    lattices: bytes = b""
    growths: list[bytes] = []
    pending: bytes
    targets: list[Target]
    replicates: int = 0
    options: dict[str, Any] = {}
    suggest_s: float = 60.0

    @property
    def runs(self) -> Runs:
        """What has been measured."""
        lattices = _numbers(self.lattices).reshape(-1, 3, 2, 2) if self.lattices else None
        growths = _growths(self.growths, self.space.dimension) if self.growths else None
        return Runs(self._rows(self.points), _numbers(self.twist_deg), _numbers(self.sigma_deg), lattices, growths)

    @property
    def pending_points(self) -> Points:
        """(m, d) pending points."""
        return self._rows(self.pending)

    def _rows(self, packed: bytes) -> Points:
        return _numbers(packed).reshape(-1, self.space.dimension)


def packed_rows(numbers: npt.ArrayLike) -> bytes:
    """The bytes of an array of numbers, row by row."""
    return np.asarray(numbers, dtype=np.float64).tobytes()


def packed_growths(growths: Growths | None) -> list[bytes]:
    """The arrays of growths, as a question has them."""
    if growths is None or not len(growths):
        return []
    return [packed_rows(each) for each in (growths.points, growths.own, growths.twist_deg, growths.sigma_deg)]


def _growths(packed: list[bytes], dimension: int) -> Growths:
    points, own, twist_deg, sigma_deg = (_numbers(each) for each in packed)
    return Growths(points.reshape(-1, dimension), own.reshape(len(twist_deg), -1), twist_deg, sigma_deg)


def _numbers(packed: bytes) -> npt.NDArray[np.float64]:
    return np.frombuffer(packed, dtype=np.float64).copy()


class Answer(BaseModel):
    """The points asked for, and how they came about; see suggestion.Suggestion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    points: list[list[float]]
    aims: list[int]
    made_by: list[str]
    fit_failed: bool = False
    fit_s: float = 0.0
    acquisition_s: float = 0.0


def pack(message: Question | Answer) -> bytes:
    """MessagePack bytes of a question or an answer."""
    packed: bytes = msgpack.packb(message.model_dump())
    return packed


def unpack_question(data: bytes) -> Question:
    """The question in MessagePack bytes."""
    return Question.model_validate(_fields(data))


def unpack_answer(data: bytes) -> Answer:
    """The answer in MessagePack bytes."""
    return Answer.model_validate(_fields(data))


def _fields(data: bytes) -> Any:
    return msgpack.unpackb(data)
