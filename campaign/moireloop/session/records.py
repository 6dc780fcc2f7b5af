"""The event log of a campaign: from its services while it runs, else from the state that they have left (adapter).

What speaks to Redis is imported when a server has been started: the server reads meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from moireloop.session.digest import Digest, read_digest
from moireloop.session.history import TAGS, History
from moireloop.session.live import live_history, look
from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.message import START
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import Identity, read_identity
from moireloop_broker.service.stored_redis import has_data, stored_redis
from moireloop_broker.state.keys import Keys

if TYPE_CHECKING:
    import redis

    from moireloop_broker.state.series import Series


class StateLost(RuntimeError):
    """The state of a campaign that was run is not there any more; the text says where it was looked for."""


def records(folder: CampaignFolder) -> tuple[History, list[Series]]:
    """The history of a campaign, whether it runs or not, and the series of its runs."""
    return look(folder, lambda client: (live_history(client), live_series(folder)), stored_records)


@contextmanager
def stored_state(folder: CampaignFolder) -> Iterator[tuple[redis.Redis, Connection]]:
    """A connection to the state of a campaign that is not running, for reading.

    A private server's state is read from a copy of its append-only file. The folder is not written to, nor locked.

    Raises:
        NoConnectionFile: no campaign was ever started in the folder.
        StateLost: the state is gone, or the joined server holds another campaign.
        RedisUnavailable: the append-only file cannot be read.
        redis.RedisError: the joined server does not respond.
    """
    connection = read_connection(folder.connection_file)
    if connection.private_redis:
        refuse_lost_state(folder)
        with stored_redis(folder.redis) as client:
            refuse_lost_log(
                client, connection.keys, f"the append-only file in {folder.redis}", read_identity(folder.root)
            )
            yield client, connection
        return
    from moireloop_broker.state.redis_client import open_reader

    with contextlib.closing(open_reader(connection.redis_url)) as client:
        _refuse_another(client, connection, folder)
        yield client, connection


def refuse_lost_state(folder: CampaignFolder) -> None:
    """Nothing while the state of a private server is there, or was never begun.

    Raises:
        StateLost: the append-only file is gone or empty, though candidates were already evaluated.
    """
    if _has_begun(folder) and not has_data(folder.redis):
        raise StateLost(
            f"the append-only file in {folder.redis} is empty or gone, and with it the campaign's state; "
            f"put it back from a copy, or start again with `moireloop run --fresh`"
        )


def _has_begun(folder: CampaignFolder) -> bool:
    identity = read_identity(folder.root)
    if identity is not None and identity.has_begun:
        return True
    return folder.runs.is_dir() and any(folder.runs.iterdir())


def _refuse_another(client: redis.Redis, connection: Connection, folder: CampaignFolder) -> None:
    identity = read_identity(folder.root)
    stored = cast("bytes | None", client.hget(connection.keys.identity, "id"))
    if identity is not None and stored is not None and stored.decode() != identity.id:
        raise StateLost(
            f"the Redis server of redis.url holds another campaign of the name {connection.campaign!r} than the one "
            f"of {folder.root}; its state is gone from there"
        )
    refuse_lost_log(client, connection.keys, "the Redis server of redis.url", identity)


def refuse_lost_log(client: redis.Redis, keys: Keys, where: str, identity: Identity | None) -> None:
    """Nothing while a server has the log of a campaign that ran on it. Raises StateLost, redis.RedisError.

    Args:
        where: what holds the state, in words.
    """
    if identity is not None and identity.has_begun and not client.exists(keys.log):
        raise StateLost(
            f"{where} no longer has the log of the campaign, which has started; was it emptied, or started without its "
            f"data? Put them back, or start again with `moireloop run --fresh`"
        )


def stored_records(folder: CampaignFolder) -> tuple[History, list[Series]]:
    """The history of a campaign that is not running, and the series of its runs."""
    with stored_state(folder) as (client, connection):
        from moireloop_broker.state.observations import Observations

        return _history(client, connection), list(Observations(client, connection.keys).all_series())


def live_series(folder: CampaignFolder) -> list[Series]:
    """The series of the runs of a campaign that runs now. Raises redis.RedisError."""
    from moireloop_broker.state.observations import Observations
    from moireloop_broker.state.redis_client import open_reader

    connection = read_connection(folder.connection_file)
    with contextlib.closing(open_reader(connection.redis_url)) as client:
        return list(Observations(client, connection.keys).all_series())


def stored_status(folder: CampaignFolder) -> tuple[Status, History]:
    """State of a campaign that is not running, and what a look needs of its history."""
    digest = read_digest(folder)
    if digest is not None and digest.status is not None and digest.is_whole(folder):
        return digest.status, digest.history
    with stored_state(folder) as (client, connection):
        from moireloop_broker.state.campaign_state import CampaignState

        status = CampaignState(client, connection.keys, connection.campaign).status()
        return status, _recent_history(client, connection, digest)


def _recent_history(client: redis.Redis, connection: Connection, digest: Digest | None) -> History:
    from moireloop_broker.state.event_log import LogRolledBack

    if digest is None:
        return _history(client, connection)
    try:
        return _history(client, connection, digest.history, digest.last_id)
    except LogRolledBack:
        return _history(client, connection)


def _history(client: redis.Redis, connection: Connection, before: History | None = None, since: str = START) -> History:
    """The history of everything after the id `since`, appended to the earlier history. Raises LogRolledBack."""
    log, history = connection.event_log(client), before or History()
    for _, event in log.replay(since, TAGS):
        history.note(event)
    history.passed_over = log.passed_over
    return history
