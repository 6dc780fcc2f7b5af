"""Every test of the analyzer service has a campaign to itself in the session's Redis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop_broker.connection import Connection
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.settings_store import write_settings
from tests.helpers.connections import connection_of
from tests.helpers.kernels import compiled_kernels
from tests.helpers.whole_queue import WholeQueue

__all__ = ["compiled_kernels"]

_numbers = itertools.count()


@pytest.fixture
def connection(redis_server: RedisServer, tmp_path: Path) -> Iterator[Connection]:
    """A started campaign without early end whose analyzers measure the twist alone."""
    made = connection_of(f"analyzer{next(_numbers)}", tmp_path, redis_server.url)
    client = made.open_redis()
    write_settings(client, made.keys, {"analyzers": {"count": 1}, "early_end": {}, "targets": []})
    CampaignState(client, made.keys, made.campaign).change("started")
    WholeQueue(client, made.keys).create()
    yield made
    client.close()
