"""Every server that is found here carries out each state change alike, and reads what another has written."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha1
from pathlib import Path

import pytest
import redis

from moireloop_broker import state
from moireloop_broker.archive.parts import Part
from moireloop_broker.connection import free_port, new_password
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.events import CampaignChanged, Measurement, Observation, Result
from moireloop_broker.membership.pools import PoolMembership
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.service.stored_redis import stored_redis
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.instructions import Instructions
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.redis_client import open_client
from moireloop_broker.state.scripts.analysis import AnalysisScripts
from moireloop_broker.state.scripts.campaign import CampaignScripts
from moireloop_broker.state.scripts.queue import QueueScripts
from moireloop_broker.state.work_queue.leases import Lease
from tests.helpers.servers import MORE, found_servers
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import TWIST, candidate, final_frame, leased, report

SERVERS = found_servers()
MAJORS = ("redis-server 7", "valkey-server 8", "valkey-server 9")
KEYS = Keys("servers")
OUTCOMES = {"measured": 1, "refused": 1, "failed": 1, "cancelled": 2}

Started = Callable[[str, Path], AbstractContextManager[redis.Redis]]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    """A client of a server of this name, which is the first on the PATH, with its data in a folder."""
    numbers = itertools.count()

    @contextmanager
    def start(name: str, folder: Path) -> Iterator[redis.Redis]:
        path = tmp_path / f"bin{next(numbers)}"
        path.mkdir()
        (path / "redis-server").symlink_to(SERVERS[name])
        monkeypatch.setenv("PATH", str(path))
        server = RedisServer(folder, "127.0.0.1", free_port("127.0.0.1"), new_password())
        server.start()
        try:
            with open_client(server.url) as client:
                yield client
        finally:
            server.stop()

    return start


def all_state_changes(client: redis.Redis) -> None:
    """Each Lua script once at least, each with the answer that it has to give."""
    CampaignState(client, KEYS, "servers").change("started")
    queue, finals = WholeQueue(client, KEYS), AnalysisQueue(client, KEYS, "a0")
    queue.create()
    for name in ("measured", "refused", "failed", "ended", "waiting"):
        assert queue.propose(candidate(name)) == "queued"
        assert queue.propose(candidate(name)) == "known"
    for measurement in (TWIST, Measurement(reason="upper layer is molten")):
        lease = waited_for(queue) if measurement is TWIST else leased(queue)
        assert queue.renew(lease, 5) is None
        Observations(client, KEYS).add(observation(lease.candidate.candidate_id), window=4)
        assert Instructions(client, KEYS).end_early(lease.candidate.candidate_id, 1, "settled", "still", 5) == "ordered"
        assert queue.renew(lease, 6) == "settled"
        queue.finish(lease, report("w0"), final_frame(lease.candidate.candidate_id, 1))
        (run,) = [finals.take(1.0)] if measurement is TWIST else finals.take_several(4)
        assert run is not None
        assert finals.settle(run, measurement)
        assert not finals.settle(run, measurement)
    failing = leased(queue)
    ended = leased(queue, "w1")
    assert queue.fail(failing, "lost", charged=True) == "queued"
    assert queue.cancel("ended", "enough") == "asked"
    assert queue.fail(ended, "cancelled", charged=False) == "cancelled"
    assert queue.cancel("waiting", "enough") == "cancelled"
    client.xreadgroup("workers", "w2", {KEYS.queue: ">"}, count=1)
    assert queue.release_worker("w2", "gone", charged=False) == []
    for answer in ("queued", "failed"):
        assert queue.fail(leased(queue), "lost", charged=True) == answer
    pool = PoolMembership(client, KEYS, "far", host="far", launcher="local", workers=1)
    pool.claim()
    pool.leave()
    queue.report_worker(WorkerStatus(worker="w0", seen_s=0.0))


def waited_for(queue: WholeQueue) -> Lease:
    """The lease of a worker that found the queue empty, and was handed a candidate while it waited."""
    handed = queue.leases._wait("w0", 5.0)
    assert handed is not None
    lease = queue.leases._lease("w0", *handed)
    assert lease is not None
    return lease


def brokers_changes(client: redis.Redis) -> None:
    """What steers the campaign; of an analyzer's, what comes too late."""
    event = pack(CampaignChanged(state="started", reason="again", at_s=1.0))
    steering = CampaignScripts(client, KEYS)
    assert steering.steer(states=["started"], section="budget", value="{}", event=event)
    assert not steering.steer(states=["stopped"], section="budget", value="{}", event=event)
    assert QueueScripts(client, KEYS).prioritise("nobody", place=1, event=event) == "unknown"
    assert AnalysisScripts(client, KEYS).withhold("nobody", attempt=1, event=event) == "late"
    assert steering.submit_pattern("p", digest="d", event=event, most=1)[0] == "logged"
    assert steering.submit_pattern("q", digest="d", event=event, most=1)[0] == "full"
    assert steering.archive(Part("1-0", "2-0", 2, 100), Part("0-1", "0-2", 2, 100)) == "other"


