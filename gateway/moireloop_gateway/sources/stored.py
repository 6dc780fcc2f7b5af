"""What a campaign that is not running has left: its log, and the series of its runs (adapter)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from moireloop.client.received import Page, Received
from moireloop_gateway.picture.runs import POINT

if TYPE_CHECKING:
    from moireloop_broker.contract.events import Event, Published
    from moireloop_broker.folder import CampaignFolder
    from moireloop_broker.state.event_log import Entry, EventLog

IDLE_S: Final = 10.0
"""After which a server that nobody has read from is ended: long enough for the next page of whoever reads slowly."""


class Unreadable(RuntimeError):
    """The state of a campaign cannot be read; the text says why."""


def stored_events(folder: CampaignFolder, since: str) -> Iterator[tuple[str, Event]]:
    """The events of the log after any id, oldest first. Raises Unreadable."""
    from moireloop.session.records import stored_state

    with _unreadable(), stored_state(folder) as (client, connection):
        yield from connection.event_log(client).replay(since, was_read=False)


class StoredLog:
    """Pages of the log of a campaign that is not running, all from one server; used only in the event loop.

    The server has a copy of the campaign's data. It is ended when nobody has asked for `idle_s` seconds, when the data
    are other ones, and with this process, however that ends.
    """

    def __init__(self, folder: CampaignFolder, idle_s: float = IDLE_S) -> None:
        self._folder = folder
        self._idle_s = idle_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"stored-{folder.root.name}")
        self._open: tuple[contextlib.ExitStack, EventLog, str] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def page(self, since: str, limit: int) -> Page[Published]:
        """Up to `limit` entries after any id, without those that cannot be read. Raises Unreadable."""
        loop = asyncio.get_running_loop()
        self._stop_timer()
        page = self._thread.submit(self._page, since, limit)
        page.add_done_callback(lambda _: self._soon(loop, self._start_timer))
        return await asyncio.wrap_future(page)

    def close(self) -> None:
        """End the server; no more pages are asked for."""
        self._stop_timer()
        self._thread.submit(self._let_go)
        self._thread.shutdown(wait=False)

    @staticmethod
    def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Call in the loop, if that is not over: a page may take longer than who asked for it waits."""
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(call)

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(self._idle_s, self._let_go_in_thread)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _let_go_in_thread(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._thread.submit(self._let_go)

    def _page(self, since: str, limit: int) -> Page[Published]:
        try:
            with _unreadable():
                rows = self._opened().after(since, limit + 1)
        except Unreadable:
            self._let_go()
            raise
        complete, rows = len(rows) <= limit, rows[:limit]
        return Page(_readable(rows), rows[-1][0] if rows else since, complete)

    def _opened(self) -> EventLog:
        """The log on a server that has the data of now."""
        from moireloop.session.records import stored_state
        from moireloop_broker.service.stored_redis import data_mark

        mark = data_mark(self._folder.redis)
        if self._open is not None and self._open[2] != mark:
            self._let_go()
        if self._open is None:
            with contextlib.ExitStack() as stack:
                client, connection = stack.enter_context(stored_state(self._folder))
                self._open = stack.pop_all(), connection.event_log(client), mark
        return self._open[1]

    def _let_go(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            opened[0].close()


def _readable(rows: list[Entry]) -> list[Received[Published]]:
    """The events among entries; the follower has logged which are none."""
    from moireloop_broker.contract.codec import unpack_event
    from moireloop_broker.contract.message import MalformedMessage

    entries: list[Received[Published]] = []
    for log_id, body in rows:
        with contextlib.suppress(MalformedMessage):
            entries.append(Received(log_id, unpack_event(body)))
    return entries


@contextmanager
def _unreadable() -> Iterator[None]:
    """Around what reads stored state: whatever is wrong with it is Unreadable."""
    import redis

    from moireloop.session.records import StateLost
    from moireloop_broker.archive.parts import ArchiveLost
    from moireloop_broker.connection import NoConnectionFile
    from moireloop_broker.service.server_programs import RedisUnavailable

    try:
        yield
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
