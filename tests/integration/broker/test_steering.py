"""What requests do to a campaign in Redis, and which are refused."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
import redis

from moireloop_broker.contract.events import OUTSIDE, Candidate, Requested, Result
from moireloop_broker.contract.steering import (
    CancelRequest,
    ChangeBudgetRequest,
    ChangeSpaceRequest,
    NoteRequest,
    PauseRequest,
    PrioritiseRequest,
    ProposeRequest,
    ReplicateRequest,
    ResumeRequest,
    RetargetRequest,
    SteeringRequest,
    StopRequest,
    WantedTwist,
    WithdrawRequest,
)
from moireloop_broker.service.description import description
from moireloop_broker.service.steering import InvalidRequest, Steering
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.queue import QueueScripts
from moireloop_broker.state.settings_store import read_settings, write_settings
from moireloop_broker.state.work_queue.leases import Leases
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_broker.state_changes import proposal_of
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import TWIST, final_frame, report

SECTIONS = {
    "space": {"temperature_k": [1000.0, 3000.0]},
    "targets": [{"twist_deg": 8.0}],
    "budget": {"results": 6},
    "growth": {"model": "bead"},
    "optimizer": {"strategy": "auto"},
    "limits": {"temperature_k": [1.0, 20000.0]},
    "session": {"began_boot_s": 1.0},
}


class Steered:
    """A campaign and the steering of it."""

    def __init__(self, client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
        write_settings(client, keys, SECTIONS)
        self.client, self.keys, self.queue = client, keys, queue
        self.state = CampaignState(client, keys, "test")
        self.steering = Steering(client, keys, self.state)

    def ask(self, *requests: SteeringRequest) -> None:
        for request in requests:
            self.steering.carry_out(request)

    def refused(self, request: SteeringRequest) -> str:
        with pytest.raises(InvalidRequest) as refusal:
            self.steering.carry_out(request)
        return refusal.value.error

    def propose(self, *names: str, temperature_k: float = 2000.0) -> None:
        self.ask(*(ProposeRequest(candidate_id=n, parameters={"temperature_k": temperature_k}) for n in names))

    def own(self, name: str, target_deg: float) -> None:
        """A candidate that the optimizer proposed."""
        parameters = {"temperature_k": 2000.0}
        candidate = Candidate(
            candidate_id=name, parameters=parameters, seed=1, target_deg=target_deg, strategy="auto", proposed_s=1.0
        )
        assert self.queue.propose(candidate) == "queued"

    def waiting(self) -> list[str]:
        return [candidate.candidate_id for candidate in self.queue.proposer.queued()]

    def asked(self) -> list[tuple[str, str]]:
        """Kind of each request in the log, and who asked."""
        events = [event for _, event in EventLog(self.client, self.keys).replay() if isinstance(event, Requested)]
        return [(event.request.tag.partition("_request")[0], event.requester) for event in events]

    def withdrawn(self) -> dict[str, str | None]:
        results = [event for _, event in EventLog(self.client, self.keys).replay() if isinstance(event, Result)]
        return {result.candidate.candidate_id: result.reason for result in results if result.outcome == "cancelled"}


@pytest.fixture
def campaign(client: redis.Redis, keys: Keys, queue: WholeQueue) -> Steered:
    return Steered(client, keys, queue)


def test_paused_campaign_leases_nothing_and_loses_nothing(campaign: Steered) -> None:
    """What was leased goes on, what is proposed waits, and after `resume` it is leased."""
    campaign.propose("a", "b")
    lease = campaign.queue.take("w0", 0.0)
    assert lease is not None
    campaign.ask(PauseRequest(requester="ada"), PauseRequest(requester="ada"))
    campaign.propose("c")
    assert campaign.state.status().state == "paused"
    assert campaign.queue.take("w1", 0.0) is None
    assert campaign.queue.renew(lease, 1) is None
    campaign.ask(ResumeRequest(requester="bob"))
    names = [
        taken.candidate.candidate_id
        for taken in (campaign.queue.take("w1", 0.0), campaign.queue.take("w2", 0.0))
        if taken
    ]
    assert names == ["b", "c"]
    assert campaign.refused(ResumeRequest()) == "NotPaused"
    assert [entry for entry in campaign.asked() if entry[0] != "propose"] == [("pause", "ada"), ("resume", "bob")]


@pytest.mark.parametrize(("place", "order"), [(1, "cabd"), (2, "acbd"), (3, "abcd"), (4, "abdc"), (99, "abdc")])
def test_prioritised_candidate_has_the_place_that_was_asked_for(campaign: Steered, place: int, order: str) -> None:
    """In the queue, and for workers, each once."""
    campaign.propose(*"abcd")
    campaign.ask(PrioritiseRequest(candidate_id="c", place=place))
    assert "".join(campaign.waiting()) == order
    taken = [campaign.queue.take(f"w{number}", 0.0) for number in range(5)]
    assert "".join(lease.candidate.candidate_id for lease in taken if lease) == order
    assert campaign.refused(PrioritiseRequest(candidate_id="c")) == "TooLate"
    assert campaign.refused(PrioritiseRequest(candidate_id="x")) == "UnknownCandidate"
    assert campaign.queue.counts()["running"] == 4


def test_prioritised_candidate_comes_before_one_that_was_given_back(campaign: Steered) -> None:
    """And one that was given back can be put behind the others."""
    campaign.propose(*"abc")
    lease = campaign.queue.take("w0", 0.0)
    assert lease is not None
    campaign.queue.fail(lease, "the allocation ended", charged=False)
    campaign.ask(PrioritiseRequest(candidate_id="c"))
    assert campaign.waiting()[0] == "c"
    campaign.ask(PrioritiseRequest(candidate_id="a", place=3))
    assert "".join(campaign.waiting()) == "cba"
    campaign.ask(CancelRequest(candidate_id="c", reason="no"), WithdrawRequest(candidate_id="a"))
    assert campaign.waiting() == ["b"]


def test_entries_of_both_queues_with_one_id_are_distinct(campaign: Steered) -> None:
    """Redis numbers the entries of each stream by the millisecond, so entries of two streams can have the same id."""
    campaign.propose(*"abc")
    lease = campaign.queue.take("w0", 0.0)
    assert lease is not None
    campaign.queue.fail(lease, "the allocation ended", charged=False)
    client, keys = campaign.client, campaign.keys
    same = f"{round(1000 * time.time()) + 60_000}-0"
    for queue, name in zip(keys.queues, "ac", strict=True):
        held, fields = cast("Any", client.xrange(queue))[-1]
        client.xdel(queue, held)
        client.xadd(queue, fields, id=same)
        client.hset(keys.candidate(name), "entry", same)
    campaign.ask(PrioritiseRequest(candidate_id="c"))
    assert campaign.waiting() == ["c", "a", "b"]


def test_other_targets_withdraw_what_was_queued_for_those_given_up(campaign: Steered) -> None:
    """Controllers' candidates stay, and so do those for a target that is still wanted."""
    campaign.own("c1", 8.0)
    campaign.own("c2", 5.0)
    campaign.propose("mine")
    request = RetargetRequest(targets=[WantedTwist(twist_deg=5.0)], requester="ada")
    campaign.ask(request, request)
    assert campaign.waiting() == ["c2", "mine"]
    assert campaign.withdrawn() == {"c1": "proposed for a target that ada gave up"}
    assert [entry for entry in campaign.asked() if entry[0] == "retarget"] == [("retarget", "ada")]
    described = description(campaign.client, campaign.keys, "test")
    assert [target.twist_deg for target in described.targets] == [5.0]
    twice = RetargetRequest(targets=[WantedTwist(twist_deg=5.0), WantedTwist(twist_deg=5.0, tolerance_deg=0.1)])
    assert campaign.refused(twice) == "SameTarget"


