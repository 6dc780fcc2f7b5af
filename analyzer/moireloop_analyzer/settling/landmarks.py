"""What a run shows at one of its frames: the twist that it would claim now, and what bears on whether it stays (pure).

A layer that closes over its cell has one of few twists, and shows it exactly in most frames and something else in the
others. The claim is therefore the middle of the densest group of recent twists, and not the mean of all.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from moireloop_broker.state.series import SeriesPoint

Numbers = NDArray[np.float64]

REACH: Final = 400
"""Newest points of a series that a landmark is made from, at most."""

RECENT: Final = 0.2
"""Share of the planned steps that a claim is made from: eight frames of forty."""

NEWEST: Final = 0.075

SHORT: Final = 0.1

LONG: Final = 0.4

NEAR_DEG: Final = (0.5, 1.0)
"""A twist this far off is another state of the layer; one nearer may be the same one, seen badly in a warm frame."""

STAGES: Final = 100
"""A run may be ended at the first frame of each hundredth of its plan: the chances to err do not grow with frames."""

NARROW: Final = 0.3
"""Width of the densest group of twists, as a share of the tolerance."""

LEAST_LOG_SIGMA: Final = math.log(0.01)

FEATURES: Final = (
    "share of recent frames in the group", "share within the tolerance", "share without a twist", "newest in the group",
    "share of the plan for which the claim stands", "share of the plan done", "temperature", "order of the upper layer",
    "order of the lower layer", "error of the newest twists", "confidence", "spread of recent twists",
    "order of the upper layer, recent", "error of recent twists", "claim",
    "how long no twist was 0.5 degrees off", "how long none was 1 degree off", "how long, gaps allowed",
    "share of all frames in the group", "for which share of the plan the claim was shown",
    "share in the group, shortly", "share in the group, for long", "rise of the order", "mean offset of recent twists",
    "mean distance of recent twists", "error of the twists in the group", "confidence, recent",
)  # fmt: skip


@dataclass(frozen=True)
class Landmark:
    """A frame of a run: its step, the share of the plan that is done, the twist claimed in degrees, and FEATURES."""

    step: int
    fraction: float
    claim_deg: float
    features: tuple[float, ...]


def landmark(points: Sequence[SeriesPoint], tolerance_deg: float) -> Landmark | None:
    """The landmark of the newest point; None where it has no twist, where the plan is not known, or between stages.

    Args:
        points: the newest points of a series by step, oldest first, REACH of them or all that there are.
        tolerance_deg: how near to the final twist a claim is right, in degrees.
    """
    newest = points[-1] if points else None
    if newest is None or newest.twist_deg is None or not newest.planned_steps or not _is_stage(points):
        return None
    seen = points[-REACH:]
    recent = _since(seen, RECENT)
    twists = np.array([point.twist_deg for point in recent if point.twist_deg is not None])
    if len(twists) < 2:
        return None
    claim_deg = densest(twists, NARROW * tolerance_deg)
    features = _features(seen, recent, twists, claim_deg, tolerance_deg)
    return Landmark(newest.step, newest.step / newest.planned_steps, claim_deg, features)


def claimed_by(points: Sequence[SeriesPoint], tolerance_deg: float) -> list[SeriesPoint]:
    """The recent frames that show the twist which is claimed at the newest of these points; none of none."""
    recent = [point for point in _since(points, RECENT) if point.twist_deg is not None] if points else []
    if not recent:
        return []
    width_deg = NARROW * tolerance_deg
    claim_deg = densest(np.array([point.twist_deg for point in recent]), width_deg)
    return [point for point in recent if abs((point.twist_deg or 0.0) - claim_deg) <= width_deg]


def landmarks(points: Sequence[SeriesPoint], tolerance_deg: float) -> list[Landmark]:
    """The landmarks of a whole series, in the order of their steps, except the final frame's."""
    ends = (end for end, point in enumerate(points, start=1) if not point.final)
    landmarks = (landmark(points[max(0, end - REACH) : end], tolerance_deg) for end in ends)
    return [each for each in landmarks if each is not None]


