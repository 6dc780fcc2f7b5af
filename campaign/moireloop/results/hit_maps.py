"""Predictions of the default strategy's model: how likely a run hits each target, over the space (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.auto.hit_model import FitCache, HitModel
from moireloop_optimizer.growths import Chamber
from moireloop_optimizer.runs import runs_of
from moireloop_optimizer.sobol import sobol_points

SIZE: Final = 20
"""Points along each parameter of a map."""

OTHERS: Final = 16
"""Points at which each square of a map is looked at."""

MOST_PAIRS: Final = 6

FEWEST: Final = 2


def hit_maps(
    results: Sequence[Result],
    space: SearchSpace,
    targets: Sequence[Target],
    patterns: Sequence[PatternMeasured] = (),
) -> dict[str, Any]:
    """Maps of the probability of a hit, for each pair of parameters and each target.

    Each square of a map (SIZE x SIZE, rows along y, both over the range that is searched) has the largest probability
    that was found in it, over all values of the other parameters. Candidates on their way are not looked at. A `reason`
    stands instead of the maps where the model knows too little. `patterns` are those that the model learns from too.
    """
    runs = runs_of(results, space)
    measured = int(np.isfinite(runs.twist_deg).sum())
    if measured < FEWEST or not targets or space.dimension < 2:
        return {"reason": f"the model needs {FEWEST} twists, a target and two parameters; {measured} twists so far"}
    runs = replace(runs, growths=Chamber(patterns, space).growths)
    model = HitModel(runs, runs.points[:0], targets, FitCache())
    pairs = list(combinations(range(space.dimension), 2))[:MOST_PAIRS]
    return {
        "size": SIZE,
        "twists": measured,
        "targets": [target.model_dump() for target in targets],
        "pairs": [
            {"x": space.names[x], "y": space.names[y], "probability": _map(model, targets, space.dimension, x, y)}
            for x, y in pairs
        ],
    }


def _map(model: HitModel, targets: Sequence[Target], dimension: int, x: int, y: int) -> list[list[float]]:
    """For each target SIZE**2 probabilities, row after row."""
    cells = np.arange(SIZE)
    best: npt.NDArray[np.float64] = np.zeros((len(targets), SIZE * SIZE))
    for other in sobol_points(OTHERS, dimension, seed=1):
        points = np.tile(other, (SIZE * SIZE, 1))
        points[:, y] = (np.repeat(cells, SIZE) + other[y]) / SIZE
        points[:, x] = (np.tile(cells, SIZE) + other[x]) / SIZE
        best = np.maximum(best, model.probability(points, targets))
    rounded: list[list[float]] = np.round(np.nan_to_num(best), 4).tolist()
    return rounded