def test_other_bounds_hold_for_proposals_and_for_what_waits(campaign: Steered) -> None:
    """Within what the growth model takes; each refusal has a name."""
    campaign.propose("cold", temperature_k=1100.0)
    campaign.propose("warm", temperature_k=2500.0)
    campaign.ask(ChangeSpaceRequest(space={"temperature_k": [2000.0, 4000.0]}, requester="ada"))
    assert campaign.waiting() == ["warm"]
    campaign.propose("hot", temperature_k=3900.0)
    assert campaign.refused(ProposeRequest(candidate_id="x", parameters={"temperature_k": 1100.0})) == "OutOfBounds"
    for space, error in (
        ({"temperature_k": [0.5, 4000.0]}, "OutOfBounds"),
        ({"temperature_k": [3000.0, 2000.0]}, "BadRange"),
        ({"pressure_bar": [0.0, 1.0]}, "UnknownParameters"),
    ):
        assert campaign.refused(ChangeSpaceRequest(space=space)) == error
    described = description(campaign.client, campaign.keys, "test").space["temperature_k"]
    assert (described.unit, described.low, described.high, described.lowest, described.highest) == (
        "K",
        2000.0,
        4000.0,
        1.0,
        20000.0,
    )


def test_budget_bounds_proposals_and_can_be_changed(campaign: Steered) -> None:
    """One beyond it is refused; a smaller one withdraws the newest; none is smaller than what is there."""
    campaign.propose(*"abcdef")
    campaign.propose("a")
    assert campaign.refused(ProposeRequest(candidate_id="g", parameters={"temperature_k": 2000.0})) == "BudgetSpent"
    campaign.ask(ChangeBudgetRequest(results=3))
    assert campaign.waiting() == ["a", "b", "c"]
    campaign.ask(ChangeBudgetRequest(results=4))
    campaign.propose("g")
    lease = campaign.queue.take("w0", 0.0)
    assert lease is not None
    for _ in range(3):
        campaign.queue.fail(lease, "ERROR: Lost atoms")
        lease = campaign.queue.take("w0", 0.0)
        assert lease is not None
    campaign.ask(ChangeBudgetRequest(results=1))
    assert campaign.waiting() == []


