"""What a broker, its Redis and its queue must take: slow predecessors, odd folders, pauses and jumping clocks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import redis

from moireloop_broker.connection import free_port, new_password
from moireloop_broker.contract.events import Candidate
from moireloop_broker.service import redis_server as redis_server_module
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.service.server_programs import RedisUnavailable
from moireloop_broker.state import lease_watch
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import open_client
from moireloop_broker.state.work_queue.leases import Lease
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue


def private_server(folder: Path) -> RedisServer:
    return RedisServer(folder, "127.0.0.1", free_port("127.0.0.1"), new_password())


def leased(queue: WholeQueue, candidate_id: str = "c1") -> Lease:
    queue.propose(Candidate(candidate_id=candidate_id, parameters={"temperature_k": 1.0}, seed=0, proposed_s=1.0))
    lease = queue.take("w0", 1.0)
    assert lease is not None
    return lease


def test_two_servers_never_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server on another port does not open the append-only file before the first has ended."""
    monkeypatch.setattr(redis_server_module, "STOP_S", 0.2)
    first, second = private_server(tmp_path), private_server(tmp_path)
    first.start()
    with open_client(first.url) as client:
        client.set("written by", "the first")
        with pytest.raises(RedisUnavailable, match=r"earlier server \(process \d+\) does not end"):
            second.start()
    first.stop()
    second.start()
    with open_client(second.url) as client:
        assert client.get("written by") == b"the first"
    second.stop()


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "spa ce é%s", "li\nne", "apo'strophe", "#$*?", "[bold]"])
def test_server_starts_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    """Whatever characters the user's folders have, the data go there."""
    server = private_server(tmp_path / name)
    server.start()
    server.stop()
    assert list((tmp_path / name).glob("appendonly*"))


def test_lease_that_only_looks_expired_is_kept(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """After a pause or a jump of the clock a worker has time to renew, and no attempt is used up."""
    lease = leased(queue)
    client.zadd(keys.leases, {"c1": 1.0})
    assert queue.expire_leases(grace_s=0.2) == []
    queue.renew(lease, 10)
    time.sleep(0.25)
    assert queue.expire_leases(grace_s=0.2) == []
    client.zadd(keys.leases, {"c1": 2.0})
    assert queue.expire_leases(grace_s=0.2) == []
    time.sleep(0.25)
    assert queue.expire_leases(grace_s=0.2) == ["c1"]


def test_lease_is_kept_where_who_looks_stood_still_between_two_looks(
    client: redis.Redis, keys: Keys, queue: WholeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease seen expired before a pause of the whole machine gets a new grace period afterwards."""
    monkeypatch.setattr(lease_watch, "LONGEST_GAP_S", 0.1)
    leased(queue)
    client.zadd(keys.leases, {"c1": 1.0})
    assert queue.expire_leases(grace_s=0.2) == []
    time.sleep(0.25)
    assert queue.expire_leases(grace_s=0.2) == []


def test_lease_of_before_the_clock_went_back_lasts_no_longer_than_others(client: redis.Redis, keys: Keys) -> None:
    """Where the server's clock is set back by a day, a worker that is gone is still found after lease_s."""
    queue = WholeQueue(client, keys, lease_s=0.3)
    queue.create()
    leased(queue)
    client.zadd(keys.leases, {"c1": (time.time() + 86400) * 1000})
    assert wait_until(queue.expire_leases, "the lease has expired", 20) == ["c1"]
