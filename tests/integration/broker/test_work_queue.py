"""The work queue keeps its promise: exactly one result per candidate, whatever dies when."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest
import redis

from moireloop_broker.contract.events import Candidate, Event, Measurement, Result, RunReport
from moireloop_broker.contract.frames import Frame, FrameHeader
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from moireloop_broker.state.work_queue.leases import Lease, LeaseLost
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue


def candidate(candidate_id: str = "c1") -> Candidate:
    return Candidate(candidate_id=candidate_id, parameters={"temperature_k": 2000.0}, seed=1, proposed_s=time.time())


def final_frame(candidate_id: str, attempt: int) -> Frame:
    header = FrameHeader(
        candidate_id=candidate_id,
        attempt=attempt,
        step=10,
        time_ps=0.1,
        cell=[[10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 10.0]],
        periodic=[True, True, False],
        shape=[4, 3],
        lattice_types=[1],
        final=True,
    )
    return Frame(header, np.arange(12, dtype=np.float32).reshape(4, 3), np.ones(4, dtype=np.uint8))


def report(worker: str, ended: Any = "completed") -> RunReport:
    return RunReport(
        worker=worker,
        started_s=1.0,
        finished_s=2.0,
        steps=10,
        md_s=0.9,
        frames_sent=7,
        frames_dropped=2,
        planned_steps=20,
        ended=ended,
    )


def leased(queue: WholeQueue, worker: str = "w0") -> Lease:
    lease = queue.take(worker, 1.0)
    assert lease is not None
    return lease


def events(client: redis.Redis, keys: Keys) -> list[Event]:
    return [event for _, event in EventLog(client, keys).replay()]


def tags(client: redis.Redis, keys: Keys) -> list[str]:
    return [event.tag.split("/")[0] for event in events(client, keys)][1:]


def results(client: redis.Redis, keys: Keys) -> list[Result]:
    return [event for event in events(client, keys) if isinstance(event, Result)]


TWIST = Measurement(twist_deg=8.2, signed_deg=-8.2, sigma_deg=0.01)


def test_candidate_gets_one_measured_result(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A candidate that is leased, finished and settled has one result, with every stage's time in order."""
    assert queue.propose(candidate()) == "queued"
    lease = leased(queue)
    queue.finish(lease, report("w0"), final_frame("c1", 1))
    finished = AnalysisQueue(client, keys, "a0")
    run = finished.take(1.0)
    assert run is not None
    np.testing.assert_array_equal(run.frame.positions, final_frame("c1", 1).positions)
    assert finished.settle(run, TWIST)
    assert tags(client, keys) == ["candidate_queued", "run_leased", "run_finished", "result"]
    (result,) = results(client, keys)
    times = result.times
    assert result.outcome == "measured"
    assert result.twist_deg == 8.2
    assert times.queued_s is not None
    assert times.leased_s is not None
    assert times.proposed_s <= times.queued_s <= times.leased_s
    assert queue.counts() == dict.fromkeys(queue.counts(), 0) | {"measured": 1}
    assert client.get(keys.final_frame("c1")) is None