def _is_stage(points: Sequence[SeriesPoint]) -> bool:
    """Whether the newest point is the first one of its stage."""
    stages = [STAGES * point.step // point.planned_steps for point in points[-2:] if point.planned_steps]
    return len(stages) < 2 or stages[-1] > stages[-2]


def _since(points: Sequence[SeriesPoint], share: float) -> Sequence[SeriesPoint]:
    """The points of this newest share of the plan."""
    newest = points[-1]
    after = newest.step - share * newest.planned_steps
    return points[bisect_right(points, after, key=itemgetter(0)) :]


def densest(twists: Numbers, width_deg: float) -> float:
    """The middle one of the most twists that lie within this width of each other: the lower one of two."""
    ordered = np.sort(twists)
    counts = np.searchsorted(ordered, ordered + width_deg, side="right") - np.arange(len(ordered))
    first = int(np.argmax(counts))
    return float(ordered[first + (int(counts[first]) - 1) // 2])


def _features(
    seen: Sequence[SeriesPoint],
    recent: Sequence[SeriesPoint],
    twists: Numbers,
    claim_deg: float,
    tolerance_deg: float,
) -> tuple[float, ...]:
    narrow_deg, last, done = NARROW * tolerance_deg, _since(recent, NEWEST), seen[-1].step / seen[-1].planned_steps
    off, there = np.abs(twists - claim_deg), min(1.0, done / RECENT) / len(recent)
    order, order_recent = _mean([p.order_upper or 0.0 for p in last]), _mean([p.order_upper or 0.0 for p in recent])
    return (
        float(np.sum(off <= narrow_deg)) * there,
        float(np.sum(off <= tolerance_deg)) * there,
        1 - len(twists) / len(recent),
        float(off[-1] <= narrow_deg),
        _stood(seen, claim_deg, narrow_deg),
        done,
        _mean([point.temperature_k for point in last]),
        order,
        _mean([point.order_lower or 0.0 for point in last]),
        _log_sigma(last),
        _mean([point.confidence or 0.0 for point in last]),
        float(np.std(twists)),
        order_recent,
        _log_sigma(recent),
        claim_deg,
        *_history(seen, claim_deg, narrow_deg, done),
        order - order_recent,
        float(np.mean(twists)) - claim_deg,
        float(np.mean(off)),
        _log_sigma([p for p in recent if p.twist_deg is not None and abs(p.twist_deg - claim_deg) <= narrow_deg]),
        _mean([point.confidence or 0.0 for point in recent]),
    )


def _history(seen: Sequence[SeriesPoint], claim_deg: float, narrow_deg: float, done: float) -> tuple[float, ...]:
    """How the claim was shown in all of the run so far: a flicker by some tenths of a degree does not restart it."""
    near_deg, far_deg = NEAR_DEG
    shown = [p.twist_deg is not None and abs(p.twist_deg - claim_deg) <= narrow_deg for p in seen]
    share = sum(shown) / len(shown)
    return (
        _stood(seen, claim_deg, near_deg),
        _stood(seen, claim_deg, far_deg),
        _stood(seen, claim_deg, far_deg, or_none=True),
        share,
        share * done,
        _share(shown[len(seen) - len(_since(seen, SHORT)) :]),
        _share(shown[len(seen) - len(_since(seen, LONG)) :]) * min(1.0, done / LONG),
    )


def _share(shown: Sequence[bool]) -> float:
    return sum(shown) / len(shown)


def _stood(seen: Sequence[SeriesPoint], claim_deg: float, within_deg: float, *, or_none: bool = False) -> float:
    """For which share of the plan the newest frames show the claim, one after the other; or no twist, if allowed."""
    newest = seen[-1]
    others = (
        point.step
        for point in reversed(seen)
        if (not or_none if point.twist_deg is None else abs(point.twist_deg - claim_deg) > within_deg)
    )
    return (newest.step - next(others, seen[0].step)) / newest.planned_steps


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else 0.0


def _log_sigma(points: Sequence[SeriesPoint]) -> float:
    mean_deg = _mean([point.sigma_deg for point in points]) or 1.0
    return max(math.log(mean_deg), LEAST_LOG_SIGMA)