def scripts() -> dict[str, bytes]:
    """The text of each Lua script by the name of its file."""
    folder = Path(state.__file__).parent / "lua"
    return {path.name: path.read_bytes() for path in folder.glob("*.lua")}


def observation(candidate_id: str) -> Observation:
    """What an analyzer saw in a frame of the first attempt."""
    return Observation(candidate_id=candidate_id, attempt=1, step=5, time_ps=0.1, measurement=TWIST)


def state_of(client: redis.Redis) -> tuple[dict[str, int], list[str], list[int]]:
    """What a campaign's state comes to: counts, the log by its tags, and points of each series."""
    log = [event for _, event in EventLog(client, KEYS).replay()]
    results = [event.candidate.candidate_id for event in log if isinstance(event, Result)]
    series = sorted(len(one.points) for one in Observations(client, KEYS).all_series())
    return WholeQueue(client, KEYS).counts(), [*(event.tag for event in log), *results], series


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_carries_out_every_state_change(name: str, started: Started, tmp_path: Path) -> None:
    """All Lua scripts run on it, those that read too, with the same replies, and the counts add up."""
    with started(name, tmp_path / "redis") as client:
        all_state_changes(client)
        brokers_changes(client)
        state_of(client)
        counts = WholeQueue(client, KEYS).counts()
        ran = {
            name: client.script_exists(sha1(text, usedforsecurity=False).hexdigest())[0]
            for name, text in scripts().items()
        }
    assert {outcome: counts[outcome] for outcome in OUTCOMES} == OUTCOMES
    assert sum(counts.values()) == sum(OUTCOMES.values())
    assert len(ran) >= 11
    assert all(ran.values()), ran


@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(SERVERS, 2)])
def test_each_server_reads_what_another_wrote(first: str, second: str, started: Started, tmp_path: Path) -> None:
    """A campaign is resumed where another server is first on the PATH: nothing of its state is lost.

    So too where it is only looked at. Redis 6 would begin with an empty append-only file where a later server wrote
    one; the server that the package brings is taken in its place.
    """
    folder = tmp_path / "redis"
    with started(first, folder) as client:
        all_state_changes(client)
        before = state_of(client)
        client.bgrewriteaof()
    with started(second, folder) as client:
        assert state_of(client) == before
    with stored_redis(folder) as client:
        assert state_of(client) == before


@pytest.mark.parametrize("major", MAJORS)
def test_servers_of_today_are_there(major: str) -> None:
    """Those that a site is likely to have. Where one is not installed, this says how to have it tested too."""
    if not any(name.startswith(f"{major}.") for name in SERVERS):
        pytest.skip(f"no {major} here: put it on the PATH, or name its program in {MORE}")
