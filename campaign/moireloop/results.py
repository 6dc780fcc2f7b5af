"""Results as a table and as recipes; and how well the workers were used (pure)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from moireloop_analyzer.moire import moire_wavelength
from moireloop_broker.messages import Measurement, Result, StageTimes
from moireloop_optimizer.objective import Target, regret_deg

Getter = Callable[[Result], Any]
Columns = dict[str, tuple[pa.DataType, Getter]]

_TYPES: Final = {"stacking": pa.string(), "grains_lower": pa.int64(), "grains_upper": pa.int64()}


@dataclass(frozen=True)
class Recipe:
    """A measured result as a way to reach a target."""

    result: Result
    target: Target
    twist_deg: float
    regret_deg: float

    @property
    def within_tolerance(self) -> bool:
        """Whether the twist is the target's, within its tolerance."""
        return self.regret_deg <= self.target.tolerance_deg


@dataclass(frozen=True)
class Utilisation:
    """Time that workers spent inside LAMMPS, and the wall time in which they could have, in seconds."""

    md_s: float
    wall_s: float

    @property
    def fraction(self) -> float | None:
        """md_s / wall_s, or None before any run has ended."""
        return self.md_s / self.wall_s if self.wall_s > 0 else None


@dataclass(frozen=True)
class EarlyEnds:
    """What ending runs early has saved: how many runs, and steps that were not computed of those that were planned."""

    settled: int
    hopeless: int
    saved_steps: int
    planned_steps: int

    def __str__(self) -> str:
        share = 100 * self.saved_steps / self.planned_steps
        return f"early end saved {share:.0f} % of the steps: {self.settled} settled, {self.hopeless} hopeless"


def saved_steps(result: Result) -> int | None:
    """Steps of the plan that an early end saved, 0 for a run that was completed; None where there is no telling."""
    report = result.report
    if report is None or not report.planned_steps or report.ended == "cancelled":
        return None
    return max(0, report.planned_steps - report.steps) if report.ended in ("settled", "hopeless") else 0


def early_ends(results: Iterable[Result]) -> EarlyEnds | None:
    """What early ends have saved over all runs that came to their end; None where no run was ended early."""
    told = [(result.report, saved) for result in results if (saved := saved_steps(result)) is not None]
    endings = [report.ended for report, _ in told if report is not None]
    if not {"settled", "hopeless"} & set(endings):
        return None
    planned = sum(report.planned_steps for report, _ in told if report is not None)
    return EarlyEnds(endings.count("settled"), endings.count("hopeless"), sum(saved for _, saved in told), planned)


def regret_of(result: Result, target: Target) -> float | None:
    """Distance of the final twist from a target, in degrees; None where there is no twist."""
    return None if result.twist_deg is None else regret_deg(result.twist_deg, target)


def nearest_target(result: Result, targets: Sequence[Target]) -> Target | None:
    """The target that the result came nearest to; None without a twist or targets."""
    twist = result.twist_deg
    if twist is None:
        return None
    return min(targets, key=lambda target: regret_deg(twist, target), default=None)


def best_recipes(results: Iterable[Result], target: Target, n: int) -> list[Recipe]:
    """The n measured results nearest to a target; equals go by the smaller uncertainty, then by time."""
    recipes = [
        Recipe(result, target, result.twist_deg, regret_deg(result.twist_deg, target))
        for result in results
        if result.outcome == "measured" and result.twist_deg is not None
    ]
    return sorted(recipes, key=_rank)[:n]


def utilisation(results: Iterable[Result], resumed_at_s: Sequence[float] = ()) -> Utilisation:
    """Time inside LAMMPS over wall time, summed over workers.

    A worker's wall time runs from its first lease to the end of its last; a pause between two sessions of
    the campaign, given by the times at which it was resumed, is not counted. Only runs that reached their
    end have a report; an attempt that died counts as idle time between its neighbours.

    Args:
        results: in any order.
        resumed_at_s: seconds since the epoch at which the campaign was resumed.
    """
    spans: dict[tuple[str, int], tuple[float, float]] = {}
    md_s = 0.0
    for result in results:
        if result.report is None:
            continue
        report = result.report
        begin = result.times.leased_s if result.times.leased_s is not None else report.started_s
        end = max(report.finished_s, begin)
        session = sum(begin >= resumed_s for resumed_s in resumed_at_s)
        first, last = spans.get((report.worker, session), (begin, end))
        spans[report.worker, session] = (min(first, begin), max(last, end))
        md_s += report.md_s
    return Utilisation(md_s, sum(last - first for first, last in spans.values()))


