"""Advice for the growth chamber, from a campaign's results and the model of the discrepancy (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
    target: Target | float | None,
    targets: Sequence[Target],
) -> ChamberAdvice:
    """Advice for a target, by default the first of these. Raises MissingExtra."""
    with extras_for("advice for the chamber", ("optimizer",)):
        from moireloop_optimizer.discrepancy import chamber_advice

        wanted = targets[0] if target is None else target
        if not isinstance(wanted, Target):
            wanted = Target(twist_deg=wanted)
        return chamber_advice(results, patterns, space, wanted)
