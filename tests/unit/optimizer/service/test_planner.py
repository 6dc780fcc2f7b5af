"""What the planner decides: events in, places for candidates out."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from moireloop_broker.contract.events import CancelRequested, Candidate, Event
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_optimizer.service.candidate_names import candidate_id
from moireloop_optimizer.service.planner import Planner, candidate_seed
from moireloop_optimizer.settings import OptimizerSettings
from tests.helpers.campaign_events import candidate, changed, failed, finished, leased, queued, result

NOW_S = 200.0
SPACE = SearchSpace.model_validate({"temperature_k": [1000, 3000], "lattice_strain": [0.0, 0.05]})
NEAR, FAR = Target(twist_deg=5.0), Target(twist_deg=25.0)


def planner(
    *,
    mode: Literal["async", "batch"] = "async",
    targets: tuple[Target, ...] = (NEAR,),
    results: int = 40,
    initial: int = 4,
    workers: int = 2,
    n_batch: int = 3,
    wall_time_s: float | None = None,
) -> Planner:
    settings = OptimizerSettings(mode=mode, initial=initial, n_batch=n_batch)
    return Planner(SPACE, targets, settings, BudgetSettings(results=results, wall_time_s=wall_time_s), workers)


def fed(planner: Planner, *events: Event) -> Planner:
    for event in events:
        planner.apply(event)
    return planner


def measured(number: int, twist_deg: float = 15.0) -> list[Event]:
    """The whole life of one of the optimizer's candidates."""
    own = candidate(candidate_id(number))
    name = own.candidate_id
    return [queued(own), leased(name), finished(name), result(own, twist_deg=twist_deg)]


def settled(count: int) -> list[Event]:
    return [event for number in range(1, count + 1) for event in measured(number)]


def test_the_initial_design_comes_at_once() -> None:
    """All of it, though there are but two workers."""
    places = planner(initial=10).places(planner(initial=10).proposals_due(NOW_S))
    assert [place.candidate_id for place in places] == [f"c{number:05d}" for number in range(1, 11)]


@pytest.mark.parametrize(("results", "wanted"), [(3, 3), (40, 10)])
def test_the_initial_design_keeps_to_the_budget(results: int, wanted: int) -> None:
    """It is cut where the budget ends."""
    assert planner(initial=10, results=results).proposals_due(NOW_S) == wanted


def test_the_initial_design_is_completed_after_a_kill() -> None:
    """Three of ten were proposed before; the next is number four."""
    after = fed(planner(initial=10, workers=1), *(queued(candidate(candidate_id(n))) for n in (1, 2, 3)))
    assert after.proposals_due(NOW_S) == 7
    assert after.places(1)[0].candidate_id == "c00004"


@pytest.mark.parametrize(
    ("running", "waiting", "wanted"),
    [(0, 0, 5), (1, 0, 4), (2, 0, 3), (2, 2, 1), (2, 3, 0), (2, 9, 0), (0, 2, 3)],
)
def test_the_queue_is_kept_ahead_of_the_workers(running: int, waiting: int, wanted: int) -> None:
    """Two workers, runs of 2 s, suggestions of 1 s: three ahead, and one for each free worker."""
    plan = fed(planner(), *settled(4))
    for number in range(5, 5 + running + waiting):
        plan.apply(queued(candidate(candidate_id(number))))
    for number in range(5, 5 + running):
        plan.apply(leased(candidate_id(number)))
    assert plan.proposals_due(NOW_S) == wanted


def test_a_finished_run_frees_its_worker_but_stays_pending() -> None:
    """Its worker wants the next candidate while the analysis is still to come."""
    plan = fed(planner(workers=1), *settled(4), queued(candidate("c00005")), leased("c00005"))
    before = plan.proposals_due(NOW_S)
    plan.apply(finished("c00005"))
    assert plan.proposals_due(NOW_S) == before + 1
    assert len(plan.pending_points) == 1


def test_pending_points_are_in_the_unit_cube_and_oldest_first() -> None:
    """Queued, running and finished ones alike; settled ones no more; those without a parameter left out."""
    plan = planner()
    for name, temperature_k in (("c00001", 1000.0), ("c00002", 2000.0), ("c00003", 3000.0), ("c00004", 1500.0)):
        plan.apply(queued(candidate(name, temperature_k=temperature_k, strain=0.05)))
    fed(plan, leased("c00002"), finished("c00003"), result(candidate("c00004")))
    plan.apply(queued(Candidate(candidate_id="x", parameters={"temperature_k": 1.0}, seed=0, proposed_s=1.0)))
    np.testing.assert_allclose(plan.pending_points, np.array([[0.0, 1.0], [0.5, 1.0], [1.0, 1.0]]))


def test_run_times_are_learnt() -> None:
    """From the lease to the end of the MD; the hundredth of the start value asks for a longer queue."""
    plan = planner()
    for number in range(1, 30):
        name = candidate_id(number)
        fed(plan, queued(candidate(name)), leased(name, at_s=10.0), finished(name, at_s=10.02))
    assert plan.pace.run_s == pytest.approx(0.02)


def test_a_failed_attempt_waits_for_the_next() -> None:
    """It is pending, neither queued nor running, until it is queued again; how soon it failed is no run time."""
    plan = fed(planner(), *settled(4), queued(candidate("c00005")), leased("c00005"))
    running = plan.proposals_due(NOW_S)
    plan.apply(failed("c00005"))
    assert plan.proposals_due(NOW_S) == running + 1
    plan.apply(queued(candidate("c00005"), attempt=2))
    assert plan.proposals_due(NOW_S) == running
    assert len(plan.pending_points) == 1


