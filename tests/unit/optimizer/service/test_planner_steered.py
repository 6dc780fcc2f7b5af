"""What the planner makes of requests: it learns at once, and the log replayed gives the same state."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_broker.contract.events import OUTSIDE, Event, Requested
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steering import (
    ChangeBudgetRequest,
    ChangeSpaceRequest,
    PauseRequest,
    ResumeRequest,
    RetargetRequest,
    SteeringRequest,
    WantedTwist,
)
from moireloop_optimizer.service.candidate_names import candidate_id
from moireloop_optimizer.service.planner import Planner
from moireloop_optimizer.settings import OptimizerSettings
from tests.helpers.campaign_events import candidate, changed, finished, leased, queued, result

SPACE = SearchSpace.model_validate({"temperature_k": [1000, 3000], "lattice_strain": [0.0, 0.05]})
FIRST = Target(twist_deg=5.0)
NOW_S = 200.0


def planner(**budget: object) -> Planner:
    settings = OptimizerSettings(initial=2)
    return Planner(SPACE, (FIRST,), settings, BudgetSettings.model_validate({"results": 40, **budget}), 2)


def fed(planner: Planner, *events: Event) -> Planner:
    for event in events:
        planner.apply(event)
    return planner


def asked(request: SteeringRequest) -> Requested:
    return Requested(requester="ada", request=request, at_s=1.0)


def measured(number: int, twist_deg: float, strategy: str = "auto") -> list[Event]:
    own = candidate(candidate_id(number)).model_copy(update={"strategy": strategy})
    name = own.candidate_id
    return [queued(own), leased(name), finished(name), result(own, twist_deg=twist_deg)]


def retarget(*twists_deg: float) -> Requested:
    return asked(RetargetRequest(targets=[WantedTwist(twist_deg=twist) for twist in twists_deg]))


def test_next_place_aims_at_the_new_target_and_all_results_count() -> None:
    """Results from before the request count like later ones; the revision marks an older answer."""
    before = fed(planner(), *measured(1, 5.0), *measured(2, 12.0))
    after = fed(before, retarget(12.0))
    assert after.revision == 1
    assert [place.target.twist_deg for place in after.places(2)] == [12.0, 12.0]
    assert after.runs.twist_deg.tolist() == [5.0, 12.0]


def test_target_that_was_hit_before_counts_as_reached() -> None:
    """Of two new targets the one that no result has hit gets the places."""
    after = fed(planner(), *measured(1, 12.0), retarget(12.0, 20.0))
    assert {place.target.twist_deg for place in after.places(4)} == {20.0}


def test_other_bounds_move_the_unit_cube() -> None:
    """Known points lie elsewhere in it."""
    after = fed(planner(), *measured(1, 5.0))
    (before,) = after.runs.points[:, 0]
    fed(after, asked(ChangeSpaceRequest(space={"temperature_k": [0.0, 3000.0]})))
    (now,) = after.runs.points[:, 0]
    assert now != before
    assert np.isclose(after.space.from_unit(after.runs.points)[0]["temperature_k"], 1000 + 2000 * before)


def test_budget_and_pause_rule_what_is_wanted() -> None:
    """Nothing is proposed in a pause, nor by a budget that is spent."""
    events = [changed("started", 100.0), *measured(1, 5.0), *measured(2, 5.0)]
    assert fed(planner(), *events).proposals_due(NOW_S) > 0
    assert fed(planner(), *events, asked(ChangeBudgetRequest(results=2))).proposals_due(NOW_S) == 0
    paused = fed(planner(), *events, asked(PauseRequest()), retarget(7.0))
    assert paused.proposals_due(NOW_S) == 0
    assert fed(paused, asked(ResumeRequest())).proposals_due(NOW_S) > 0
    assert fed(fed(planner(), *events, asked(PauseRequest())), changed("resumed", 150.0)).proposals_due(NOW_S) > 0


@pytest.mark.parametrize(("counts", "room"), [(True, 6), (False, 8)])
def test_candidates_from_outside_take_places_of_the_budget_or_not(counts: bool, room: int) -> None:
    """As `budget.outside_counts` says, pending or done."""
    waiting = candidate("mine-2").model_copy(update={"strategy": OUTSIDE})
    guests = [*measured(7, 5.0, OUTSIDE), queued(waiting)]
    assert fed(planner(results=8, outside_counts=counts), *guests).room == room


def test_replay_gives_the_same_state() -> None:
    """Whether requests are taken in as they come, or with the log from its start, or twice."""
    events = [
        changed("started", 100.0), *measured(1, 5.0), retarget(8.0), asked(PauseRequest()), *measured(2, 8.1),
        asked(ChangeSpaceRequest(space={"lattice_strain": [0.01, 0.02]})), retarget(3.0, 9.0), asked(ResumeRequest()),
        asked(ChangeBudgetRequest(results=30)),
    ]  # fmt: skip
    once, twice = fed(planner(), *events), fed(planner(), *events, *events)
    late = Planner(once.space, once.targets, once.settings, once.budget, 2)
    for other in (twice, fed(late, *events)):
        assert (other.targets, other.space, other.budget) == (once.targets, once.space, once.budget)
        assert other.places(3) == once.places(3)
        assert other.proposals_due(NOW_S) == once.proposals_due(NOW_S)


def test_no_strategy_proposes_nothing() -> None:
    """All candidates come from controllers then."""
    nothing = Planner(SPACE, (FIRST,), OptimizerSettings(strategy="none"), BudgetSettings(results=40), 2)
    assert fed(nothing, changed("started", 100.0)).proposals_due(NOW_S) == 0
