"""Advice for the growth chamber, from a campaign's results and the model of the discrepancy (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from moireloop.experiment.lines import named_values
from moireloop.results.labels import percent
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_broker.extras import extras_for

if TYPE_CHECKING:
    from moireloop_optimizer.discrepancy import ChamberAdvice


def advised(
    results: Sequence[Result],
    patterns: Sequence[PatternMeasured],
    space: SearchSpace,
    target: Target | None,
    targets: Sequence[Target],
) -> ChamberAdvice:
    """Advice for a target, by default the first of these. Raises MissingExtra."""
    with extras_for("advice for the chamber", ("optimizer",)):
        from moireloop_optimizer.discrepancy import chamber_advice

        return chamber_advice(results, patterns, space, targets[0] if target is None else target)


def advice_lines(advice: ChamberAdvice) -> list[str]:
    """Terminal output for advice, one line where there is none."""
    head = f"target {advice.target.twist_deg:g} ± {advice.target.tolerance_deg:g} degrees"
    if advice.chamber is None or advice.computer is None:
        return [f"{head}: no advice: {advice.reason}"]
    return [
        f"{head}, by {advice.patterns} growths of the chamber and the campaign's results:",
        f"  chamber: {named_values(advice.chamber)}; twist expected at {advice.twist_deg:.2f} ± "
        f"{advice.sigma_deg:.2f} degrees, one growth there hits with a probability of {percent(advice.probability)}",
        f"  of that, the chamber adds {advice.discrepancy_deg:+.2f} ± {advice.discrepancy_sigma_deg:.2f} degrees to "
        f"the simulation's twist",
        f"  computer: {named_values(advice.computer)}; one run there hits with a probability of "
        f"{percent(advice.computer_probability)}",
    ]
