"""What saves round trips keeps the promise: lost replies and deaths cost no candidate its result."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
import redis

from moireloop_broker.contract.codec import pack, pack_stamp
from moireloop_broker.contract.control import Stamp, WorkerStatus
from moireloop_broker.contract.events import (
    AnalysisOutcome,
    CandidateQueued,
    Measurement,
    Result,
    RunFinished,
    RunLeased,
    StageTimes,
)
from moireloop_broker.contract.message import START
from moireloop_broker.state import analysis_queue
from moireloop_broker.state.analysis_queue import AnalysisQueue, settlement
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import exchange, server_s
from moireloop_broker.state.work_queue.leases import LeaseLost, Leases
from moireloop_broker.state_changes import finish_of, leased_event, proposal_of, result_event
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import TWIST, candidate, events, final_frame, leased, report, results


@pytest.mark.parametrize(("candidate_id", "attempt"), [("c", 1), ("c" * 40, 127), ("c-1", 128), ("c.1", 70_000)])
def test_events_made_of_packed_parts_are_those_of_the_models(candidate_id: str, attempt: int) -> None:
    """Byte for byte, so that no client can tell them apart."""
    head, middle, tail = leased_event("w0", 1.5)
    made = head + msgpack.packb(candidate_id) + middle + msgpack.packb(attempt) + tail
    assert made == pack(RunLeased(candidate_id=candidate_id, attempt=attempt, worker="w0", leased_s=1.5))
    finished = RunFinished(candidate_id=candidate_id, attempt=attempt, report=report("w0"))
    assert finish_of(candidate_id, attempt, report("w0"), b"").event == pack(finished)
    proposal = proposal_of(candidate(candidate_id))
    waits = CandidateQueued(candidate=msgpack.unpackb(proposal.candidate), attempt=1, queued_s=proposal.queued_s)
    assert proposal.event == pack(waits)


def test_result_made_of_packed_parts_is_that_of_the_model() -> None:
    """Whatever there is of it: a twist, or analyses and a reason."""
    times = StageTimes(proposed_s=1.0, queued_s=2.0, analysed_s=3.0)
    measured = Result(
        candidate=candidate("c1"), attempt=200, outcome="measured", measurement=TWIST, report=report("w0"), times=times
    )
    analyses = {"own": AnalysisOutcome(numbers={"height": 1.5}, reasons={"other": "none"})}
    refused = {"outcome": "refused", "reason": "molten", "measurement": Measurement(reason="molten")}
    for result in (measured, measured.model_copy(update={**refused, "analyses": analyses})):
        assert result_event(pack(result.candidate), pack(report("w0")), result) == pack(result)


def test_stamp_of_a_published_message_is_that_of_the_model() -> None:
    """Byte for byte."""
    assert pack_stamp("1-0", START) == pack(Stamp(id="1-0", previous=START))


def test_several_are_proposed_as_far_as_the_budget_has_room(queue: WholeQueue) -> None:
    """In their order; what is known takes no room."""
    assert queue.proposer.propose_several([candidate("c1")], budget=3) == ["queued"]
    names = ["c1", "c2", "c2", "c3", "c4"]
    words = queue.proposer.propose_several([candidate(name) for name in names], budget=3)
    assert words == ["known", "queued", "known", "queued", "spent"]
    assert queue.proposer.propose_several([]) == []
    assert queue.counts()["queued"] == 3


def test_commands_in_one_round_trip(client: redis.Redis) -> None:
    """The error of one replaces its reply, the others are carried out, and large values are whole."""
    large = bytes(range(256)) * 1000
    commands = [("SET", "a", large), ("INCR", "a"), ("STRLEN", "a"), ("SET", "n", 1.5), ("GET", "n")]
    for alone in (False, True):
        own = redis.Redis(connection_pool=client.connection_pool, single_connection_client=alone)
        replies = exchange(own, [*commands])
        assert [reply for reply in replies if not isinstance(reply, Exception)] == [b"OK", len(large), b"OK", b"1.5"]
        assert isinstance(replies[1], redis.ResponseError)
        assert own.get("a") == large
    client.delete("a", "n")


def test_script_packs_the_event_as_the_model_does(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """What the server's packer adds, id and attempt, is as ours."""
    queue.propose(candidate("c" * 40))
    lease = leased(queue)
    newest: Any = client.xrevrange(keys.log, count=1)
    body = newest[0][1][b"e"]
    event = RunLeased(candidate_id="c" * 40, attempt=1, worker="w0", leased_s=lease.leased_s)
    assert body == pack(event)


