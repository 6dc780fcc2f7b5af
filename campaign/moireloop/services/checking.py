"""Whether a service that was started by itself works now, as a health check asks (adapter)."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import redis

from moireloop_broker.connection import NoConnectionFile, read_connection
from moireloop_broker.membership import heartbeats
from moireloop_broker.membership import pools as membership
from moireloop_broker.state.redis_client import open_impatient

ANSWER_S: Final = 2.0


def check_service(kind: str, name: str, connection_file: Path) -> tuple[bool, str]:
    """Whether Redis holds a fresh sign of life of this service, and a line that says so or why not."""
    try:
        connection = read_connection(connection_file)
        with contextlib.closing(open_impatient(connection.redis_url, ANSWER_S)) as client:
            if kind == "workers":
                pool = membership.pools_of(client, connection.keys).get(name)
                seen_s, limit_s = (None if pool is None else pool.seen_s), membership.SILENT_S
            else:
                beat = heartbeats.beats_of(client, connection.keys).get(name)
                seen_s, limit_s = (None if beat is None else beat.seen_s), heartbeats.SILENT_S
            silent_s = None if seen_s is None else membership.server_s(client) - seen_s
    except NoConnectionFile as error:
        return False, f"{name} waits: {error}"
    except (redis.RedisError, OSError) as error:
        return False, f"{name} does not work: the campaign's Redis server does not respond: {error}"
    if silent_s is None:
        return False, f"{name} does not work: nothing was heard of it in this session"
    if silent_s > limit_s:
        return False, f"{name} does not work: silent for {silent_s:.0f} s"
    return True, f"{name} works: heard {max(0.0, silent_s):.1f} s ago"
