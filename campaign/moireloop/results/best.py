"""The best that was found for each target so far, for a line in a terminal (pure).

Recipes are ranked by how reliably they hit, which needs NumPy and SciPy. Where these are not installed, the nearest run
is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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


def best_of(results: Sequence[Result], targets: Sequence[Target]) -> list[Best | None]:
    """The best for each target; None where no result has a twist."""
    try:
        return _most_reliable(results, targets)
    except ModuleNotFoundError as error:
        if error.name not in RANKING:
            raise
        return [_nearest(results, target) for target in targets]


def _most_reliable(results: Sequence[Result], targets: Sequence[Target]) -> list[Best | None]:
    from moireloop.results.recipes import recipe_runs, recipes_of

    ran = recipe_runs(results)
    found = [next(iter(recipes_of(ran, target, n=1)), None) for target in targets]
    return [None if one is None else _of(one) for one in found]


def _of(recipe: Recipe) -> Best:
    again = recipe.again
    return Best(
        recipe.recipe_id, recipe.twist_deg, recipe.regret_deg, recipe.within_tolerance, again.hits, again.trials
    )


def _nearest(results: Sequence[Result], target: Target) -> Best | None:
    twists = [(result.twist_deg, result) for result in results if result.twist_deg is not None]
    if not twists:
        return None
    twist_deg, nearest = min(twists, key=lambda pair: regret_deg(pair[0], target))
    regret = regret_deg(twist_deg, target)
    return Best(nearest.candidate.candidate_id, twist_deg, regret, regret <= target.tolerance_deg)