def test_batch_mode_waits_for_all_results() -> None:
    """The paper's mode: the initial design, then n_batch at a time, each only when the last has its results."""
    plan = planner(mode="batch")
    assert plan.proposals_due(NOW_S) == 4
    own = [candidate(candidate_id(number)) for number in range(1, 8)]
    fed(plan, *(queued(one) for one in own[:4]))
    for one in own[:3]:
        plan.apply(result(one))
        assert plan.proposals_due(NOW_S) == 0
    plan.apply(result(own[3], "failed"))
    assert plan.proposals_due(NOW_S) == 3


def test_a_batch_does_not_wait_for_candidates_from_outside() -> None:
    """Only candidates of the batch hold the next batch back."""
    plan = fed(planner(mode="batch"), *settled(4), queued(candidate("guest", strategy="outside")))
    assert plan.proposals_due(NOW_S) == 3


@pytest.mark.parametrize(("outcome", "left"), [("measured", 0), ("refused", 0), ("failed", 0), ("cancelled", 1)])
def test_what_uses_up_the_budget(outcome: Literal["measured", "refused", "failed", "cancelled"], left: int) -> None:
    """Every result but a cancelled one, which gives its place back."""
    plan = fed(planner(results=5), *settled(4), queued(candidate("c00005")))
    assert plan.proposals_due(NOW_S) == 0
    plan.apply(CancelRequested(candidate_id="c00005", reason="no"))
    assert plan.proposals_due(NOW_S) == 0
    plan.apply(result(candidate("c00005"), outcome))
    assert plan.proposals_due(NOW_S) == left
    assert plan.is_complete(NOW_S) == (left == 0)


def test_candidates_from_outside_use_the_budget_and_keep_their_ids() -> None:
    """An id of ours that somebody took is passed over."""
    plan = fed(planner(results=4), queued(candidate("c00002", strategy="outside")))
    assert [place.candidate_id for place in plan.places(plan.proposals_due(NOW_S))] == ["c00001", "c00003", "c00004"]
    fed(plan, queued(candidate("c00001")))
    assert plan.places(1)[0].candidate_id == "c00003"
    assert plan.room == 2


def test_an_id_taken_behind_our_back_is_passed_over() -> None:
    """The queue refused it, and the log does not tell why."""
    plan = planner()
    plan.note_id_in_use("c00001")
    assert plan.places(1)[0].candidate_id == "c00002"


def test_more_results_than_the_budget_do_no_harm() -> None:
    """A campaign resumed with a smaller budget, or many candidates from outside."""
    plan = fed(planner(results=2), *settled(4))
    assert (plan.proposals_due(NOW_S), plan.room, plan.is_complete(NOW_S)) == (0, 0, True)


def test_it_is_complete_when_nothing_is_pending() -> None:
    """A candidate from outside beyond the budget is still waited for."""
    plan = fed(planner(results=4), *settled(4), queued(candidate("guest", strategy="outside")))
    assert not plan.is_complete(NOW_S)
    plan.apply(result(candidate("guest", strategy="outside")))
    assert plan.is_complete(NOW_S)


def test_the_wall_time_ends_the_proposals() -> None:
    """Counted from the start or the last resume."""
    plan = fed(planner(wall_time_s=60.0, initial=9), changed("started", 100.0))
    assert (plan.proposals_due(159.0), plan.proposals_due(160.0), plan.is_complete(160.0)) == (9, 0, True)
    fed(plan, changed("stopped", 170.0), changed("resumed", 500.0))
    assert (plan.proposals_due(559.0), plan.proposals_due(560.0)) == (9, 0)


@pytest.mark.parametrize("state", ["draining", "stopped", "completed"])
def test_nothing_is_proposed_to_a_campaign_that_ends(state: Literal["draining", "stopped", "completed"]) -> None:
    """Until it is resumed."""
    plan = fed(planner(initial=9), changed("started", 100.0), changed(state, 110.0))
    assert plan.proposals_due(NOW_S) == 0
    plan.apply(changed("resumed", 120.0))
    assert plan.proposals_due(NOW_S) == 9


def test_proposals_cycle_over_the_targets_not_reached() -> None:
    """A target that is reached gets no more; when all are, they all do again."""
    plan = planner(targets=(NEAR, FAR))
    assert [place.target for place in plan.places(4)] == [NEAR, FAR, NEAR, FAR]
    fed(plan, *measured(1, twist_deg=25.2))
    assert [place.target for place in plan.places(3)] == [NEAR] * 3
    fed(plan, *measured(2, twist_deg=5.1))
    assert {place.target for place in plan.places(4)} == {NEAR, FAR}


def test_seeds_come_from_the_campaign_and_the_number() -> None:
    """The same ones every time, different from each other, and a valid seed of a candidate."""
    seeds = [candidate_seed(0, number) for number in range(1, 100)]
    assert seeds == [candidate_seed(0, number) for number in range(1, 100)]
    assert len(set(seeds)) == 99
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert candidate_seed(1, 1) != seeds[0]


def test_no_target_is_an_error() -> None:
    """There is nothing to search for."""
    with pytest.raises(ValueError, match="at least one target"):
        planner(targets=())
