"""Pools and services as Redis knows them: names, signs of life, and whose fault a silence is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from moireloop_broker.connection import write_connection
from moireloop_broker.contract.codec import unpack_reply
from moireloop_broker.contract.control import Status, WorkerStatus
from moireloop_broker.contract.events import Candidate, RunFailed, ServiceChanged
from moireloop_broker.membership import endpoints, heartbeats, pool_watch, pools
from moireloop_broker.membership.pool_watch import PoolWatch
from moireloop_broker.membership.pools import PoolMembership, PoolNameTaken, live_workers, pools_of
from moireloop_broker.membership.session import Follower, Reached
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.campaign_state import OF_THE_SERVER, CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.lease_watch import LeaseWatch
from moireloop_broker.state.redis_client import open_client
from tests.helpers.connections import connection_of
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue

SILENT_S = 0.4


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools are silent soon."""
    for module in (pools, pool_watch):
        monkeypatch.setattr(module, "SILENT_S", SILENT_S)
    monkeypatch.setattr(pools, "BEAT_S", 0.05)
    monkeypatch.setattr(pool_watch, "LOST_S", SILENT_S)
    monkeypatch.setattr(pool_watch, "LOOK_EVERY_S", 0.0)


@contextmanager
def beating(server: RedisServer, keys: Keys, pool: str, **fields: Any) -> Iterator[PoolMembership]:
    """A pool that lives."""
    with closing(open_client(server.url)) as client:
        member = PoolMembership(client, keys, pool, **fields)
        member.claim()
        over = threading.Event()

        def beat() -> None:
            while not over.wait(0.05):
                member.beat()

        thread = threading.Thread(target=beat)
        thread.start()
        try:
            yield member
        finally:
            over.set()
            thread.join()


def test_second_live_pool_of_one_name_is_refused(client: redis.Redis, keys: Keys, redis_server: RedisServer) -> None:
    """The text says where the first is; when that one was killed, its name is free after a moment."""
    with (
        beating(redis_server, keys, "night", host="far", workers=3),
        pytest.raises(PoolNameTaken, match="'night', which a pool on far with 3 workers uses"),
    ):
        PoolMembership(client, keys, "night").claim()
    assert live_workers(client, keys) == 3
    second = PoolMembership(client, keys, "night", host="near", workers=1)
    second.claim()
    assert pools_of(client, keys)["night"].host == "near"
    second.leave()
    assert pools_of(client, keys) == {}


def test_pool_that_was_stopped_for_too_long_loses_its_name(client: redis.Redis, keys: Keys) -> None:
    """Whoever has the name now keeps it; an entry that somebody deleted, as a resume does, is made again."""
    first = PoolMembership(client, keys, "night", host="first")
    first.claim()
    client.delete(keys.pools)
    assert first.beat(workers=2)
    second = PoolMembership(client, keys, "night", host="second")
    second.take_over()
    assert not first.beat(workers=1)
    assert pools_of(client, keys)["night"].host == "second"
    first.leave()
    assert "night" in pools_of(client, keys)


def test_pool_keeps_its_name_where_the_server_lost_its_last_word(client: redis.Redis, keys: Keys) -> None:
    """What stands there then is an earlier word of the same process, not a pool that took the name."""
    member = PoolMembership(client, keys, "night")
    member.claim()
    earlier: Any = client.hget(keys.pools, member.pool)
    assert member.beat(workers=2)
    client.hset(keys.pools, member.pool, earlier)
    assert member.beat(workers=1)
    assert pools_of(client, keys)[member.pool].workers == 1
    member.leave()


