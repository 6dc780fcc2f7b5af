"""The best recipes as JSON, made from columns: only runs that matter become messages again (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from moireloop_broker.contract.events import Candidate, Measurement, Result, StageTimes
from moireloop_gateway.picture.columns import PARAMETER

if TYPE_CHECKING:
    from moireloop.results.recipes import Recipe
    from moireloop_broker.contract.search import Target
    from moireloop_gateway.picture.columns import ResultColumns

MOST_RUNS: Final = 4000
"""Runs looked at for one target: those nearest to it, and all others of their recipes."""


def recipes_json(
    columns: ResultColumns,
    last: int,
    targets: Sequence[Target],
    bounds: Mapping[str, tuple[float, float]] | None,
    count: int,
) -> dict[str, Any]:
    """The `count` most reliable recipes for each target, of the first `last` results."""
    from moireloop.results.recipes import recipe_runs, recipes_of

    tables = []
    for target in targets:
        ran = recipe_runs([_result(columns, row) for row in _rows_that_matter(columns, last, target)])
        recipes = recipes_of(ran, target, bounds)[:count]
        tables.append({"target": target.model_dump(), "recipes": [_shown(recipe) for recipe in recipes]})
    return {"targets": tables}


def _rows_that_matter(columns: ResultColumns, last: int, target: Target) -> list[int]:
    """Rows of the recipes that came nearest to the target, in their order."""
    outcomes = columns.words("outcome")[:last]
    counted = [row for row in range(last) if outcomes[row] in ("measured", "refused")]
    if len(counted) <= MOST_RUNS:
        return counted
    twists = columns.numbers("twist_deg")
    keys = {row: _key(columns, row) for row in counted}
    with_twist = [row for row in counted if not math.isnan(twists[row])]
    nearest = sorted(with_twist, key=lambda row: abs(twists[row] - target.twist_deg))[: MOST_RUNS // 2]
    wanted = {keys[row] for row in nearest}
    return [row for row in counted if keys[row] in wanted][:MOST_RUNS]


def _key(columns: ResultColumns, row: int) -> tuple[str, ...]:
    return tuple(f"{columns.numbers(PARAMETER + name)[row]:.9g}" for name in columns.parameter_names)


def _result(columns: ResultColumns, row: int) -> Result:
    """As much of a result as recipes are made of."""
    numbers = columns.numbers
    parameters = {
        name: value for name in columns.parameter_names if not math.isnan(value := numbers(PARAMETER + name)[row])
    }
    twist, sigma = _number(numbers("twist_deg")[row]), _number(numbers("sigma_deg")[row])
    proposed_s = numbers("proposed_s")[row]
    return Result.model_construct(
        candidate=Candidate.model_construct(
            candidate_id=columns.candidates[row],
            parameters=parameters,
            seed=int(numbers("seed")[row]),
            proposed_s=proposed_s,
        ),
        attempt=int(numbers("attempt")[row]),
        outcome="measured" if twist is not None else "refused",
        measurement=None if twist is None else Measurement.model_construct(twist_deg=twist, sigma_deg=sigma),
        times=StageTimes.model_construct(proposed_s=proposed_s, logged_s=_number(numbers("logged_s")[row])),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _shown(recipe: Recipe) -> dict[str, Any]:
    low, high = recipe.again.interval if recipe.again.trials else (None, None)
    return {
        "recipe": recipe.recipe_id,
        "parameters": recipe.result.candidate.parameters,
        "twist_deg": recipe.twist_deg,
        "sigma_deg": recipe.sigma_deg,
        "regret_deg": recipe.regret_deg,
        "runs": len(recipe.runs),
        "hits": recipe.hits,
        "again_hits": recipe.again.hits,
        "again_trials": recipe.again.trials,
        "again_low": low,
        "again_high": high,
        "again_estimate": recipe.again.estimate if recipe.again.trials else None,
        "cluster": recipe.cluster or None,
        "nearest": recipe.result.candidate.candidate_id,
    }
