"""Results as a table: one row for each candidate (pure)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import pyarrow as pa

from moireloop.results.recipes import Bounds, Recipe, RecipeRuns, recipe_by_run, recipe_runs
from moireloop.results.results import nearest_target, parameter_names, regret_of, wavelength_angstrom
from moireloop_broker.contract.events import Measurement, Result, RunReport, StageTimes
from moireloop_broker.contract.search import Target, regret_deg

Getter = Callable[[Result], Any]

Columns = dict[str, tuple[pa.DataType, Getter]]

TEXTS_KEPT: Final = 256

_TYPES: Final = {"stacking": pa.string(), "grains_lower": pa.int64(), "grains_upper": pa.int64()}


@dataclass(frozen=True)
class PartOf:
    """A value of one part of a result, None where it lacks the part. Columns of one part look for it once."""

    part: Callable[[Result], Any]
    value: Callable[[Any], Any]

    def __call__(self, result: Result) -> Any:
        part = self.part(result)
        return None if part is None else self.value(part)


PARTS: Final = {name: attrgetter(name) for name in ("measurement", "report", "times")}


def results_table(
    results: Sequence[Result], targets: Sequence[Target], bounds: Bounds, ran: RecipeRuns | None = None
) -> pa.Table:
    """One row per candidate, in the order of the results; missing values are null.

    Growth parameters are columns under their own names. `regret_deg` is the distance to
    `nearest_target_deg`; with several targets there is a column for the distance to each. Times are seconds
    since the epoch. A number that a further analyzer found is a column `analyzer.number`, and why an analyzer failed a
    column `analyzer.reason`; arrays are in the table of the analyses. What is known of a recipe stands at each of
    its runs, for the target that it hit most, else the nearest; clusters follow from the bounds of the search space.

    Args:
        ran: the recipes of the results, where they are known already.
    """
    columns = (
        _identity_columns()
        | _parameter_columns(results)
        | _twist_columns(targets)
        | _recipe_columns(recipe_by_run(ran or recipe_runs(results), targets, bounds))
        | _analysis_columns(results)
        | _run_columns()
    )
    return pa.table({name: pa.array(values, columns[name][0]) for name, values in _filled(columns, results)})


def _filled(columns: Columns, results: Sequence[Result]) -> Iterator[tuple[str, list[Any]]]:
    """Each column's values."""
    found: dict[Callable[[Result], Any], list[Any]] = {}
    for name, (_, get) in columns.items():
        if not isinstance(get, PartOf):
            yield name, [get(result) for result in results]
            continue
        if get.part not in found:
            found[get.part] = [get.part(result) for result in results]
        value = get.value
        yield name, [None if part is None else value(part) for part in found[get.part]]


def own_columns(results: Sequence[Result]) -> Columns:
    """The columns that a result has by itself: no later result, and no change of targets, changes its values."""
    columns = _identity_columns() | _parameter_columns(results) | _twist_columns(()) | _analysis_columns(results)
    with_targets = ("nearest_target_deg", "regret_deg")
    return {name: column for name, column in (columns | _run_columns()).items() if name not in with_targets}


def _identity_columns() -> Columns:
    return {
        "candidate_id": (pa.string(), lambda result: result.candidate.candidate_id),
        "strategy": (pa.string(), lambda result: result.candidate.strategy),
        "outcome": (pa.string(), lambda result: result.outcome),
        "reason": (pa.string(), lambda result: result.reason),
        "attempt": (pa.int64(), lambda result: result.attempt),
        "seed": (pa.int64(), lambda result: result.candidate.seed),
        "target_deg": (pa.float64(), lambda result: result.candidate.target_deg),
    }


def _parameter_columns(results: Sequence[Result]) -> Columns:
    taken = set(_identity_columns()) | set(_twist_columns(())) | set(_recipe_columns({})) | set(_run_columns())
    return {
        f"parameter_{name}" if name in taken else name: (pa.float64(), _parameter(name))
        for name in parameter_names(results)
    }


