"""The best that was found for each target so far, for a line in a terminal (pure).

Recipes are ranked by how reliably they hit, which needs NumPy and SciPy. Where these are not installed, the nearest run
is shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from moireloop.kept.columns import RunColumns
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target, regret_deg

if TYPE_CHECKING:
    from moireloop.results.recipes import Recipe

RANKING: Final = frozenset({"numpy", "scipy"})
"""Packages without which recipes are not ranked."""


@dataclass(frozen=True)
class Best:
    """A recipe, or a run if none is ranked: its twist and distance from the target in degrees, and its replicates."""

    candidate_id: str
    twist_deg: float
    regret_deg: float
    within_tolerance: bool
    hits_again: int = 0
    repeats: int = 0


def best_of(runs: RunColumns, results: Sequence[Result], targets: Sequence[Target]) -> list[Best | None]:
    """The best for each target; None where no result has a twist.

    Args:
        runs: the columns of the results, of which only the best are looked at.
    """
    try:
        return _most_reliable(runs, results, targets)
    except ModuleNotFoundError as error:
        if error.name not in RANKING:
            raise
        return [_nearest(runs, results, target) for target in targets]


def _most_reliable(runs: RunColumns, results: Sequence[Result], targets: Sequence[Target]) -> list[Best | None]:
    from moireloop.results.recipes import recipes_of, runs_in

    ran = runs_in(runs, results)
    recipes = [next(iter(recipes_of(ran, target, n=1)), None) for target in targets]
    return [None if one is None else _of(one) for one in recipes]


def _of(recipe: Recipe) -> Best:
    again = recipe.again
    return Best(
        recipe.recipe_id, recipe.twist_deg, recipe.regret_deg, recipe.within_tolerance, again.hits, again.trials
    )


def _nearest(runs: RunColumns, results: Sequence[Result], target: Target) -> Best | None:
    twists = [(twist, place) for twist, place in zip(runs.twist_deg, runs.place, strict=True) if not math.isnan(twist)]
    if not twists:
        return None
    twist_deg, place = min(twists, key=lambda pair: regret_deg(pair[0], target))
    regret = regret_deg(twist_deg, target)
    return Best(results[place].candidate.candidate_id, twist_deg, regret, regret <= target.tolerance_deg)
