"""Every test of the broker has a campaign to itself in the session's Redis."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import KEYS, Keys
from moireloop_broker.state.redis_client import open_reader, responds
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue

_numbers = itertools.count()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    connection = open_reader(redis_server.url)
    yield connection
    connection.close()


@pytest.fixture
def keys(client: redis.Redis) -> Iterator[Keys]:
    """A campaign that has started; at the end no key may be there that has no declared lifetime."""
    names = Keys(f"queue{next(_numbers)}")
    CampaignState(client, names, "test").change("started")
    yield names
    declared = {spec.name.split(":")[0] for spec in KEYS}
    found = {key.decode().removeprefix(names.prefix).split(":")[0] for key in client.scan_iter(f"{names.prefix}*")}
    assert found <= declared


@pytest.fixture
def queue(client: redis.Redis, keys: Keys) -> WholeQueue:
    work_queue = WholeQueue(client, keys)
    work_queue.create()
    return work_queue


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    started = BrokerProcess(tmp_path)
    started.start()
    client = started.connection.open_redis()
    CampaignState(client, started.connection.keys, "test").change("started")
    client.close()
    yield started
    started.kill(signal.SIGTERM)
    wait_until(lambda: not responds(started.connection.redis_url), "Redis ended with its broker")
