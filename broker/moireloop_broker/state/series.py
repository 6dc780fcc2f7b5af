"""The series of a run: what the analyzers saw in its frames, one compact point each, by step (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgpack

from moireloop_broker.contract.events import Measurement, Observation
from moireloop_broker.contract.frames import FrameHeader
from moireloop_broker.contract.message import MalformedMessage


class SeriesPoint(NamedTuple):
    """One frame of a run: when it was, and its twist and order, or the reason why there is no twist.

    `planned_steps` are the steps of the whole run, 0 where they are unknown; `final` marks the frame at its end.
    Units and ranges are as in `Observation` and `Measurement`.
    """

    step: int
    time_ps: float
    temperature_k: float | None
    twist_deg: float | None
    sigma_deg: float | None
    order_lower: float | None
    order_upper: float | None
    reason: str | None
    planned_steps: int
    final: bool
    confidence: float | None = None

    @property
    def fraction(self) -> float | None:
        """Share of the planned steps that were done, in [0, 1]; None where the plan is unknown."""
        return min(1.0, self.step / self.planned_steps) if self.planned_steps else None


FIELDS: Final = len(SeriesPoint._fields)

COLUMNS: Final = {
    "step": "int64",
    "planned_steps": "int64",
    "time_ps": "float64",
    "temperature_k": "float64",
    "twist_deg": "float64",
    "sigma_deg": "float64",
    "reason": "string",
    "order_lower": "float64",
    "order_upper": "float64",
    "confidence": "float64",
    "final": "bool",
}
"""Columns of a table of points, as trajectories.parquet has them, and Arrow's names of their types."""


@dataclass(frozen=True)
class Series:
    """The points of one attempt of a candidate, in the order of their steps."""

    candidate_id: str
    attempt: int
    points: Sequence[SeriesPoint]


def point_of(frame: FrameHeader | Observation, measurement: Measurement) -> SeriesPoint:
    """The point that a frame and its measurement make."""
    return SeriesPoint(
        step=frame.step,
        time_ps=frame.time_ps,
        temperature_k=frame.temperature_k,
        twist_deg=measurement.twist_deg,
        sigma_deg=measurement.sigma_deg,
        order_lower=measurement.order_lower,
        order_upper=measurement.order_upper,
        reason=measurement.reason,
        planned_steps=frame.planned_steps,
        final=frame.final,
        confidence=measurement.confidence,
    )


def pack_point(point: SeriesPoint) -> bytes:
    """MessagePack of a point's fields, in their order and without their names."""
    packed: bytes = msgpack.packb(tuple(point))
    return packed


def unpack_point(data: bytes) -> SeriesPoint:
    """A packed point. Raises MalformedMessage."""
    fields = msgpack.unpackb(data)
    if not isinstance(fields, list) or len(fields) != FIELDS:
        raise MalformedMessage(f"expected a point of {FIELDS} fields, got {data[:40]!r}")
    return SeriesPoint(*fields)


def unpack_points(several: Sequence[bytes]) -> list[SeriesPoint]:
    """Packed points. Raises MalformedMessage."""
    fields = list(map(msgpack.unpackb, several))
    if all(type(each) is list and len(each) == FIELDS for each in fields):
        return list(map(SeriesPoint._make, fields))
    return [unpack_point(data) for data in several]