def test_pool_says_what_fits_when_its_allocation_changes(
    client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The survey is asked now and then; one that fails changes nothing."""
    member = PoolMembership(client, keys, "night", workers=1, room=4)
    member.claim()
    assert member.beat(workers=1, room=lambda: 2)
    assert pools_of(client, keys)["night"].room == 4
    monkeypatch.setattr(pools, "ROOM_EVERY_S", 0.0)
    for found, said in ((2, 2), (None, 2), (8, 8)):
        assert member.beat(workers=1, room=[found].pop)
        assert pools_of(client, keys)["night"].room == said


def expired(client: redis.Redis, keys: Keys, worker: str) -> tuple[PoolWatch, list[RunFailed]]:
    """The end of an attempt whose worker has not renewed its lease, as the log tells it; none where it stands yet."""
    state = CampaignState(client, keys, "test")
    watch = PoolWatch(client, keys, state)
    queue = WholeQueue(client, keys, lease_s=0.1)
    queue.create()
    parameters = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.1}
    queue.propose(Candidate(candidate_id="c0", parameters=parameters, seed=1, proposed_s=1.0))
    assert queue.take(worker, 1.0) is not None
    leases = LeaseWatch(client, keys, lease_s=0.1, judge=watch.judge)
    wait_until(lambda: leases.expire_leases(), "the lease has run out and is judged", 10)
    return watch, [event for _, event in EventLog(client, keys).replay() if isinstance(event, RunFailed)]


def test_worker_that_falls_silent_in_a_live_pool_is_charged(
    client: redis.Redis, keys: Keys, redis_server: RedisServer
) -> None:
    """Its pool was heard of since the lease ran out."""
    with beating(redis_server, keys, "night"):
        _, (failed,) = expired(client, keys, "night-worker-0")
    assert failed.charged
    assert failed.reason.startswith("lease expired")


def test_worker_that_falls_silent_with_its_pool_is_not_charged(client: redis.Redis, keys: Keys) -> None:
    """The allocation is lost, and the event says with which pool and host."""
    PoolMembership(client, keys, "night", host="n17").claim()
    _, (failed,) = expired(client, keys, "night-worker-0")
    assert not failed.charged
    assert failed.reason == "lost with its pool night on n17, which is silent too"


def test_log_tells_which_pools_come_fall_silent_come_back_and_leave(client: redis.Redis, keys: Keys) -> None:
    """Each once; the pool of the session itself is the conductor's to tell."""
    state = CampaignState(client, keys, "test")
    watch = PoolWatch(client, keys, state)
    PoolMembership(client, keys, "main").claim()
    member = PoolMembership(client, keys, "night", host="n17")
    member.claim()
    watch.look()
    watch.look()
    time.sleep(2 * SILENT_S)
    watch.look()
    PoolWatch(client, keys, state).look()
    assert member.beat()
    watch.look()
    member.leave()
    watch.look()
    events = [event for _, event in EventLog(client, keys).replay()]
    changes = [(event.service, event.state) for event in events if isinstance(event, ServiceChanged)]
    assert changes == [("pool-night", state) for state in ("started", "crashed", "started", "stopped")]
    reasons = [event.reason for event in events if isinstance(event, ServiceChanged) and event.reason]
    assert [reason.partition(";")[2] for reason in reasons] == [" it ran on n17"]


def test_second_service_of_one_name_is_refused(client: redis.Redis, keys: Keys, redis_server: RedisServer) -> None:
    """One that says something while it is watched lives; one that was killed a moment ago does not."""
    heartbeats.say_alive(client, keys, "optimizer")
    over = threading.Event()

    def beat() -> None:
        with closing(open_client(redis_server.url)) as own:
            while not over.wait(0.1):
                heartbeats.say_alive(own, keys, "optimizer")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(heartbeats.ServiceRuns, match="'optimizer', which runs on"):
            heartbeats.refuse_if_alive(client, keys, "optimizer")
    finally:
        over.set()
        thread.join()
    heartbeats.refuse_if_alive(client, keys, "analyzer-0")


def test_endpoints_of_analyzers_that_were_killed_are_forgotten(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that say that they live stay, and those that never said it: earlier versions do not."""
    keys = Keys("forgotten-endpoints")
    monkeypatch.setattr(endpoints, "FORGOTTEN_S", 5.0)
    with closing(open_client(redis_server.url)) as client:
        client.hset(keys.endpoints, mapping=dict.fromkeys(("analyzer-0", "analyzer-1", "analyzer-old"), "ipc://x"))
        heartbeats.say_alive(client, keys, "analyzer-0")
        client.hset(keys.heartbeats, "analyzer-1", json.dumps({"seen_s": pools.server_s(client) - 6.0}))
        watch = endpoints.EndpointWatch(client, keys)
        assert watch.look() == ["analyzer-1"]
        assert set(client.hkeys(keys.endpoints)) == {b"analyzer-0", b"analyzer-old"}
        assert watch.look() == []


def test_resumed_session_has_not_ended_while_it_is_only_starting(redis_server: RedisServer, tmp_path: Path) -> None:
    """The state is still that at which the session before it ended, until the new one is ready."""
    connection = connection_of("resuming", tmp_path, redis_server.url)
    keys, file = connection.keys, tmp_path / "connection.json"
    write_connection(connection, file)
    with closing(open_client(redis_server.url)) as client:
        campaign = CampaignState(client, keys, "resuming")
        campaign.change("stopped")
        client.hset(keys.identity, mapping={"session": "second", "ready": "first"})
        follower = Follower(Reached(connection, "second", "stopped"), file, client)
        assert follower.look() == "goes on"
        campaign.change("resumed")
        client.hset(keys.identity, "ready", "second")
        assert follower.look() == "goes on"
        campaign.change("stopped")
        assert follower.look() == "ended"


def test_packed_status_is_the_status(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """With its workers in the order of their names, each with the time that the server stored last."""
    for name in ("w2", "w1", "w10", "w1"):
        queue.report_worker(WorkerStatus(worker=name, candidate_id="c1", attempt=2, step=7, seen_s=1.0, fault="x"))
    campaign = CampaignState(client, keys, "test")
    status, packed = campaign.status(), unpack_reply(campaign.packed_status())
    assert isinstance(packed, Status)
    assert [worker.worker for worker in packed.workers] == ["w1", "w10", "w2"]
    assert set(OF_THE_SERVER.values()) <= set(packed.counters)
    counters = {name: value for name, value in packed.counters.items() if name not in OF_THE_SERVER.values()}
    assert packed.model_copy(update={"counters": counters}) == status
