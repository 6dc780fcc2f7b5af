"""What changes in a resumed campaign: candidates that it no longer wants, and new values in its file (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moireloop.campaign_file.campaign import Campaign
from moireloop_broker.contract.events import Candidate
from moireloop_broker.contract.steered import Steered, wanted_of
from moireloop_broker.contract.steering import (
    ChangeBudgetRequest,
    ChangeSpaceRequest,
    RetargetRequest,
    SteeringRequest,
)

NO_LIMIT_S: Final = 1e10

BY_FILE: Final = "moireloop resume"
"""Who asks for what a campaign file says differently."""

Bounds = Mapping[str, tuple[float, float]]


def withdrawals(queued: Iterable[Candidate], bounds: Bounds, places: int) -> dict[str, str]:
    """Queued candidates that lie outside the search space or beyond the budget, each with the reason.

    Args:
        queued: when nothing runs, the next one first.
        bounds: lowest and highest value of each parameter in the campaign file as it is now.
        places: results of the budget that nothing else has used up.
    """
    waiting = {candidate.candidate_id: candidate for candidate in queued}
    outside = {name for name, candidate in waiting.items() if not _is_within(candidate.parameters, bounds)}
    inside = [name for name in waiting if name not in outside]
    beyond = inside[max(0, places) :]
    return {name: "outside the search space of the resumed campaign" for name in outside} | {
        name: "beyond the budget of the resumed campaign" for name in beyond
    }


def steerable(campaign: Campaign) -> dict[str, Any]:
    """The sections that requests can change, as JSON has them."""
    return campaign.model_dump(mode="json", include={"targets", "space", "budget"})


def requests_of_file(campaign: Campaign, before: Mapping[str, Any] | None, steered: Steered) -> list[SteeringRequest]:
    """What the campaign file of a resumed campaign asks for, against what controllers asked for before.

    A section that the file has as in the last session stays as they left it.

    Args:
        campaign: as the file describes it now.
        before: what `steerable` returned in the last session; None where that is not known.
        steered: what controllers have asked for so far.
    """
    if before is None or steered == Steered():
        return []
    requests: list[SteeringRequest] = []
    now = steerable(campaign)
    if now["targets"] != before.get("targets"):
        requests.append(RetargetRequest(targets=wanted_of(campaign.targets), requester=BY_FILE))
    if now["space"] != before.get("space"):
        requests.append(ChangeSpaceRequest(space=campaign.space.root, requester=BY_FILE))
    if now["budget"] != before.get("budget"):
        limit_s = campaign.budget.wall_time_s
        unlimited = None if steered.wall_time_s is None else NO_LIMIT_S
        wall_time_s = unlimited if limit_s is None else limit_s
        requests.append(
            ChangeBudgetRequest(results=campaign.budget.results, wall_time_s=wall_time_s, requester=BY_FILE)
        )
    return requests


def _is_within(parameters: Mapping[str, float], bounds: Bounds) -> bool:
    return all(low <= parameters.get(name, math.nan) <= high for name, (low, high) in bounds.items())
