"""Where the model of a campaign expects a target, and how surely; or why it says nothing (pure).

The model is the default strategy's. It gives advice only where it has predicted the twists of left-out runs
(foresight), and where its best place is clearly better than an ordinary one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.auto.hit_model import FitCache, HitModel
from moireloop_optimizer.auto.strategy import PROMISING, best_point
from moireloop_optimizer.runs import runs_of

FEWEST: Final = 8
"""Results with a twist before which no model is asked."""

TRUSTED: Final = 0.5
"""Least share of proposals that a model has to be trusted with before its word is passed on."""

SEED: Final = 18


@dataclass(frozen=True)
class Advice:
    """A place in the search space for one target; either `parameters` or `reason` is given.

    `probability` is the chance that one run there comes within the target's tolerance, `ordinary` the mean over the
    whole space. `twist_deg` and `sigma_deg` are what the Gaussian process of the twist expects there for one run.
    """

    target: Target
    parameters: dict[str, float] | None = None
    probability: float | None = None
    ordinary: float | None = None
    twist_deg: float | None = None
    sigma_deg: float | None = None
    reason: str | None = None


def advice_for(results: Iterable[Result], space: SearchSpace, target: Target) -> Advice:
    """Where to look for a target, by the model of all results that have a twist."""
    runs = runs_of(results, space)
    measured = int(np.isfinite(runs.twist_deg).sum())
    if measured < FEWEST:
        return Advice(
            target, reason=f"the model needs at least {FEWEST} results with a twist, and there are {measured}"
        )
    try:
        model = HitModel(runs, np.zeros((0, space.dimension)), [target], FitCache())
        point, worth, ordinary = best_point(model, runs, [target], None, np.random.default_rng(SEED))
        expected = model.twist_at(point[np.newaxis])
    except (RuntimeError, ValueError, ArithmeticError) as error:
        return Advice(target, reason=f"the model could not be fitted: {error}")
    probability = float(worth.sum())
    if model.trust < TRUSTED:
        return Advice(
            target,
            reason=f"the model predicts the twists of held-out runs no better than chance ({model.trust:.0%} trust)",
        )
    if probability < PROMISING * ordinary:
        return Advice(
            target,
            reason=f"the model finds no point that is more likely than others to give {target.twist_deg:g} degrees",
        )
    return Advice(
        target,
        parameters=space.from_unit(np.clip(point[np.newaxis], 0.0, 1.0))[0],
        probability=probability,
        ordinary=ordinary,
        twist_deg=float(expected.mean_deg[0]),
        sigma_deg=float(expected.total_deg[0]),
    )
