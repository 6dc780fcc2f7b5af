"""The event log of a campaign that does not run, from its Redis, started for a moment if it is private (adapter)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from moireloop.session.history import History
from moireloop.session.live import live_history, look
from moireloop.session.lock import locked
from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.contract.control import Status
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.service.private_redis import start_redis
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.redis_client import open_reader
from moireloop_broker.state.series import Series


def records(folder: CampaignFolder) -> tuple[History, list[Series]]:
    """The history of a campaign, whether it runs or not, and the series of its runs."""
    return look(folder, lambda client: (live_history(client), live_series(folder)), stored_records)


@contextmanager
def stored_state(folder: CampaignFolder) -> Iterator[tuple[redis.Redis, Connection]]:
    """A connection to the state of a campaign that nobody runs now; the folder is locked meanwhile.

    Raises:
        NoConnectionFile: no campaign was ever started in the folder.
        CampaignIsRunning: somebody runs it.
    """
    connection = read_connection(folder.connection_file)
    with locked(folder):
        server = start_redis(connection)
        client = open_reader(connection.redis_url)
        try:
            with contextlib.closing(client):
                yield client, connection
        finally:
            if server is not None:
                server.stop()


def stored_records(folder: CampaignFolder) -> tuple[History, list[Series]]:
    """The history of a campaign that does not run, and the series of its runs."""
    with stored_state(folder) as (client, connection):
        return _history(client, connection), list(Observations(client, connection.keys).all_series())


def live_series(folder: CampaignFolder) -> list[Series]:
    """The series of the runs of a campaign that runs now. Raises redis.RedisError."""
    connection = read_connection(folder.connection_file)
    with contextlib.closing(open_reader(connection.redis_url)) as client:
        return list(Observations(client, connection.keys).all_series())


def stored_status(folder: CampaignFolder) -> tuple[Status, History]:
    """State of a campaign that does not run, and its history."""
    with stored_state(folder) as (client, connection):
        return CampaignState(client, connection.keys, connection.campaign).status(), _history(client, connection)


def _history(client: redis.Redis, connection: Connection) -> History:
    return History.of(event for _, event in EventLog(client, connection.keys).replay())
