"""Hosts whose clocks differ by minutes: leases and signs of life go by the Redis server's clock alone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
import redis

from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import Measurement
from moireloop_broker.membership.pools import PoolMembership, any_alive, live_workers
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.lease_watch import LeaseWatch
from moireloop_broker.state.redis_client import open_client, server_s
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import candidate, final_frame, leased, report

MINUTES_S = (-600.0, 600.0)

LEASE_S = 0.5

REAL = time.time


@contextlib.contextmanager
def clock(ahead_s: float) -> Iterator[None]:
    """Be on a host whose clock is ahead, for as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: REAL() + ahead_s)
        yield


@pytest.fixture(params=MINUTES_S)
def ahead_s(request: pytest.FixtureRequest) -> float:
    """By how much the clock of the workers' host is ahead of all others."""
    return float(request.param)


@pytest.fixture
def keys(ahead_s: float) -> Keys:
    """A campaign for each."""
    return Keys(f"clocks{ahead_s:g}")


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A connection to the server."""
    with open_client(redis_server.url) as opened:
        yield opened


def test_lease_lasts_as_long_as_it_is_renewed(client: redis.Redis, keys: Keys, ahead_s: float) -> None:
    """A worker whose clock is off holds its lease by renewing it; when it stops, the lease expires, and once."""
    CampaignState(client, keys, "clocks").change("started")
    queue = WholeQueue(client, keys, lease_s=LEASE_S)
    queue.create()
    queue.propose(candidate("c1"))
    watch = LeaseWatch(client, keys, lease_s=LEASE_S)
    with clock(ahead_s):
        lease = leased(queue)
    ends_s = time.monotonic() + 2 * LEASE_S
    while time.monotonic() < ends_s:
        with clock(ahead_s):
            assert queue.renew(lease, 5) is None
        assert watch.expire_leases() == []
    assert wait_until(watch.expire_leases, "the lease expires") == ["c1"]
    assert watch.expire_leases() == []


def test_result_comes_from_hosts_of_different_clocks(client: redis.Redis, keys: Keys, ahead_s: float) -> None:
    """One leases and finishes by its clock, another settles by its own."""
    CampaignState(client, keys, "clocks").change("started")
    queue, finals = WholeQueue(client, keys), AnalysisQueue(client, keys, "a0")
    queue.create()
    queue.propose(candidate("c2"))
    with clock(ahead_s):
        lease = leased(queue)
        queue.finish(lease, report("w0"), final_frame("c2", lease.attempt))
    run = finals.take(1.0)
    assert run is not None
    assert finals.settle(run, Measurement(reason="molten"))
    assert not finals.settle(run, Measurement(reason="molten"))
    assert queue.counts()["refused"] == 1


def test_pool_lives_by_the_servers_clock(client: redis.Redis, keys: Keys, ahead_s: float) -> None:
    """Whoever looks for signs of life compares them to the clock that they were noted by."""
    with clock(ahead_s):
        pool = PoolMembership(client, keys, "far", host="far", launcher="local", workers=3)
        pool.claim()
        assert pool.beat(workers=3)
    assert any_alive(client, keys)
    assert live_workers(client, keys) == 3


def test_worker_is_seen_by_the_servers_clock(client: redis.Redis, keys: Keys, ahead_s: float) -> None:
    """Nobody takes it for silent because its host's clock is behind."""
    with clock(ahead_s):
        WholeQueue(client, keys).report_worker(WorkerStatus(worker="w0", seen_s=time.time()))
    [worker] = CampaignState(client, keys, "clocks").status().workers
    assert abs(worker.seen_s - server_s(client)) < 30
