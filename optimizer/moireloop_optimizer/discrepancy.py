"""Where the growth chamber, and the computer, should go next for a target, by what both have shown (pure).

The posterior is the default strategy's with growths of the chamber (auto.joint, auto.hit_model). The strategy proposes
candidates from the same one where [optimizer] has `learn_from_patterns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.auto.hit_model import FEWEST_FOR_GROWTHS, FitCache, HitModel
from moireloop_optimizer.auto.joint import JointModel
from moireloop_optimizer.auto.strategy import best_point
from moireloop_optimizer.auto.twist_process import Floats, mass_within
from moireloop_optimizer.growths import FEWEST_GROWTHS, Chamber
from moireloop_optimizer.runs import Runs, runs_of
from moireloop_optimizer.sobol import sobol_points

PLACES: Final = 1024

CLIMBS: Final = (0.08, 0.03, 0.01)

SEED: Final = 49


@dataclass(frozen=True)
class ChamberAdvice:
    """Where chamber and computer should go next for one target; either `reason` or all else is given.

    `chamber` has all parameters of the chamber, `computer` only the search space's. `discrepancy_deg` is what the
    chamber is expected to add to the simulation's twist there. Probabilities are of one growth, and of one run.
    """

    target: Target
    chamber: dict[str, float] | None = None
    probability: float | None = None
    twist_deg: float | None = None
    sigma_deg: float | None = None
    discrepancy_deg: float | None = None
    discrepancy_sigma_deg: float | None = None
    computer: dict[str, float] | None = None
    computer_probability: float | None = None
    patterns: int = 0
    reason: str | None = None


def chamber_advice(
    results: Iterable[Result], patterns: Sequence[PatternMeasured], space: SearchSpace, target: Target
) -> ChamberAdvice:
    """Where the chamber, and the computer, are likeliest to give a target's twist, by both together.

    `growths.Chamber` says which patterns count. Values of the chamber's own parameters are searched between those
    that were seen.
    """
    runs, chamber = runs_of(results, space), Chamber(patterns, space)
    twists, count = int(np.isfinite(runs.twist_deg).sum()), len(chamber.growths)
    if twists < FEWEST_FOR_GROWTHS or count < FEWEST_GROWTHS:
        return ChamberAdvice(target, patterns=count, reason=_too_few(twists, count, space))
    runs = replace(runs, growths=chamber.growths)
    try:
        model = HitModel(runs, runs.points[:0], [target], FitCache())
        if model.joint is None:
            return ChamberAdvice(target, patterns=count, reason="the growths of the chamber could not be fitted")
        return _advised(model, model.joint, runs, chamber, space, target)
    except (RuntimeError, ValueError, ArithmeticError) as error:
        return ChamberAdvice(target, patterns=count, reason=f"the model could not be fitted: {error}")


def _advised(
    model: HitModel, joint: JointModel, runs: Runs, chamber: Chamber, space: SearchSpace, target: Target
) -> ChamberAdvice:
    rng = np.random.default_rng(SEED)
    place, probability = _likeliest(joint, chamber, space.dimension, target, rng)
    there = joint.experiment(place[:, : space.dimension], place)
    added = joint.discrepancy(place)
    point, worth, _ = best_point(model, runs, [target], None, rng)
    recipe, run = space.from_unit(np.clip(np.stack([place[0, : space.dimension], point]), 0.0, 1.0))
    return ChamberAdvice(
        target,
        chamber={**recipe, **chamber.values(place[0, space.dimension :])},
        probability=probability,
        twist_deg=float(there.mean_deg[0]),
        sigma_deg=float(np.hypot(there.sigma_deg[0], joint.scatter_deg)),
        discrepancy_deg=float(added.mean_deg[0]),
        discrepancy_sigma_deg=float(added.sigma_deg[0]),
        computer=run,
        computer_probability=float(worth.sum()),
        patterns=len(chamber.growths),
    )


def _likeliest(
    joint: JointModel, chamber: Chamber, dimension: int, target: Target, rng: np.random.Generator
) -> tuple[Floats, float]:
    """All parameters of the chamber (1, D) where one growth likeliest hits, and that probability."""
    varies = np.concatenate([np.ones(dimension), chamber.varies])
    places = sobol_points(PLACES, len(varies), seed=1) * varies
    hits = _hits(joint, places, dimension, target)
    for width in CLIMBS:
        around = np.clip(places[hits.argmax()] + width * rng.standard_normal(places.shape) * varies, 0.0, 1.0)
        places = np.concatenate([places[[hits.argmax()]], around])
        hits = _hits(joint, places, dimension, target)
    best = int(hits.argmax())
    return places[[best]], float(hits[best])


def _hits(joint: JointModel, places: Floats, dimension: int, target: Target) -> Floats:
    there = joint.experiment(places[:, :dimension], places)
    growth = np.hypot(there.sigma_deg, joint.scatter_deg)
    return mass_within(target.twist_deg, target.tolerance_deg, there.mean_deg, growth)


def _too_few(runs: int, patterns: int, space: SearchSpace) -> str:
    if runs < FEWEST_FOR_GROWTHS:
        return f"the model needs at least {FEWEST_FOR_GROWTHS} results with a twist, and there are {runs}"
    names = ", ".join(space.names)
    return (
        f"the model needs at least {FEWEST_GROWTHS} patterns with a twist and the parameters {names}, and there are "
        f"{patterns}"
    )
