"""From results to what the model learns: regret in degrees against a target, and its negative, the objective (pure).

What the outcomes become:
    measured: its regret.
    refused: the run was carried out and gave no twist, which says something about this point, so it informs
        the model as the worst regret measured so far; while nothing has been measured it is left out.
    failed, cancelled: they say nothing about the point (a lost machine, a person's wish) and are left out.
A result outside the bounds (of a campaign resumed with others) informs the model from where it lies, outside
the unit cube; candidates are proposed inside only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from moireloop_broker.messages import Result
from moireloop_optimizer.space import MissingParameter, Points, SearchSpace

logger = logging.getLogger(__name__)


class Target(BaseModel):
    """A wanted interlayer twist: one entry of [[targets]]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    twist_deg: FiniteFloat = Field(ge=0, le=30, description="Wanted interlayer twist in degrees, in [0, 30].")
    tolerance_deg: FiniteFloat = Field(
        default=0.5, gt=0, le=30, description="Largest |twist - target| in degrees that counts as reached."
    )


@dataclass(frozen=True)
class Observed:
    """What the model learns from: unit cube points (N, d) and objective values (N,) in degrees, <= 0."""

    points: Points
    values: npt.NDArray[np.float64]


def regret_deg(twist_deg: float, target: Target) -> float:
    """|twist - target| in degrees: the seed's absolute error of a sampled twist."""
    return abs(twist_deg - target.twist_deg)


def objective(twist_deg: float, target: Target) -> float:
    """What is maximised: the negative regret in degrees."""
    return -regret_deg(twist_deg, target)


def best_result(results: Iterable[Result], target: Target) -> Result | None:
    """The measured result of least regret, the earliest of equals; None while nothing has been measured."""
    best: tuple[float, Result] | None = None
    for result in results:
        if result.outcome != "measured" or result.twist_deg is None:
            continue
        regret = regret_deg(result.twist_deg, target)
        if best is None or regret < best[0]:
            best = (regret, result)
    return best[1] if best else None


def is_reached(results: Iterable[Result], target: Target) -> bool:
    """Whether a measured twist lies within the target's tolerance."""
    best = best_result(results, target)
    return (
        best is not None and best.twist_deg is not None and regret_deg(best.twist_deg, target) <= target.tolerance_deg
    )


def training_set(results: Iterable[Result], space: SearchSpace, target: Target) -> Observed:
    """What the model may learn about a target from results, in their order (see the top of this module)."""
    points: list[list[float]] = []
    values: list[float] = []
    for result in results:
        if result.outcome not in ("measured", "refused"):
            continue
        try:
            unit = space.to_unit([result.candidate.parameters])[0].tolist()
        except MissingParameter as error:
            logger.warning("result left out candidate=%s reason=%s", result.candidate.candidate_id, error)
            continue
        points.append(unit)
        values.append(np.nan if result.twist_deg is None else objective(result.twist_deg, target))
    return _with_refused(np.array(points, dtype=np.float64).reshape(-1, space.dimension), np.array(values))


def _with_refused(points: Points, values: npt.NDArray[np.float64]) -> Observed:
    measured = np.isfinite(values)
    if not measured.any():
        return Observed(points[:0], np.zeros(0))
    return Observed(points, np.where(measured, values, values[measured].min()))
