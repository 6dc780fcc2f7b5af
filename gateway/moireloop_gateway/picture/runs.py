"""What was seen in the frames of runs: of those that run now and of the last that ended (pure)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from moireloop_broker.contract.events import Observation

POINTS_KEPT: Final = 1200
"""Of one attempt. Beyond, every second of the older ones goes."""

ENDED_KEPT: Final = 60

POINT: Final = (
    "step", "time_ps", "temperature_k", "twist_deg", "sigma_deg", "order_lower", "order_upper", "reason",
)  # fmt: skip


class Runs:
    """The series of attempts, each a list of points of the fields POINT."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, int], list[tuple[Any, ...]]] = OrderedDict()
        self._planned: dict[tuple[str, int], int] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def observe(self, seen: Observation) -> None:
        """Take in the observation of a frame; a repeated one changes nothing."""
        key = seen.candidate_id, seen.attempt
        points = self._series.setdefault(key, [])
        if points and seen.step <= points[-1][0]:
            return
        points.append(point_of(seen))
        self._planned[key] = seen.planned_steps
        if len(points) > POINTS_KEPT:
            half = POINTS_KEPT // 2
            points[:half] = points[:half:2]

    def end(self, candidate_id: str) -> None:
        """A candidate has its result; its series stays as long as it is among the last."""
        self._ended[candidate_id] = None
        while len(self._ended) > ENDED_KEPT:
            gone, _ = self._ended.popitem(last=False)
            self.forget(gone)

    def forget(self, candidate_id: str) -> None:
        """Drop the series of all attempts of a candidate."""
        for key in [key for key in self._series if key[0] == candidate_id]:
            del self._series[key]
            self._planned.pop(key, None)

    def series_of(self, candidate_id: str) -> list[dict[str, Any]]:
        """The series of each attempt of a candidate, as columns."""
        return [
            as_columns(candidate_id, attempt, self._planned.get((name, attempt), 0), points)
            for (name, attempt), points in self._series.items()
            if name == candidate_id
        ]


def point_of(seen: Observation) -> tuple[Any, ...]:
    """The fields POINT of an observation."""
    measured = seen.measurement
    return (
        seen.step, seen.time_ps, seen.temperature_k, measured.twist_deg, measured.sigma_deg, measured.order_lower,
        measured.order_upper, measured.reason,
    )  # fmt: skip


def as_columns(candidate_id: str, attempt: int, planned_steps: int, points: list[tuple[Any, ...]]) -> dict[str, Any]:
    """One attempt's points, a list for each field."""
    columns = {name: [point[number] for point in points] for number, name in enumerate(POINT)}
    return {"candidate_id": candidate_id, "attempt": attempt, "planned_steps": planned_steps, "points": columns}
