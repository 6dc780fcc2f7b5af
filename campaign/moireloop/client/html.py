"""A campaign as HTML for a notebook: its state in one line, and the best error so far as a curve (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import BUDGET_OUTCOMES, Result
from moireloop_broker.contract.search import Target

WIDTH: Final = 420

HEIGHT: Final = 120


def campaign_html(status: Status, budget_results: int, targets: Iterable[Target], results: Sequence[Result]) -> str:
    """State, results out of the budget, and for each target a curve of the best error in degrees."""
    done = sum(status.counts.get(outcome, 0) for outcome in BUDGET_OUTCOMES)
    head = f"<b>{escape(status.campaign)}</b> {status.state}: {done} of {budget_results} results"
    curves = "".join(_curve(results, target.twist_deg) for target in targets)
    return f"<div>{head}{curves}</div>"


def _curve(results: Sequence[Result], target_deg: float) -> str:
    """The best error so far over the number of results, as SVG; a text if nothing was measured."""
    best, errors = None, list[float | None]()
    for result in results:
        if result.twist_deg is not None:
            error = abs(result.twist_deg - target_deg)
            best = error if best is None else min(best, error)
        errors.append(best)
    known = [(number, error) for number, error in enumerate(errors) if error is not None]
    if best is None or not known:
        return f"<p>target {target_deg:g}&deg;: no twist yet</p>"
    top, last = max(error for _, error in known) or 1.0, max(1, len(errors) - 1)
    points = " ".join(
        f"{number / last * WIDTH:.1f},{HEIGHT - error / top * (HEIGHT - 4) - 2:.1f}" for number, error in known
    )
    return (
        f"<p>target {target_deg:g}&deg;: best error {best:.3g}&deg;, first {top:.3g}&deg;</p>"
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="best error over results">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
    )
