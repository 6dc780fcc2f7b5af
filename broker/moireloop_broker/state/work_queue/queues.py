"""The queues of a campaign in Redis, and whether they are served (adapter)."""

from __future__ import annotations

import redis

from moireloop_broker.state.keys import ANALYZERS_GROUP, WORKERS_GROUP, Keys


def create_queues(client: redis.Redis, keys: Keys) -> None:
    """Create the queues of candidates and the queue of final frames; does nothing where they exist."""
    for stream, group in (*((queue, WORKERS_GROUP) for queue in keys.queues), (keys.finals, ANALYZERS_GROUP)):
        try:
            client.xgroup_create(stream, group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


def is_draining(client: redis.Redis, keys: Keys) -> bool:
    """Whether no more candidates are leased: the campaign is paused, drains, stopped or is complete."""
    return client.get(keys.state) not in (b"started", b"resumed")