def test_next_candidate_comes_with_the_end_of_a_run(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """One call hands in and takes; with an empty queue, or a campaign that drains, it hands in alone."""
    queue.proposer.propose_several([candidate("c1"), candidate("c2"), candidate("c3")])
    first = leased(queue)
    is_kept, second = queue.leases.finish_and_take(first, report("w0"), final_frame("c1", 1))
    assert is_kept
    assert second is not None
    assert second.candidate.candidate_id == "c2"
    assert queue.renew(second, 1) is None
    queue.campaign.change("draining")
    assert queue.leases.finish_and_take(second, report("w0"), final_frame("c2", 1)) == (True, None)
    assert [queue.counts()[state] for state in ("queued", "running", "analysing")] == [1, 0, 2]


def test_worker_reports_itself_as_it_renews(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """In one call, by the server's clock, also where the lease is lost; what is stored is the model's own form."""
    queue.propose(candidate("c1"))
    lease, before_s = leased(queue), server_s(client)
    status = WorkerStatus(worker="w0", candidate_id="c1", attempt=1, step=7, seen_s=5.0, ends_s=9.5, fault="no room")
    assert queue.renew(lease, 7, status) is None
    stored = queue.worker_status("w0")
    assert stored is not None
    assert before_s <= stored.seen_s <= server_s(client)
    assert stored.model_copy(update={"seen_s": 5.0}) == status
    queue.fail(lease, "gone")
    with pytest.raises(LeaseLost):
        queue.renew(lease, 8, status.model_copy(update={"step": 8}))
    last = queue.worker_status("w0")
    assert last is not None
    assert last.step == 8


def test_lost_reply_costs_no_lease(queue: WholeQueue) -> None:
    """A worker that calls again after its reply was lost gets the lease that it has, and no second one."""
    queue.proposer.propose_several([candidate("c1"), candidate("c2"), candidate("c3")])
    first = leased(queue)
    call = (first, report("w0"), final_frame("c1", 1))
    taken = [queue.leases.finish_and_take(*call) for _ in range(2)]
    assert [(is_kept, lease and lease.candidate.candidate_id) for is_kept, lease in taken] == [(True, "c2")] * 2
    assert [queue.counts()[state] for state in ("queued", "running", "analysing")] == [1, 1, 1]


def test_take_again_after_a_lost_reply(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """The same ticket is the same lease; another worker of that name has another ticket, and gets another candidate."""
    queue.proposer.propose_several([candidate("c1"), candidate("c2")])
    assert leased(queue).candidate.candidate_id == "c1"
    queue.leases._takes -= 1
    assert leased(queue).candidate.candidate_id == "c1"
    restarted = Leases(client, keys).take("w0", 0.0)
    assert restarted is not None
    assert restarted.candidate.candidate_id == "c2"


def test_run_whose_lease_is_lost_is_not_kept_and_the_next_is_taken(queue: WholeQueue) -> None:
    """The worker hears of the loss, and goes on with another candidate."""
    queue.proposer.propose_several([candidate("c1"), candidate("c2")])
    lost = leased(queue)
    queue.release_worker("w0", "taken for dead", charged=False)
    is_kept, lease = queue.leases.finish_and_take(lost, report("w0"), final_frame("c1", 1))
    assert not is_kept
    assert lease is not None
    assert (lease.candidate.candidate_id, lease.attempt) == ("c1", 2)


def test_stale_entries_are_skipped_by_takers(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """An entry of a candidate that is not queued any more, or of another attempt, is dropped."""
    client.xadd(keys.queue, {"id": "gone", "attempt": "1", "queued_s": "1.0"})
    queue.proposer.propose_several([candidate("c1")])
    client.xadd(keys.queue, {"id": "c1", "attempt": "7", "queued_s": "1.0"})
    assert leased(queue).candidate.candidate_id == "c1"
    assert queue.take("w1", 0.0) is None
    assert client.xlen(keys.queue) == 0


def finished(queue: WholeQueue, names: list[str]) -> None:
    """Candidates whose runs wait for an analyzer."""
    queue.proposer.propose_several([candidate(name) for name in names])
    for name in names:
        queue.finish(leased(queue), report("w0"), final_frame(name, 1))


def test_several_are_settled_and_taken_at_once(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """Each result is written once, whatever was settled before by somebody else."""
    names = [f"c{number}" for number in range(7)]
    finished(queue, names)
    analyzer = AnalysisQueue(client, keys, "a0")
    runs = analyzer.take_several(5)
    assert [run.candidate.candidate_id for run in runs] == names[:5]
    assert analyzer.settle(runs[0], TWIST)
    following = analyzer.settle_and_take([settlement(run, TWIST) for run in runs], 5)
    assert [run.candidate.candidate_id for run in following] == names[5:]
    analyzer.settle_several([settlement(run, TWIST) for run in following])
    assert [result.candidate.candidate_id for result in results(client, keys)] == names
    assert queue.counts()["analysing"] == 0


def test_run_is_handed_out_with_all_that_its_result_needs(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """Taken with others or alone, a finished run is the same."""
    finished(queue, ["c1"])
    (run,) = AnalysisQueue(client, keys, "a0").take_several(5)
    alone = AnalysisQueue(client, keys, "a0").take(0)
    assert alone is not None
    for part in ("candidate", "attempt", "report", "times", "entry", "order_reason"):
        assert getattr(run, part) == getattr(alone, part)
    assert run.frame.header == alone.frame.header
    assert (run.frame.positions == alone.frame.positions).all()


def test_frame_that_ends_analyzers_counts_against_no_other(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """What an analyzer had at once when it died it gets one by one: only what kills it is delivered again and again."""
    names = ["c0", "poison", "c2", "c3"]
    finished(queue, names)
    assert len(AnalysisQueue(client, keys, "a0").take_several(8)) == 4
    deliveries: dict[str, int] = {}
    while True:
        analyzer = AnalysisQueue(client, keys, "a0")
        (run,) = analyzer.take_several(8)
        name = run.candidate.candidate_id
        deliveries[name] = run.deliveries
        if name != "poison" or run.deliveries > 3:
            analyzer.settle(run, TWIST)
        if len(results(client, keys)) == 4:
            break
    assert deliveries == {"c0": 2, "poison": 4, "c2": 2, "c3": 2}


def test_large_frames_come_alone(
    client: redis.Redis, keys: Keys, queue: WholeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are handed out until their frames fill what may be at once; one that is larger by itself is whole, too."""
    finished(queue, ["c1", "c2", "c3"])
    size: Any = client.strlen(keys.final_frame("c1"))
    analyzer = AnalysisQueue(client, keys, "a0")
    for at_once, expected in ((size + 1, 2), (size - 1, 1)):
        monkeypatch.setattr(analysis_queue, "AT_ONCE_BYTES", at_once)
        runs = analyzer.take_several(8)
        assert len(runs) == expected
        assert all((run.frame.positions == final_frame("c1", 1).positions).all() for run in runs)


def test_claims_of_all_that_was_taken_at_once_can_be_renewed(
    client: redis.Redis, keys: Keys, queue: WholeQueue
) -> None:
    """Each of them belongs to its analyzer."""
    finished(queue, ["c1", "c2"])
    analyzer = AnalysisQueue(client, keys, "a0")
    runs = analyzer.take_several(8)
    assert [analyzer.renew(run) for run in runs] == [True, True]
    assert not any(AnalysisQueue(client, keys, "a1").renew(run) for run in runs)


def test_scripts_that_the_server_forgot_are_given_again(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """In the middle of a campaign, as after a restart of the server; nothing is done twice."""
    queue.proposer.propose_several([candidate("c1"), candidate("c2")])
    lease = leased(queue)
    client.script_flush()
    is_kept, following = queue.leases.finish_and_take(lease, report("w0"), final_frame("c1", 1))
    assert is_kept
    assert following is not None
    assert following.candidate.candidate_id == "c2"
    assert sum(isinstance(event, RunFinished) for event in events(client, keys)) == 1
    client.script_flush()
    analyzer = AnalysisQueue(client, keys, "a0")
    (run,) = analyzer.take_several(4)
    client.script_flush()
    assert analyzer.settle_and_take([settlement(run, TWIST)], 4) == []
    assert [event.candidate.candidate_id for event in events(client, keys) if isinstance(event, Result)] == ["c1"]