def test_proposal_from_outside_takes_the_place_of_the_optimizers_newest(campaign: Steered) -> None:
    """Only of one that no worker has begun; once, however often it is asked for; and the budget holds."""
    for number in range(1, 7):
        campaign.own(f"c{number}", 8.0)
    lost, begun = campaign.queue.take("w0", 0.0), campaign.queue.take("w1", 0.0)
    assert lost is not None
    assert begun is not None
    campaign.queue.fail(lost, "ERROR: Lost atoms")
    campaign.propose("x")
    campaign.propose("x", "y")
    assert campaign.withdrawn() == {
        "c6": "gave its place to x, from outside",
        "c5": "gave its place to y, from outside",
    }
    assert campaign.waiting() == ["c3", "c4", "c1", "x", "y"]
    assert campaign.queue.counts()["cancelled"] == 2
    assert sum(campaign.queue.counts()[stage] for stage in ("queued", "running")) == 6
    for left in ("z", "zz"):
        campaign.propose(left)
    assert campaign.waiting() == ["c1", "x", "y", "z", "zz"]
    assert campaign.refused(ProposeRequest(candidate_id="w", parameters={"temperature_k": 2000.0})) == "BudgetSpent"


def test_optimizer_displaces_no_candidate(campaign: Steered) -> None:
    """Its own proposal beyond the budget is not queued."""
    for number in range(1, 7):
        campaign.own(f"c{number}", 8.0)
    more = Candidate(candidate_id="c7", parameters={"temperature_k": 2000.0}, seed=1, strategy="auto", proposed_s=1.0)
    assert campaign.queue.propose(more, budget=6) == "spent"
    assert campaign.withdrawn() == {}


def test_candidate_that_a_worker_took_meanwhile_gives_no_place(campaign: Steered) -> None:
    """The next of those that were found gives its place; where none waits any more, nothing changes."""
    for number in range(1, 7):
        campaign.own(f"c{number}", 8.0)
    spares = campaign.queue.proposer._spares("for x")
    assert [spare.candidate_id for spare in spares] == ["c6", "c5", "c4", "c3", "c2", "c1"]
    asked = Requested(requester="ada", request=NoteRequest(text="x"), at_s=1.0)
    outside = [
        proposal_of(Candidate(candidate_id=name, parameters={"temperature_k": 2000.0}, seed=1, proposed_s=1.0), asked)
        for name in "xy"
    ]
    scripts = QueueScripts(campaign.client, campaign.keys)
    assert campaign.queue.cancel("c6", "no") == "cancelled"
    campaign.own("c7", 8.0)
    for place in range(1, 5):
        assert (lease := campaign.queue.take("w0", 0.0)) is not None
        assert lease.candidate.candidate_id == f"c{place}"
    assert scripts.propose(outside, 6, spares) == ["queued", "spent"]
    assert scripts.propose(outside, 6, spares) == ["known", "spent"]
    assert campaign.withdrawn() == {"c6": "no", "c5": "for x"}
    assert campaign.waiting() == ["c7", "x"]


