"""An order to end a run early reaches the attempt that it was meant for, once, or nobody."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from moireloop_broker.contract.events import EarlyEndOrdered, Measurement, Result
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.instructions import Instructions
from moireloop_broker.state.keys import INSTRUCTIONS_KEPT_S, Keys
from moireloop_broker.state.redis_client import open_reader
from moireloop_broker.state.work_queue.leases import Lease, LeaseLost
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import TWIST, candidate, final_frame, leased, report

WHY = "twist within 0 degrees over 4 frames up to step 8 of 20"
MOLTEN = Measurement(reason="upper layer is molten")


@pytest.fixture
def instructions(client: redis.Redis, keys: Keys) -> Instructions:
    return Instructions(client, keys)


@pytest.fixture
def lease(queue: WholeQueue) -> Lease:
    queue.propose(candidate())
    return leased(queue)


def ordered(client: redis.Redis, keys: Keys) -> list[EarlyEndOrdered]:
    return [event for _, event in EventLog(client, keys).replay() if isinstance(event, EarlyEndOrdered)]


def settled(client: redis.Redis, keys: Keys, measurement: Measurement) -> Result:
    """The result after an analyzer has taken the finished run, found this, and settled it."""
    finished = AnalysisQueue(client, keys, "a0")
    run = finished.take(1.0)
    assert run is not None
    assert finished.settle(run, measurement)
    (result,) = [event for _, event in EventLog(client, keys).replay() if isinstance(event, Result)]
    return result


def test_first_order_counts(
    client: redis.Redis, keys: Keys, queue: WholeQueue, instructions: Instructions, lease: Lease
) -> None:
    """Of two analyzers that decide at once one gives the order; the renewal returns it, and the log has it."""
    assert queue.renew(lease, 1) is None
    assert instructions.end_early("c1", 1, "settled", WHY, 8) == "ordered"
    assert instructions.end_early("c1", 1, "hopeless", "no twist", 9) == "again"
    assert queue.renew(lease, 2) == "settled"
    (event,) = ordered(client, keys)
    assert (event.ending, event.reason, event.step, event.attempt) == ("settled", WHY, 8, 1)


@pytest.mark.parametrize("kind", ["order", "cancel"])
def test_worker_is_woken(
    redis_server: RedisServer, keys: Keys, queue: WholeQueue, instructions: Instructions, lease: Lease, kind: str
) -> None:
    """A worker that waits hears of an order or a cancel within milliseconds, long before its renewal is due."""
    own = open_reader(redis_server.url)
    heard: list[tuple[bool, float]] = []
    began_s = time.monotonic()
    thread = threading.Thread(
        target=lambda: heard.append((Instructions(own, keys).wait("w0", 20.0), time.monotonic() - began_s))
    )
    thread.start()
    if kind == "cancel":
        assert queue.cancel("c1", "not wanted") == "asked"
    else:
        assert instructions.end_early("c1", 1, "settled", WHY, 8) == "ordered"
    thread.join(20)
    own.close()
    ((woken, waited_s),) = heard
    assert woken
    assert waited_s < 5.0
    assert queue.renew(lease, 2) == ("cancelled" if kind == "cancel" else "settled")


def test_word_for_a_dead_worker_goes_away(
    client: redis.Redis, keys: Keys, instructions: Instructions, lease: Lease
) -> None:
    """Nobody takes it: it is one entry that expires by itself."""
    assert instructions.end_early("c1", 1, "settled", WHY, 8) == "ordered"
    assert client.llen(keys.instructions("w0")) == 1
    assert 0 < client.ttl(keys.instructions("w0")) <= INSTRUCTIONS_KEPT_S


def test_next_attempt_does_not_inherit_the_order(
    client: redis.Redis, keys: Keys, queue: WholeQueue, instructions: Instructions, lease: Lease
) -> None:
    """The worker dies after the order: attempt 2 runs on, and its result knows nothing of the order."""
    assert instructions.end_early("c1", 1, "hopeless", "no twist", 8) == "ordered"
    assert queue.release_worker("w0", "killed", charged=True) == ["c1"]
    again = leased(queue, "w1")
    assert queue.renew(again, 5) is None
    with pytest.raises(LeaseLost):
        queue.renew(lease, 9)
    assert instructions.end_early("c1", 1, "settled", WHY, 9) == "late"
    queue.finish(again, report("w1"), final_frame("c1", 2))
    result = settled(client, keys, TWIST)
    assert (result.outcome, result.reason, result.attempt) == ("measured", None, 2)
    assert result.report is not None
    assert result.report.ended == "completed"


def test_second_attempt_may_be_ended_too(queue: WholeQueue, instructions: Instructions, lease: Lease) -> None:
    """An order of the first attempt does not stand in the way of one for the second."""
    assert instructions.end_early("c1", 1, "settled", WHY, 8) == "ordered"
    queue.release_worker("w0", "killed", charged=True)
    again = leased(queue, "w1")
    assert instructions.end_early("c1", 2, "settled", WHY, 8) == "ordered"
    assert queue.renew(again, 9) == "settled"


def test_order_for_a_run_that_is_over_is_late(
    client: redis.Redis, keys: Keys, queue: WholeQueue, instructions: Instructions, lease: Lease
) -> None:
    """The run came to its end by itself first: it stays completed, and there is one result."""
    queue.finish(lease, report("w0"), final_frame("c1", 1))
    assert instructions.end_early("c1", 1, "hopeless", "no twist", 8) == "late"
    assert settled(client, keys, TWIST).reason is None
    assert instructions.end_early("c1", 1, "hopeless", "no twist", 8) == "late"
    assert instructions.end_early("c9", 1, "hopeless", "no twist", 8) == "late"
    assert ordered(client, keys) == []


def test_run_that_ends_with_the_order_under_way_is_completed(
    client: redis.Redis, keys: Keys, queue: WholeQueue, instructions: Instructions, lease: Lease
) -> None:
    """The order was given, but the worker finished before it heard of it: measured as completed."""
    assert instructions.end_early("c1", 1, "hopeless", "no twist", 8) == "ordered"
    queue.finish(lease, report("w0"), final_frame("c1", 1))
    result = settled(client, keys, TWIST)
    assert (result.outcome, result.reason) == ("measured", None)


@pytest.mark.parametrize("ended", ["settled", "hopeless"])
def test_run_that_was_ended_early_is_measured_or_refused(
    client: redis.Redis, keys: Keys, queue: WholeQueue, instructions: Instructions, lease: Lease, ended: str
) -> None:
    """With a twist it is measured, without refused; the reason says why it was ended, and what the analyzer found."""
    assert instructions.end_early("c1", 1, "settled" if ended == "settled" else "hopeless", WHY, 8) == "ordered"
    queue.finish(lease, report("w0", ended), final_frame("c1", 1))
    result = settled(client, keys, TWIST if ended == "settled" else MOLTEN)
    expected = (
        ("measured", f"settled: {WHY}") if ended == "settled" else ("refused", f"hopeless: {WHY}; {MOLTEN.reason}")
    )
    assert (result.outcome, result.reason) == expected


def test_cancel_is_heard_above_an_order(queue: WholeQueue, instructions: Instructions, lease: Lease) -> None:
    """The worker receives what a person asks for, whichever came first."""
    assert instructions.end_early("c1", 1, "settled", WHY, 8) == "ordered"
    assert queue.cancel("c1", "not wanted") == "asked"
    assert queue.renew(lease, 2) == "cancelled"
