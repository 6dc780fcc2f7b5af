"""Moves the log's oldest events to files of the archive, part by part (adapter).

An event is dropped from Redis by the script that notes its file, and only when that file was synced and read again. So
a kill at any moment leaves each event in the log or in a file that is noted. A file that was not noted is replaced.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import redis

from moireloop_broker.archive.older_versions import mark_copy
from moireloop_broker.archive.parts import order
from moireloop_broker.archive.writing import ROWS_AT_ONCE, write_part
from moireloop_broker.folder import FOLDER_MODE, CampaignFolder
from moireloop_broker.processes.file_lock import locks_within
from moireloop_broker.state.event_log import Entry, EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.scripts.campaign import CampaignScripts

log = logging.getLogger(__name__)

MOST_EVENTS: Final = 50_000
"""Of one file."""

LEAST_EVENTS: Final = 100

LOCK_NAME: Final = ".lock"

LOCK_S: Final = 10.0


def part_events(kept: int) -> int:
    """How many events are moved at once, given how many are kept."""
    return max(LEAST_EVENTS, min(MOST_EVENTS, kept // 2))


def is_due(events: int, kept: int) -> bool:
    """Whether a log of this length has a part to move."""
    return kept > 0 and events >= kept + part_events(kept)


class Archiver:
    """Archives one campaign's log.

    Args:
        folder: of the archive.
        kept: how many of the newest events stay in Redis.
        rewrites: whether the server is the campaign's own, whose append-only file is rewritten afterwards.
    """

    def __init__(self, client: redis.Redis, keys: Keys, folder: Path, *, kept: int, rewrites: bool) -> None:
        self._client, self._keys, self._folder = client, keys, folder
        self._kept, self._rewrites = kept, rewrites
        self._log = EventLog(client, keys, folder)
        self._scripts = CampaignScripts(client, keys)

    def steps(self) -> Iterator[str]:
        """Move what is due; yields the name of each step after it was done.

        Raises:
            OSError: a file cannot be written.
            ArchiveLost: what was written reads otherwise.
            redis.RedisError: Redis does not respond, or refuses a command.
        """
        moved = False
        with self._alone():
            while is_due(self._length(), self._kept):
                parts = self._log.parts()
                entries = self._published(parts[-1].last if parts else None)
                if entries is None:
                    break
                mark_copy(CampaignFolder(self._folder.parent))
                part = write_part(self._folder, entries)
                yield "written"
                outcome = self._scripts.archive(part, parts[-1] if parts else None)
                if outcome != "archived":
                    log.warning(
                        "part of the log stays in Redis first=%s last=%s reason=%s", part.first, part.last, outcome
                    )
                    break
                log.info("part of the log archived first=%s last=%s events=%d", part.first, part.last, part.events)
                moved = True
                yield "noted"
        if moved and self._rewrites:
            self._rewrite()
            yield "rewritten"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """The archive's lock, without files that an archiver that was killed has begun. Raises OSError."""
        self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        lock = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not locks_within(lock, LOCK_S):
                raise OSError(f"another process archives into {self._folder} and does not end")
            for begun in self._folder.glob(".*.parquet"):
                begun.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def _length(self) -> int:
        return self._client.xlen(self._keys.log)

    def _published(self, since: str | None) -> Iterator[list[Entry]] | None:
        """The log's oldest events, as many as make a part, in blocks; None where the relay is not that far."""
        wanted = part_events(self._kept)
        stored = cast("bytes | None", self._client.hget(self._keys.relay, self._keys.log))
        last = order(stored.decode()) if stored else (0, 0)
        rows = cast("list[tuple[bytes, object]]", self._client.xrange(self._keys.log, count=1))
        if not rows or order(rows[0][0].decode()) > last:
            return None
        return self._blocks(since or "0-0", wanted, last)

    def _blocks(self, since: str, left: int, last: tuple[int, int]) -> Iterator[list[Entry]]:
        while left > 0:
            rows = self._log.after(since, min(left, ROWS_AT_ONCE))
            block = [row for row in rows if order(row[0]) <= last]
            if block:
                yield block
            if len(block) < len(rows) or not rows:
                return
            left, since = left - len(rows), rows[-1][0]

    def _rewrite(self) -> None:
        """Have the append-only file rewritten, without the events that have left; one that is under way will do."""
        try:
            self._client.bgrewriteaof()
        except redis.ResponseError as error:
            log.info("append-only file not rewritten now reason=%s", error)


def reason_of(error: Exception) -> str:
    """Why older events stay in Redis, in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    place = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
    return f"older events stay in Redis and will be moved later: {text}{place}"