def test_many_from_outside_beside_workers_and_the_optimizer_keep_the_budget(campaign: Steered) -> None:
    """Each candidate has one result, and those that count are as many as the budget, whoever came first."""
    budget = 60
    write_settings(campaign.client, campaign.keys, {"budget": {"results": budget}})
    client, keys, over = campaign.client, campaign.keys, threading.Event()

    def guests(name: str) -> int:
        steering, taken = Steering(client, keys, campaign.state), 0
        for number in range(20):
            request = ProposeRequest(candidate_id=f"{name}{number}", parameters={"temperature_k": 2000.0})
            with contextlib.suppress(InvalidRequest):
                steering.carry_out(request)
                taken += 1
        return taken

    def optimizer() -> None:
        proposer, number = Proposer(client, keys), 0
        while not over.is_set():
            number += 1
            proposer.propose(
                Candidate(candidate_id=f"c{number}", parameters={"temperature_k": 2000.0}, seed=1, strategy="auto",
                          proposed_s=1.0), budget=budget,
            )  # fmt: skip

    def worker(name: str) -> None:
        leases, analysis = Leases(client, keys), AnalysisQueue(client, keys, name)
        while not over.is_set():
            lease = leases.take(name, 0.0)
            if lease is not None:
                leases.finish(lease, report(name), final_frame(lease.candidate.candidate_id, 1))
            if (run := analysis.take(0)) is not None:
                analysis.settle(run, TWIST)

    def is_done() -> bool:
        counts = campaign.queue.counts()
        return counts["measured"] == budget and not any(counts[one] for one in ("queued", "running", "analysing"))

    with ThreadPoolExecutor(6) as pool:
        busy = [pool.submit(optimizer), *(pool.submit(worker, f"w{number}") for number in range(2))]
        try:
            asking = [pool.submit(guests, name) for name in ("a", "b")]
            accepted = sum(one.result() for one in asking)
            wait_until(is_done, "the budget is spent")
        finally:
            over.set()
        for one in busy:
            one.result()
    results = [event for _, event in EventLog(client, keys).replay() if isinstance(event, Result)]
    names = [result.candidate.candidate_id for result in results]
    assert len(names) == len(set(names))
    measured = [result for result in results if result.outcome == "measured"]
    assert len(measured) == budget
    assert sum(result.candidate.strategy == OUTSIDE for result in measured) == accepted


def test_candidates_that_do_not_count_are_not_refused(campaign: Steered) -> None:
    """With budget.outside_counts = false the budget is the optimizer's alone."""
    write_settings(campaign.client, campaign.keys, {"budget": {"results": 1, "outside_counts": False}})
    campaign.propose("a", "b")
    assert campaign.waiting() == ["a", "b"]


def test_replicate_is_the_same_recipe_with_another_seed(campaign: Steered) -> None:
    """The same request twice is one candidate."""
    campaign.propose("a")
    request = ReplicateRequest(candidate_id="a", new_id="a-again")
    campaign.ask(request, request)
    first, again = campaign.queue.proposer.queued()
    assert again.parameters == first.parameters
    assert again.seed != first.seed
    assert campaign.refused(ReplicateRequest(candidate_id="a", new_id="x", seed=0)) == "SameSeed"
    assert campaign.refused(ReplicateRequest(candidate_id="nobody", new_id="x")) == "UnknownCandidate"


def test_running_candidate_is_cancelled_but_not_withdrawn(campaign: Steered) -> None:
    """A withdrawal is for what waits."""
    campaign.propose("a")
    assert campaign.queue.take("w0", 0.0) is not None
    assert campaign.refused(WithdrawRequest(candidate_id="a")) == "TooLate"
    campaign.ask(
        CancelRequest(candidate_id="a", reason="no", requester="ada"), NoteRequest(text="so be it", candidate_id="a")
    )
    assert campaign.refused(NoteRequest(text="who?", candidate_id="nobody")) == "UnknownCandidate"
    assert [kind for kind, _ in campaign.asked()] == ["propose", "cancel", "note"]


def test_campaign_that_drains_is_not_steered_any_more(campaign: Steered) -> None:
    """Notes are taken at any time."""
    campaign.propose("a")
    campaign.ask(StopRequest(requester="ada"), StopRequest(requester="ada"))
    assert campaign.state.state == "draining"
    for request in (
        PauseRequest(),
        ResumeRequest(),
        RetargetRequest(targets=[WantedTwist(twist_deg=5.0)]),
        ChangeSpaceRequest(space={"temperature_k": [2000.0, 2500.0]}),
        ChangeBudgetRequest(results=9),
        PrioritiseRequest(candidate_id="a"),
        ProposeRequest(candidate_id="b", parameters={"temperature_k": 2000.0}),
        ReplicateRequest(candidate_id="a", new_id="b"),
    ):
        assert campaign.refused(request) == "Draining"
    campaign.ask(NoteRequest(text="good night", requester="ada"))
    assert campaign.asked() == [("propose", "controller"), ("stop", "ada"), ("note", "ada")]


def test_broker_that_was_killed_goes_on_with_what_was_asked(campaign: Steered) -> None:
    """It writes the settings of its session once; the next session's settings replace them."""
    campaign.ask(ChangeBudgetRequest(results=3))
    write_settings(campaign.client, campaign.keys, SECTIONS)
    assert read_settings(campaign.client, campaign.keys).plain("budget")["results"] == 3
    write_settings(campaign.client, campaign.keys, {**SECTIONS, "session": {"began_boot_s": time.time()}})
    assert read_settings(campaign.client, campaign.keys).plain("budget")["results"] == 6