def wavelength_angstrom(result: Result) -> float | None:
    """Moire wavelength of the final bilayer in angstrom; None without a twist, or where it is infinite."""
    measured = result.measurement
    if measured is None or measured.twist_deg is None:
        return None
    lower, upper = measured.lattice_lower_angstrom, measured.lattice_upper_angstrom
    if lower is None or upper is None:
        return None
    return moire_wavelength(measured.twist_deg, lower, upper)


def results_table(results: Sequence[Result], targets: Sequence[Target]) -> pa.Table:
    """One row per candidate, in the order of the results; missing values are null.

    Growth parameters are columns under their own names. `regret_deg` is the distance to
    `nearest_target_deg`; with several targets there is a column for the distance to each. Times are seconds
    since the epoch. A number that a further analyzer found is a column `analyzer.number`, and why an analyzer failed a
    column `analyzer.reason`; arrays are in the table of the analyses.
    """
    columns = (
        _identity_columns()
        | _parameter_columns(results)
        | _twist_columns(targets)
        | _analysis_columns(results)
        | _run_columns()
    )
    return pa.table(
        {name: pa.array([get(result) for result in results], kind) for name, (kind, get) in columns.items()}
    )


def parameter_names(results: Iterable[Result]) -> list[str]:
    """Names of all growth parameters, in the order in which they first appear."""
    return list(dict.fromkeys(name for result in results for name in result.candidate.parameters))


def _rank(recipe: Recipe) -> tuple[float, float, float]:
    measurement, times = recipe.result.measurement, recipe.result.times
    sigma_deg = measurement.sigma_deg if measurement else None
    logged_s = times.logged_s if times.logged_s is not None else times.proposed_s
    return (round(recipe.regret_deg, 9), sigma_deg if sigma_deg is not None else math.inf, logged_s)


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
    taken = set(_identity_columns()) | set(_twist_columns(())) | set(_run_columns())
    return {
        f"parameter_{name}" if name in taken else name: (pa.float64(), _parameter(name))
        for name in parameter_names(results)
    }


def _twist_columns(targets: Sequence[Target]) -> Columns:
    columns: Columns = {
        name: (_TYPES.get(name, pa.float64()), _part("measurement", name))
        for name in Measurement.model_fields
        if name not in ("reason", "moire_angstrom")
    }
    columns["nearest_target_deg"] = (pa.float64(), lambda result: _nearest_deg(result, targets))
    columns["regret_deg"] = (pa.float64(), lambda result: _nearest_regret_deg(result, targets))
    if len(targets) > 1:
        for target in targets:
            columns[f"regret_to_{target.twist_deg:g}_deg"] = (pa.float64(), _regret_to(target))
    columns["moire_wavelength_angstrom"] = (pa.float64(), wavelength_angstrom)
    return columns


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
    columns["provenance"] = (pa.string(), _provenance)
    return columns


def _part(part: str, field: str) -> Getter:
    return lambda result: getattr(getattr(result, part), field, None)


def _parameter(name: str) -> Getter:
    return lambda result: result.candidate.parameters.get(name)


def _regret_to(target: Target) -> Getter:
    return lambda result: regret_of(result, target)


def _nearest_deg(result: Result, targets: Sequence[Target]) -> float | None:
    target = nearest_target(result, targets)
    return None if target is None else target.twist_deg


def _nearest_regret_deg(result: Result, targets: Sequence[Target]) -> float | None:
    target = nearest_target(result, targets)
    return None if target is None else regret_of(result, target)


def _provenance(result: Result) -> str | None:
    if result.report is None:
        return None
    return json.dumps(result.report.provenance, sort_keys=True)