def test_same_candidate_twice_is_one(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """Proposing a known candidate again changes nothing."""
    assert queue.propose(candidate()) == "queued"
    assert queue.propose(candidate()) == "known"
    assert queue.counts()["queued"] == 1
    assert tags(client, keys) == ["candidate_queued"]


def test_settling_twice_writes_one_result(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A second analyzer that settles the same run is refused, and the log has one result."""
    queue.propose(candidate())
    queue.finish(leased(queue), report("w0"), final_frame("c1", 1))
    finished = AnalysisQueue(client, keys, "a0")
    run = finished.take(1.0)
    assert run is not None
    assert finished.settle(run, TWIST)
    assert not AnalysisQueue(client, keys, "a1").settle(run, TWIST)
    assert len(results(client, keys)) == 1


def test_analyzer_that_died_gets_its_run_again(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A run that an analyzer took and never settled is the first that it is given after its restart."""
    queue.propose(candidate())
    queue.finish(leased(queue), report("w0"), final_frame("c1", 1))
    assert AnalysisQueue(client, keys, "a0").take(1.0) is not None
    again = AnalysisQueue(client, keys, "a0").take(0)
    assert again is not None
    assert again.deliveries == 2


def test_dead_workers_candidate_is_leased_to_another(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A worker that is gone loses its lease at once, and the next worker gets attempt 2."""
    queue.propose(candidate())
    lost = leased(queue, "w0")
    assert queue.release_worker("w0", "killed by signal 9", charged=True) == ["c1"]
    again = leased(queue, "w1")
    assert (again.candidate.candidate_id, again.attempt) == ("c1", 2)
    with pytest.raises(LeaseLost):
        queue.renew(lost, 5)
    with pytest.raises(LeaseLost):
        queue.finish(lost, report("w0"), final_frame("c1", 1))
    assert queue.fail(lost, "late") == "stale"


def test_lease_that_is_not_renewed_expires(client: redis.Redis, keys: Keys) -> None:
    """An expired lease ends the attempt; a renewed one does not."""
    queue = WholeQueue(client, keys, lease_s=0.5)
    queue.create()
    queue.propose(candidate("c1"))
    queue.propose(candidate("c2"))
    silent, lively = leased(queue, "w0"), leased(queue, "w1")
    deadline = time.monotonic() + 10
    expired: list[str] = []
    while not expired and time.monotonic() < deadline:
        queue.renew(lively, 1)
        expired = queue.expire_leases()
    assert expired == [silent.candidate.candidate_id]
    assert leased(queue, "w2").attempt == 2


def test_candidate_is_given_up_after_its_attempts(client: redis.Redis, keys: Keys) -> None:
    """A candidate whose every attempt fails becomes one failed result with the last reason."""
    queue = WholeQueue(client, keys, limits=AttemptLimits(max_attempts=2))
    queue.create()
    queue.propose(candidate())
    assert queue.fail(leased(queue), "ERROR: Lost atoms") == "queued"
    assert queue.fail(leased(queue), "ERROR: Lost atoms again") == "failed"
    (result,) = results(client, keys)
    assert (result.outcome, result.reason, result.attempt) == ("failed", "ERROR: Lost atoms again", 2)
    assert queue.take("w0", 0) is None


def test_lost_machine_uses_up_no_attempt(client: redis.Redis, keys: Keys) -> None:
    """Uncharged losses do not count towards max_attempts, but they are bounded too."""
    queue = WholeQueue(client, keys, limits=AttemptLimits(max_attempts=1, max_losses=3))
    queue.create()
    queue.propose(candidate())
    outcomes = [queue.fail(leased(queue), "preempted", charged=False) for _ in range(3)]
    assert outcomes == ["queued", "queued", "failed"]


def test_queued_candidate_is_cancelled_at_once(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """Cancelling a queued candidate settles it, and no worker gets it."""
    queue.propose(candidate())
    assert queue.cancel("c1", "not wanted") == "cancelled"
    assert queue.take("w0", 0) is None
    (result,) = results(client, keys)
    assert (result.outcome, result.reason) == ("cancelled", "not wanted")


def test_running_candidate_learns_of_its_cancel(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A running candidate hears of its cancel when it renews, and its result keeps what was measured."""
    queue.propose(candidate())
    lease = leased(queue)
    assert not queue.renew(lease, 1)
    assert queue.cancel("c1", "hopeless") == "asked"
    assert queue.renew(lease, 2) == "cancelled"
    queue.finish(lease, report("w0", "cancelled"), final_frame("c1", 1))
    finished = AnalysisQueue(client, keys, "a0")
    run = finished.take(1.0)
    assert run is not None
    finished.settle(run, TWIST)
    (result,) = results(client, keys)
    assert (result.outcome, result.twist_deg) == ("cancelled", 8.2)
    assert queue.cancel("c1", "again") == "late"
    assert queue.cancel("c9", "who") == "unknown"


def test_nothing_is_leased_while_the_campaign_drains(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A draining campaign keeps its queue for the resume."""
    queue.propose(candidate())
    campaign = CampaignState(client, keys, "test")
    campaign.change("draining")
    assert queue.take("w0", 0.01) is None
    assert queue.counts()["queued"] == 1
    campaign.change("resumed")
    assert leased(queue).attempt == 1


def test_entry_handed_out_but_never_leased_comes_back(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A worker that died between being handed an entry and leasing it loses nothing."""
    queue.propose(candidate())
    client.xreadgroup("workers", "w0", {keys.queue: ">"}, count=1)
    assert queue.take("w1", 0) is None
    queue.release_worker("w0", "gone", charged=True)
    assert leased(queue, "w1").attempt == 1


def test_finish_whose_reply_was_lost_can_be_repeated(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """The same finish twice, as after a lost connection, is one event and one frame to analyse."""
    queue.propose(candidate())
    lease = leased(queue)
    queue.finish(lease, report("w0"), final_frame("c1", 1))
    queue.finish(lease, report("w0"), final_frame("c1", 1))
    assert tags(client, keys).count("run_finished") == 1
    assert client.xlen(keys.finals) == 1
    assert CampaignState(client, keys, "test").status().counters == {"frames_dropped": 2, "frames_sent": 7}


def held_by(queue: WholeQueue, worker: str, *, among: int = 3) -> Lease:
    """The first of several candidates, leased by a worker; the others wait."""
    for number in range(1, among + 1):
        queue.propose(candidate(f"c{number}"))
    return leased(queue, worker)


def next_of(queue: WholeQueue, count: int) -> list[str]:
    """The candidates that this many workers get now, one after another."""
    return [leased(queue, f"next-{number}").candidate.candidate_id for number in range(count)]


@pytest.mark.parametrize("way", ["given back", "its worker is gone", "its lease expired", "its session is over"])
def test_what_was_lost_goes_on_before_others_begin(client: redis.Redis, keys: Keys, way: str) -> None:
    """A candidate that was given back or lost is leased before all that were never begun, so none stays half done."""
    queue = WholeQueue(client, keys, lease_s=0.5)
    queue.create()
    lease = held_by(queue, "w0")
    if way == "given back":
        queue.fail(lease, "the allocation ends", charged=False)
    elif way == "its worker is gone":
        queue.release_worker("w0", "killed by SIGKILL", charged=True)
    elif way == "its lease expired":
        wait_until(queue.expire_leases, "the lease expired")
    else:
        queue.release_all("the session that ran it has ended")
    assert queue.counts()["queued"] == 3
    assert next_of(queue, 3) == ["c1", "c2", "c3"]


def test_own_error_sends_a_candidate_to_the_end_of_the_queue(queue: WholeQueue) -> None:
    """Nothing of such an attempt is gone on with, so that it need not keep others waiting."""
    queue.fail(held_by(queue, "w0"), "ERROR: Lost atoms")
    assert next_of(queue, 3) == ["c2", "c3", "c1"]


def test_repeatedly_uncharged_candidate_lets_others_pass(queue: WholeQueue) -> None:
    """It goes first, then last: what is wrong with it alone would else keep all others waiting for ever."""
    queue.fail(held_by(queue, "w0"), "No space left on device", charged=False, counted=False)
    again = leased(queue, "w0")
    assert again.candidate.candidate_id == "c1"
    queue.fail(again, "No space left on device", charged=False, counted=False)
    assert next_of(queue, 3) == ["c2", "c3", "c1"]


def test_candidate_that_waits_to_go_on_is_cancelled(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """At once, and no worker gets it, nor does another go with it that has the same id in the other stream."""
    lease = held_by(queue, "w0", among=2)
    queue.fail(lease, "preempted", charged=False)
    waiting = cast("bytes", client.hget(keys.candidate("c1"), "entry"))
    client.xgroup_destroy(keys.queue, "workers")
    client.delete(keys.queue)
    client.xadd(keys.queue, {"id": "c2", "attempt": 1, "queued_s": 1.0}, id=waiting)
    queue.create()
    assert queue.cancel("c1", "not wanted") == "cancelled"
    assert next_of(queue, 1) == ["c2"]
    assert queue.take("w0", 0) is None


def test_entry_that_goes_on_and_was_never_leased_comes_back_first(
    client: redis.Redis, keys: Keys, queue: WholeQueue
) -> None:
    """A worker that died between being handed it and leasing it does not send it behind the others."""
    queue.fail(held_by(queue, "w0", among=2), "preempted", charged=False)
    client.xreadgroup("workers", "w0", {keys.queue_again: ">"}, count=1)
    queue.release_worker("w0", "gone", charged=True)
    assert next_of(queue, 2) == ["c1", "c2"]


def test_who_waits_hears_of_both_queues(queue: WholeQueue) -> None:
    """A worker that waits is woken by what was given back as by what is new."""
    queue.propose(candidate("c1"))
    held = leased(queue, "w0")
    with ThreadPoolExecutor(1) as waiting:
        waiter = waiting.submit(queue.take, "w1", 10.0)
        wait_until(lambda: queue.client.info("clients")["blocked_clients"], "the worker waits")
        queue.watch.release_worker(held.worker, "preempted", charged=False)
        got = waiter.result(10)
    assert got is not None
    assert got.candidate.candidate_id == "c1"


def test_campaign_of_before_the_second_queue_goes_on(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """A folder that an earlier version wrote has one stream, and candidates that say nothing of a second."""
    queue.propose(candidate("c1"))
    queue.propose(candidate("c2"))
    client.delete(keys.queue_again)
    queue.create()
    assert queue.cancel("c1", "not wanted") == "cancelled"
    assert next_of(queue, 1) == ["c2"]


def test_run_outlives_any_number_of_allocations(client: redis.Redis, keys: Keys) -> None:
    """What is given back on request is no loss: a run of weeks goes on first in each of many short jobs."""
    queue = WholeQueue(client, keys, limits=AttemptLimits(max_attempts=1, max_losses=2))
    queue.create()
    lease = held_by(queue, "w0")
    for _ in range(8):
        assert queue.give_back(lease, "the allocation ends") == "queued"
        lease = leased(queue)
        assert lease.candidate.candidate_id == "c1"
    assert lease.attempt == 9
