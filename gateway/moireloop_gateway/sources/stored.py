"""What a campaign that is not running has left: its log, and the series of its runs (adapter)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from moireloop_gateway.picture.runs import POINT

if TYPE_CHECKING:
    from moireloop_broker.contract.events import Event
    from moireloop_broker.folder import CampaignFolder


class Unreadable(RuntimeError):
    """The state of a campaign cannot be read; the text says why."""


def stored_events(folder: CampaignFolder, since: str) -> Iterator[tuple[str, Event]]:
    """The events of the log after any id, oldest first. Raises Unreadable."""
    import redis

    from moireloop.session.records import StateLost, stored_state
    from moireloop_broker.archive.parts import ArchiveLost
    from moireloop_broker.connection import NoConnectionFile
    from moireloop_broker.service.server_programs import RedisUnavailable

    try:
        with stored_state(folder) as (client, connection):
            yield from connection.event_log(client).replay(since, was_read=False)
    except (StateLost, ArchiveLost, NoConnectionFile, RedisUnavailable, redis.RedisError, OSError) as error:
        raise Unreadable(str(error)) from error


def stored_series(folder: CampaignFolder, candidate_id: str) -> list[dict[str, object]]:
    """The series of each attempt of a candidate, as columns, from the table that the campaign's end has written."""
    try:
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        return []
    wanted = [("candidate_id", "==", candidate_id)]
    try:
        table = parquet.read_table(folder.trajectories_parquet, filters=wanted)
    except (OSError, ValueError):
        return []
    found: dict[int, dict[str, object]] = {}
    for row in table.to_pylist():
        attempt = found.setdefault(
            row["attempt"],
            {
                "candidate_id": candidate_id,
                "attempt": row["attempt"],
                "planned_steps": row["planned_steps"],
                "points": {name: [] for name in POINT},
            },
        )
        points = attempt["points"]
        if isinstance(points, dict):
            for name in POINT:
                points[name].append(row.get(name))
    return list(found.values())
