"""A finished run belongs to one analyzer as long as that one is at work on it, however long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from moireloop_analyzer.service import claim_keeper
from moireloop_analyzer.service.claim_keeper import ClaimKeeper
from moireloop_broker.state import analysis_queue
from moireloop_broker.state.analysis_queue import AnalysisQueue, FinishedRun
from moireloop_broker.state.keys import Keys
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import TWIST, candidate, final_frame, leased, report, results

IDLE_S = 0.4


@pytest.fixture
def analyzers(client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> tuple[AnalysisQueue, AnalysisQueue]:
    """Two analyzers for whom a run counts as abandoned after 0.4 s."""
    monkeypatch.setattr(analysis_queue, "UNSETTLED_IDLE_S", IDLE_S)
    monkeypatch.setattr(analysis_queue, "CLAIM_EVERY_S", 0.02)
    return AnalysisQueue(client, keys, "a0"), AnalysisQueue(client, keys, "a1")


@pytest.fixture
def run(queue: WholeQueue, analyzers: tuple[AnalysisQueue, AnalysisQueue]) -> FinishedRun:
    """A finished run in the hands of the first analyzer."""
    queue.propose(candidate())
    queue.finish(leased(queue), report("w0"), final_frame("c1", 1))
    taken = analyzers[0].take(1.0)
    assert taken is not None
    return taken


@pytest.fixture
def keeper(analyzers: tuple[AnalysisQueue, AnalysisQueue]) -> Iterator[ClaimKeeper]:
    made = ClaimKeeper(analyzers[0], period_s=IDLE_S / 8)
    yield made
    made.close()


def test_slow_analysis_is_not_given_to_another(
    client: redis.Redis,
    keys: Keys,
    analyzers: tuple[AnalysisQueue, AnalysisQueue],
    run: FinishedRun,
    keeper: ClaimKeeper,
) -> None:
    """For three times as long as would be abandoned nobody else gets it, and it was delivered once."""
    keeper.hold(run)
    until_s = time.monotonic() + 3 * IDLE_S
    while time.monotonic() < until_s:
        assert analyzers[1].take(0.01) is None
    assert analyzers[0].renew(run)
    assert analyzers[0].settle(run, TWIST)
    assert [result.outcome for result in results(client, keys)] == ["measured"]


def test_abandoned_run_is_given_to_another(
    client: redis.Redis,
    keys: Keys,
    analyzers: tuple[AnalysisQueue, AnalysisQueue],
    run: FinishedRun,
    keeper: ClaimKeeper,
) -> None:
    """Dropped, it goes to the other, for the second time; the first cannot renew it, and there is one result."""
    keeper.hold(run)
    keeper.drop()
    again = wait_until(lambda: analyzers[1].take(0.01), "the other analyzer gets the run", 10)
    assert again.deliveries == 2
    assert not analyzers[0].renew(run)
    assert analyzers[1].settle(again, TWIST)
    assert not analyzers[0].settle(run, TWIST)
    assert len(results(client, keys)) == 1


def test_stuck_analyzer_loses_its_run(
    analyzers: tuple[AnalysisQueue, AnalysisQueue],
    run: FinishedRun,
    keeper: ClaimKeeper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that says again and again that it is at work keeps the run; one that has stopped saying so does not."""
    monkeypatch.setattr(claim_keeper, "LONGEST_S", IDLE_S / 2)
    until_s = time.monotonic() + 3 * IDLE_S
    while time.monotonic() < until_s:
        keeper.hold(run)
        assert analyzers[1].take(0.01) is None
    wait_until(lambda: analyzers[1].take(0.01), "the other analyzer gets the run", 10)