def _twist_columns(targets: Sequence[Target]) -> Columns:
    columns: Columns = {
        name: (_TYPES.get(name, pa.float64()), _part("measurement", name))
        for name in Measurement.model_fields
        if name not in ("reason", "moire_angstrom") and not name.endswith("vectors_angstrom")
    }

    def nearest(result: Result) -> tuple[Target, float] | None:
        target = nearest_target(result, targets)
        twist_deg = result.twist_deg
        return None if target is None or twist_deg is None else (target, regret_deg(twist_deg, target))

    columns["nearest_target_deg"] = (pa.float64(), PartOf(nearest, lambda found: found[0].twist_deg))
    columns["regret_deg"] = (pa.float64(), PartOf(nearest, lambda found: found[1]))
    if len(targets) > 1:
        for target in targets:
            columns[f"regret_to_{target.twist_deg:g}_deg"] = (pa.float64(), _regret_to(target))
    columns["moire_wavelength_angstrom"] = (pa.float64(), wavelength_angstrom)
    return columns


def _recipe_columns(of_run: Mapping[str, Recipe]) -> Columns:
    def recipe_of(result: Result) -> Recipe | None:
        return of_run.get(result.candidate.candidate_id)

    def of(kind: pa.DataType, get: Callable[[Recipe], Any]) -> tuple[pa.DataType, Getter]:
        return kind, PartOf(recipe_of, get)

    return {
        "recipe": of(pa.string(), lambda recipe: recipe.recipe_id),
        "recipe_target_deg": of(pa.float64(), lambda recipe: recipe.target.twist_deg),
        "runs": of(pa.int64(), lambda recipe: len(recipe.runs)),
        "hits": of(pa.int64(), lambda recipe: recipe.hits),
        "hit_probability": of(pa.float64(), lambda recipe: recipe.again.estimate),
        "hit_low": of(pa.float64(), lambda recipe: recipe.again.interval[0] if recipe.again.trials else None),
        "hit_high": of(pa.float64(), lambda recipe: recipe.again.interval[1] if recipe.again.trials else None),
        "cluster": of(pa.string(), lambda recipe: recipe.cluster or None),
    }


def _analysis_columns(results: Sequence[Result]) -> Columns:
    names = {
        (analyzer, number): None
        for result in results
        for analyzer, outcome in result.analyses.items()
        for number in outcome.numbers
    }
    numbers: Columns = {
        f"{analyzer}.{number}": (pa.float64(), _analysis(analyzer, number)) for analyzer, number in names
    }
    analyzers = dict.fromkeys(analyzer for result in results for analyzer in result.analyses)
    return numbers | {f"{analyzer}.reason": (pa.string(), _analysis_reason(analyzer)) for analyzer in analyzers}


def _analysis(analyzer: str, number: str) -> Getter:
    def found(result: Result) -> float | None:
        outcome = result.analyses.get(analyzer)
        return outcome.numbers.get(number) if outcome is not None else None

    return found


def _analysis_reason(analyzer: str) -> Getter:
    return lambda result: getattr(result.analyses.get(analyzer), "reason", None)


def _run_columns() -> Columns:
    columns: Columns = {
        "worker": (pa.string(), _part("report", "worker")),
        "ended": (pa.string(), _part("report", "ended")),
        "steps": (pa.int64(), _part("report", "steps")),
        "planned_steps": (pa.int64(), _part("report", "planned_steps")),
        "resumed_from_step": (pa.int64(), _part("report", "resumed_from_step")),
        "md_s": (pa.float64(), _part("report", "md_s")),
        "frames_sent": (pa.int64(), _part("report", "frames_sent")),
        "frames_dropped": (pa.int64(), _part("report", "frames_dropped")),
    }
    columns |= {name: (pa.float64(), _part("times", name)) for name in StageTimes.model_fields}
    columns["provenance"] = (pa.string(), _provenance())
    return columns


def _part(part: str, field: str) -> Getter:
    return PartOf(PARTS[part], attrgetter(field))


def _parameter(name: str) -> Getter:
    return lambda result: result.candidate.parameters.get(name)


def _regret_to(target: Target) -> Getter:
    return lambda result: regret_of(result, target)


def _provenance() -> Getter:
    """As JSON, made once for results that share it."""
    known: dict[int, tuple[Mapping[str, str], str]] = {}

    def text(report: RunReport) -> str:
        found = known.get(id(report.provenance))
        if found is None:
            if len(known) >= TEXTS_KEPT:
                known.clear()
            found = known[id(report.provenance)] = report.provenance, json.dumps(report.provenance, sort_keys=True)
        return found[1]

    return PartOf(PARTS["report"], text)
