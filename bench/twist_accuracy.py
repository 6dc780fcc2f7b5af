"""How right the twist is: the analyzer against the corpus of disturbed bilayers, family by family."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.table import Row
from moireloop_analyzer.twist import TwistEstimate
from tests.helpers.corpus import FAMILIES, REFUSALS, Case, case_of, disturbed_cases, refusal_cases, refusal_of

CLOSE_DEG, ALLOWED_DEG = 0.1, 0.25
EXACT_DEG = 1e-6
"""Errors and standard errors below this count as this in their ratio: both are rounding."""

REFUSED_PER_DISTURBED = 4
WORST = 12


@dataclass(frozen=True)
class Outcome:
    """A case and what was measured of it; the error is infinite where no twist was given."""

    case: Case
    estimate: TwistEstimate
    error_deg: float

    @property
    def ratio(self) -> float:
        """Error over standard error."""
        return self.error_deg / max(self.estimate.sigma_deg or 0.0, EXACT_DEG)

    @property
    def misstacked(self) -> bool:
        """Whether another stacking is named than the true one."""
        return self.case.stacking is not None and getattr(self.estimate, "stacking", None) not in (
            None,
            self.case.stacking,
        )


@dataclass(frozen=True)
class Summary:
    """Of some outcomes: how many, shares within the bars, the worst error, refusals, and how errors scatter by sigma.

    `rms_ratio` is the root mean square of error over sigma, about 1 where the standard error is right; `within_2_sigma`
    is then about 0.95.
    """

    cases: int
    close: float
    allowed: float
    worst_deg: float
    refused: int
    median_sigma_deg: float
    rms_ratio: float
    within_2_sigma: float
    misstacked: int


def outcome_of(case: Case) -> Outcome:
    """The measurement of one case."""
    estimate = case.measured()
    signed = estimate.signed_deg
    return Outcome(case, estimate, math.inf if signed is None else case.error_deg(signed))


def summary_of(outcomes: Sequence[Outcome]) -> Summary:
    """The numbers of a family, or of all."""
    errors = np.abs([outcome.error_deg for outcome in outcomes])
    given = [outcome for outcome in outcomes if math.isfinite(outcome.error_deg)]
    ratios = np.abs([outcome.ratio for outcome in given])
    return Summary(
        cases=len(outcomes),
        close=float(np.mean(errors <= CLOSE_DEG)),
        allowed=float(np.mean(errors <= ALLOWED_DEG)),
        worst_deg=max((abs(outcome.error_deg) for outcome in given), default=math.nan),
        refused=len(outcomes) - len(given),
        median_sigma_deg=float(np.median([outcome.estimate.sigma_deg or 0.0 for outcome in given])) if given else 0.0,
        rms_ratio=float(np.sqrt(np.mean(ratios**2))) if given else math.nan,
        within_2_sigma=float(np.mean(ratios < 2.0)) if given else math.nan,
        misstacked=sum(outcome.misstacked for outcome in outcomes),
    )


def report(arguments: argparse.Namespace) -> int:
    """Print one case, or the table of all families, the refusals and the worst cases; 0 when the bars are held."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    if arguments.case is not None:
        _show_case(arguments.case, console)
        return 0
    outcomes = [outcome_of(case) for case in disturbed_cases(arguments.cases, arguments.seed)]
    outcomes.sort(key=lambda outcome: outcome.case.family)
    frames = list(refusal_cases(max(arguments.cases // REFUSED_PER_DISTURBED, len(REFUSALS)), arguments.seed))
    numbered = [frame.name for frame in frames if frame.measured().twist_deg is not None]
    console.print(_table(outcomes))
    for outcome in sorted(outcomes, key=lambda outcome: -abs(outcome.error_deg))[:WORST]:
        console.print(_line(outcome), highlight=False)
    console.print(f"{len(frames)} frames without a twist, {len(numbered)} given one: {', '.join(numbered) or 'none'}")
    whole = summary_of(outcomes)
    return 0 if whole.close >= 0.97 and whole.allowed == 1.0 and not numbered else 1


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="twist of the corpus", title_justify="left")
    for heading in (
        "family",
        "cases",
        "in 0.1°",
        "in 0.25°",
        "worst",
        "refused",
        "sigma",
        "rms error/sigma",
        "in 2 sigma",
        "R for H",
    ):
        table.add_column(heading, justify="left" if heading == "family" else "right")
    for family, members in groupby(outcomes, key=lambda outcome: outcome.case.family):
        table.add_row(family, *_cells(summary_of(list(members))))
    table.add_section()
    table.add_row("all", *_cells(summary_of(outcomes)))
    return table


def _cells(of: Summary) -> list[str]:
    return [
        str(of.cases), f"{of.close:.1%}", f"{of.allowed:.1%}", f"{of.worst_deg:.3g}°", str(of.refused),
        f"{of.median_sigma_deg:.2g}°", f"{of.rms_ratio:.2f}", f"{of.within_2_sigma:.0%}", str(of.misstacked),
    ]  # fmt: skip


def _line(outcome: Outcome) -> str:
    found = outcome.estimate
    if found.reason is not None:
        return f"{outcome.case.name}: {found.reason}"
    return f"{outcome.case.name}: off by {outcome.error_deg:+.4f}, sigma {found.sigma_deg:.4f}"


def _show_case(name: str, console: Console) -> None:
    """Everything of one case: its plan, its truth and the estimate."""
    family, _, number = name.partition(":")
    if family not in FAMILIES and family not in REFUSALS:
        raise SystemExit(f"expected a family among {', '.join([*FAMILIES, *REFUSALS])}, got {family!r}")
    case = (case_of if family in FAMILIES else refusal_of)(family, int(number or 0))
    estimate = case.measured()
    console.print(case.plan)
    console.print(f"atoms {len(case.upper)}, pbc {case.bilayer.pbc}, cell\n{case.bilayer.cell}")
    console.print(f"true {case.signed_deg:+.6f} degrees, stacking {case.stacking}, bound {case.bound_deg:.4f}")
    for layer, atoms in (("lower", estimate.lower_atoms), ("upper", estimate.upper_atoms)):
        wrong = int(np.count_nonzero(case.upper[atoms] != (layer == "upper")))
        console.print(f"{layer}: {len(atoms)} atoms, {wrong} of them of the other layer")
    console.print({name: value for name, value in vars(estimate).items() if np.ndim(value) == 0})
    console.print(_line(outcome_of(case)))


def rows() -> list[Row]:
    """The bars of the corpus as rows of the benchmark's table."""
    whole = summary_of([outcome_of(case) for case in disturbed_cases(420, seed=1)])
    baseline = f"{whole.cases} cases, worst {whole.worst_deg:.3g}, {whole.refused} refused"
    return [Row("twist within 0.1 degrees, corpus", 100 * whole.close, "%", 97, "at least", baseline)]
