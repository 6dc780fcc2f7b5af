"""Which candidates a resumed campaign no longer wants (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from moireloop_broker.contract.events import Candidate, CandidateQueued, Event, Result

Bounds = Mapping[str, tuple[float, float]]


def withdrawals(events: Iterable[Event], bounds: Bounds, budget_results: int) -> dict[str, str]:
    """Queued candidates that lie outside the search space or beyond the budget, each with the reason.

    Args:
        events: the log, when nothing runs.
        bounds: lowest and highest value of each parameter in the campaign file as it is now.
        budget_results: results that the campaign file asks for now.
    """
    waiting: dict[str, Candidate] = {}
    counted = 0
    for event in events:
        if isinstance(event, CandidateQueued):
            waiting[event.candidate.candidate_id] = event.candidate
        elif isinstance(event, Result):
            waiting.pop(event.candidate.candidate_id, None)
            counted += event.counts_for_budget
    outside = {name for name, candidate in waiting.items() if not _is_within(candidate.parameters, bounds)}
    inside = [name for name in waiting if name not in outside]
    beyond = inside[max(0, budget_results - counted) :]
    return {name: "outside the search space of the resumed campaign" for name in outside} | {
        name: "beyond the budget of the resumed campaign" for name in beyond
    }


def _is_within(parameters: Mapping[str, float], bounds: Bounds) -> bool:
    return all(low <= parameters.get(name, math.nan) <= high for name, (low, high) in bounds.items())
