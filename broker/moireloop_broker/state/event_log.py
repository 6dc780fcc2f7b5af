"""The event log and the observations: two Redis streams of packed messages (adapter)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import redis

from moireloop_broker.archive.parts import Part, order, preceding, unpacked
from moireloop_broker.archive.reading import Archive
from moireloop_broker.contract.codec import pack, peeked_tag, unpack_event
from moireloop_broker.contract.events import Event
from moireloop_broker.contract.message import START, MalformedMessage, Message
from moireloop_broker.processes.log_limit import LogLimit
from moireloop_broker.state.keys import EVENT_FIELD, Keys
from moireloop_broker.state.redis_client import Command, exchange
from moireloop_broker.state.scripts.campaign import CampaignScripts

log = logging.getLogger(__name__)
log.addFilter(LogLimit())

AT_ONCE: Final = 5000

BYTES_AT_ONCE: Final = 8 * 1024 * 1024

E = TypeVar("E", bound=Message)

Entry = tuple[str, bytes]


class LogRolledBack(RuntimeError):
    """The log has lost events that were read before: its readers must forget them and read it again.

    Redis answers before it has written while an fsync of its append-only file takes long (redis.io/docs, AOF
    persistence, `everysec`), so kill -9 at that moment takes its last commands with it.
    """


class EventLog:
    """Reads the log, and appends the events that change no candidate's state.

    Entries that are no events of the contract are passed over, logged once, and kept in `passed_over` as ids with the
    reason. `replayed_to` is the last entry that the last replay came to, wanted or not; None before the first. A log
    may hold such entries where an earlier version took numbers that the contract has bounded since.

    Older events may lie in the archive. They are read from there, so that a reader does not notice.

    Args:
        archive: its folder; None where it is not known, which a log without an archive does not need.
    """

    def __init__(self, client: redis.Redis, keys: Keys, archive: Path | None = None) -> None:
        self.passed_over: dict[str, str] = {}
        self.replayed_to: str | None = None
        self._client = client
        self._keys = keys
        self._scripts = CampaignScripts(client, keys)
        self._archive = Archive(archive)
        self._parts: list[Part] = []

    def append(self, event: Event) -> str:
        """Write an event; returns its id."""
        return _text(self._client.xadd(self._keys.log, cast("Any", {EVENT_FIELD: pack(event)})))

    def event(self, entry_id: str, kind: type[E]) -> E:
        """One event of the log by its id.

        Raises:
            LogRolledBack: it is gone.
        """
        rows = self._entries(preceding(entry_id), 1, 0)[0]
        event = unpack_event(rows[0][1]) if rows and rows[0][0] == entry_id else None
        if not isinstance(event, kind):
            raise LogRolledBack(f"expected {kind.__name__} as event {entry_id} of the log, got {event!r:.80}")
        return event

    def read(self, since: str = START, limit: int = 1000, block_s: float = 0) -> list[tuple[str, Event]]:
        """Up to `limit` events after the id `since`, oldest first; waits up to `block_s` for the first one.

        Raises:
            LogRolledBack: there is no event `since` (any more).
            ArchiveLost: older events cannot be read.
        """
        rows = self._known(since, limit, block_s)
        events = [(entry_id, event) for entry_id, body in rows if (event := self._readable(entry_id, body))]
        return self.read(rows[-1][0], limit, block_s) if rows and not events else events

    def after(self, since: str, limit: int) -> list[Entry]:
        """Up to `limit` packed entries after an id, which need not be in the log. Raises ArchiveLost."""
        return self._entries(since, limit, 0)[0]

    def has(self, entry_id: str) -> bool:
        """Whether the log has this event. Raises ArchiveLost."""
        return self._entries(entry_id, 1, 0)[1]

    def parts(self) -> list[Part]:
        """The parts of the log that are in the archive, oldest first. Raises ArchiveLost."""
        stored = cast("list[bytes]", self._client.lrange(self._keys.archived, 0, -1))
        self._parts = [unpacked(text) for text in stored]
        return self._parts

    def _known(self, since: str, limit: int, block_s: float) -> list[Entry]:
        rows, is_known = self._entries(since, limit, block_s)
        if not is_known:
            raise LogRolledBack(f"expected event {since} in the log, which was read before; it is gone")
        return rows

    def _entries(self, since: str, limit: int, block_s: float) -> tuple[list[Entry], bool]:
        """Entries after an id, and whether there is an event of this id, in one round trip.

        What is archived is asked for after the log was read: what had left the log by then is in the archive.
        """
        log_key, waiting = self._keys.log, _waiting(block_s)
        commands: list[Command] = [
            ("XREAD", "COUNT", limit, *waiting, "STREAMS", log_key, since),
            ("XRANGE", log_key, since, since),
            ("LRANGE", self._keys.archived, -1, -1),
        ]
        streams, present, newest = cast("tuple[Any, Any, list[bytes]]", _checked(exchange(self._client, commands)))
        rows = _entries_of(streams).get(log_key, [])
        last = unpacked(newest[0]) if newest else None
        if last is None or order(since) >= order(last.last):
            return rows, bool(present) or since == START or (last is not None and since == last.last)
        parts = self._parts if self._parts and self._parts[-1] == last else self.parts()
        is_known = since == START or self._archive.has(parts, since)
        older = self._archive.after(parts, since, limit)
        if len(older) < limit:
            older += self._entries(parts[-1].last, limit - len(older), 0)[0]
        return older, is_known

    def _readable(self, entry_id: str, body: bytes) -> Event | None:
        try:
            return unpack_event(body)
        except MalformedMessage as error:
            if entry_id not in self.passed_over:
                log.warning("log entry skipped id=%s reason=%s", entry_id, error)
            self.passed_over[entry_id] = str(error)
            return None

    def read_streams(
        self, since: Mapping[str, str], limit: int, block_s: float, before: Sequence[Command] = ()
    ) -> dict[str, list[Entry]]:
        """Packed entries of several streams after the given ids.

        Args:
            before: commands that are sent along, in front of the read, in the same round trip.
        """
        command = ("XREAD", "COUNT", limit, *_waiting(block_s), "STREAMS", *since.keys(), *since.values())
        return _entries_of(_checked(exchange(self._client, [*before, command]))[-1])

    def replay(
        self, since: str = START, tags: Collection[str] = (), *, was_read: bool = True
    ) -> Iterator[tuple[str, Event]]:
        """Every event after `since` up to the present end; with `tags`, only events written with one of them.

        Args:
            was_read: whether there must be an event `since`, as it was read before; else it is any place of the log.
        """
        for rows, reached in self._blocks(since, tags, was_read=was_read):
            for entry_id, body in rows:
                self.replayed_to = entry_id
                if not tags or peeked_tag(body) in tags:
                    event = self._readable(entry_id, body)
                    if event is not None:
                        yield entry_id, event
            self.replayed_to = reached

    def replay_packed(self, since: str = START, *, was_read: bool = True) -> Iterator[Entry]:
        """Every entry after `since` as it stands in the log.

        Raises:
            LogRolledBack: there is no event `since` (any more).
            ArchiveLost: older events cannot be read.
        """
        for rows, _ in self._blocks(since, (), was_read=was_read):
            yield from rows

    def _blocks(self, since: str, tags: Collection[str], *, was_read: bool) -> Iterator[tuple[list[Entry], str]]:
        """Entries after an id up to the present end, and the last id that each block came to.

        Entries without one of the tags may be among them.
        """
        while True:
            read = self._scripts.read_log(since, count=AT_ONCE, most_bytes=BYTES_AT_ONCE, tags=tags)
            last = unpacked(read.newest_part) if read.newest_part else None
            is_archived = last is not None and order(since) < order(last.last)
            if last is not None and is_archived:
                rows, reached, is_known = self._archived(last, since)
            else:
                rows, reached = read.entries, read.reached
                is_known = read.is_present or since == START or (last is not None and since == last.last)
            if was_read and not is_known:
                raise LogRolledBack(f"expected event {since} in the log, which was read before; it is gone")
            if reached != since:
                yield rows, reached
            if read.at_end and not is_archived:
                return
            since, was_read = reached, False

    def _archived(self, last: Part, since: str) -> tuple[list[Entry], str, bool]:
        """Archived entries after an id, the id reached, and whether there is an archived entry of the first id."""
        parts = self._parts if self._parts and self._parts[-1] == last else self.parts()
        is_known = since == START or self._archive.has(parts, since)
        rows = self._archive.after(parts, since, AT_ONCE)
        return rows, rows[-1][0] if rows else last.last, is_known

    def last_id(self) -> str:
        """Id of the newest event, "0-0" when there is none."""
        newest: Any = self._client.xrevrange(self._keys.log, count=1)
        return _text(newest[0][0]) if newest else START


def _waiting(block_s: float) -> Command:
    return ("BLOCK", max(1, round(block_s * 1000))) if block_s > 0 else ()


def _checked(replies: list[object]) -> list[object]:
    """The replies. Raises redis.RedisError where one of them is an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _entries_of(reply: object) -> dict[str, list[Entry]]:
    """What XREAD has returned, by stream."""
    streams = cast("list[tuple[bytes, list[tuple[bytes, list[bytes]]]]]", reply or [])
    return {_text(stream): [(_text(i), _body(fields)) for i, fields in rows] for stream, rows in streams}


def _body(fields: list[bytes]) -> bytes:
    """The event of an entry, whose names and values stand by turns; empty where there is none."""
    return (
        fields[1]
        if fields[0] == EVENT_FIELD
        else dict(zip(fields[::2], fields[1::2], strict=True)).get(EVENT_FIELD, b"")
    )


def _text(value: Any) -> str:
    text: str = value.decode() if isinstance(value, bytes) else value
    return text
