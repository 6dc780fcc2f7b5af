"""Redis against a campaign: keys that somebody else deletes or overwrites, and commands that are refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import redis

from moireloop_broker.connection import free_port, new_password
from moireloop_broker.contract.events import Candidate
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.service.state_watch import ALWAYS, PERSISTS_S, REFUSED_S, StateWatch
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import KEYS, Keys
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from tests.helpers.whole_queue import WholeQueue

NAMES = [spec.name for spec in KEYS]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of this module's own, which may be set to refuse."""
    made = RedisServer(tmp_path_factory.mktemp("redis"), "127.0.0.1", free_port("127.0.0.1"), new_password())
    made.start()
    yield made
    made.stop()


_numbers = itertools.count()


class Campaign:
    """A campaign with one settled, one running and one queued candidate, and the watch over its keys."""

    def __init__(self, server: RedisServer) -> None:
        self.keys = Keys(f"watched{next(_numbers)}")
        self.client = redis.Redis.from_url(server.url, protocol=2)
        self.queue = WholeQueue(self.client, self.keys, limits=AttemptLimits(max_attempts=1))
        self.queue.create()
        self.state = CampaignState(self.client, self.keys, "watched")
        self.state.change("started")
        self.state.service_changed("pool", "started")
        self.client.hset(self.keys.settings, "budget", "{}")
        self.client.hset(self.keys.identity, "id", "x")
        self.client.hset(self.keys.workers, "w0", b"")
        for number in range(3):
            self.queue.propose(Candidate(candidate_id=f"c{number}", parameters={"t": 1.0}, seed=0, proposed_s=1.0))
        first = self.queue.take("w0", 1.0)
        assert first is not None
        self.queue.fail(first, "of no use")
        assert self.queue.take("w0", 1.0) is not None
        self.watch = StateWatch(self.client, self.keys, server.url, "session")
        self.now_s = 0.0

    def look(self, later_s: float = 1.0) -> str | None:
        """What the watch says so much later."""
        self.now_s += later_s
        try:
            return self.watch.fault(1, self.now_s)
        except redis.RedisError as error:
            return self.watch.refused(error, self.now_s)


@pytest.fixture
def campaign(server: RedisServer) -> Iterator[Campaign]:
    """A campaign in order."""
    made = Campaign(server)
    assert [made.look() for _ in range(3)] == [None, None, None]
    yield made
    made.client.close()


def key_of(name: str, keys: Keys) -> str:
    """A key of the family: the running candidate's."""
    return keys.prefix + name.format(id="c1", attempt=1, worker="w0")


@pytest.mark.parametrize("name", [*ALWAYS, "counts", "leases", "candidate:{id}"])
def test_key_that_is_gone_is_named(name: str, campaign: Campaign) -> None:
    """After a few seconds, in which it could have been a step between two commands."""
    campaign.client.delete(key_of(name, campaign.keys))
    said = [campaign.look() for _ in range(round(PERSISTS_S) + 1)]
    assert said[0] is None
    assert said[-1] is not None
    assert key_of(name, campaign.keys) in said[-1]
    assert "another program" in said[-1]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "final:{id}"])
def test_key_of_another_type_is_named(name: str, campaign: Campaign) -> None:
    """Every key and family that the campaign uses."""
    key = key_of(name, campaign.keys)
    campaign.client.delete(key)
    if dict((spec.name, spec.type) for spec in KEYS)[name] == "string":
        campaign.client.hset(key, "somebody", "else")
    else:
        campaign.client.set(key, "somebody else")
    said = [campaign.look() for _ in range(round(PERSISTS_S) + 2)]
    assert said[-1] is not None
    assert key in said[-1]


@pytest.mark.parametrize("name", ["queue", "queue:again", "finals", "log", "counts"])
def test_key_that_the_next_command_recreates_is_named(name: str, campaign: Campaign) -> None:
    """A stream without its group or its first events, and counts that begin at nothing."""
    campaign.client.delete(key_of(name, campaign.keys))
    campaign.queue.propose(Candidate(candidate_id="c9", parameters={"t": 1.0}, seed=0, proposed_s=1.0))
    campaign.client.xadd(campaign.keys.queue_again, {"id": "c9", "attempt": "1"})
    campaign.client.xadd(campaign.keys.finals, {"id": "c1", "attempt": "1"})
    campaign.client.set(campaign.keys.final_frame("c1"), b"")
    said = [campaign.look() for _ in range(round(PERSISTS_S) + 1)]
    assert said[-1] is not None
    assert key_of(name, campaign.keys) in said[-1]


@pytest.mark.parametrize("name", ["queue", "finals"])
def test_key_that_a_service_recreates_is_named(name: str, campaign: Campaign) -> None:
    """A broker that starts again makes streams with their groups, but what was in them is lost."""
    if name == "finals":
        campaign.client.hincrby(campaign.keys.counts, "analysing", 1)
    campaign.client.delete(key_of(name, campaign.keys))
    campaign.queue.create()
    said = [campaign.look() for _ in range(round(PERSISTS_S) + 1)]
    assert said[-1] is not None
    assert f"{key_of(name, campaign.keys)} has lost candidates" in said[-1]


def test_intermediate_settings_are_not_a_fault(campaign: Campaign) -> None:
    """A key that is back at the next look."""
    kept = campaign.client.dump(campaign.keys.counts)
    assert kept is not None
    campaign.client.delete(campaign.keys.counts)
    assert campaign.look() is None
    campaign.client.restore(campaign.keys.counts, 0, kept)
    assert [campaign.look() for _ in range(6)] == [None] * 6


def password(client: redis.Redis) -> Callable[[], object]:
    """Change the server's password; connections that are open stay so."""
    before = str(client.config_get("requirepass")["requirepass"])
    client.config_set("requirepass", "another")
    return lambda: client.config_set("requirepass", before)


def read_only(client: redis.Redis) -> Callable[[], object]:
    """Make the server a replica of another."""
    client.replicaof("127.0.0.1", free_port("127.0.0.1"))
    return lambda: client.replicaof("NO", "ONE")


def full(client: redis.Redis) -> Callable[[], object]:
    """Leave the server no memory for writing."""
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    return lambda: client.config_set("maxmemory", "0")


@pytest.mark.parametrize(
    ("refuse", "words"), [(password, "password|NOAUTH"), (read_only, "read only"), (full, "maxmemory")]
)
def test_server_that_refuses_is_reported_within_a_minute(
    refuse: Callable[[redis.Redis], Callable[[], object]], words: str, campaign: Campaign, server: RedisServer
) -> None:
    """Its own words are the reason; before that it has time to come back."""
    with redis.Redis.from_url(server.url, protocol=2) as admin:
        mend = refuse(admin)
        try:
            said = [campaign.look(5.0) for _ in range(12)]
        finally:
            mend()
    faults = [text for text in said if text is not None]
    assert said[0] is None
    assert len(faults) >= 12 - REFUSED_S / 5 - 2
    assert any(word.lower() in faults[0].lower() for word in words.split("|"))


def test_server_that_is_away_refuses_nothing(campaign: Campaign) -> None:
    """The broker starts it again, or somebody else does."""
    error = redis.ConnectionError("Connection refused")
    assert [campaign.watch.refused(error, 1000.0 * number) for number in range(3)] == [None] * 3
