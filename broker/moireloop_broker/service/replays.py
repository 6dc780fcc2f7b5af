"""Pages of the log for replays: read in slices, passed on as stored in the log, full pages cached (adapter).

A page in progress holds up nothing else for longer than a slice. A full page never changes, since the log is only
appended to. So every client that replays the same part gets the same bytes, packed once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgpack
import redis

from moireloop_broker.contract.codec import EARLIER, peeked_tag
from moireloop_broker.contract.control import Replay, ReplayRequest
from moireloop_broker.contract.topics import LOG_TOPICS, OBSERVED_TOPICS
from moireloop_broker.service.steering import InvalidRequest
from moireloop_broker.state.event_log import Entry, EventLog
from moireloop_broker.state.keys import Keys

MAX_REPLAY_BYTES: Final = 256 * 1024
"""Bytes of bodies in one page; a larger body has its own page. Pages are small: encrypting one holds up replies."""

SLICE: Final = 100
"""Entries that are read at once: about a millisecond."""

KEPT_BYTES: Final = 32 * 1024 * 1024

TAG: Final[str] = Replay.model_fields["tag"].default

_Key: TypeAlias = tuple[str, int, tuple[str, ...]]


class Replays:
    """Makes pages, and keeps the packed full ones that were asked for last."""

    def __init__(self, client: redis.Redis, keys: Keys, archive: Path | None = None) -> None:
        self._keys = keys
        self._log = EventLog(client, keys, archive)
        self._kept: OrderedDict[_Key, tuple[str, bytes]] = OrderedDict()
        self._kept_bytes = 0

    def page(self, request: ReplayRequest) -> Iterator[bytes | None]:
        """None after each slice of the work, and last the packed page.

        Raises:
            InvalidRequest: there is no such topic, or they are of several streams.
        """
        stream = self._stream_of(request)
        key = request.since, request.limit, tuple(sorted(set(request.topics)))
        if stream == self._keys.log and (kept := self._still_true(key)):
            return iter([kept])
        return self._packed_page(stream, key)

    def _stream_of(self, request: ReplayRequest) -> str:
        wanted = frozenset(request.topics)
        if unknown := wanted - LOG_TOPICS - OBSERVED_TOPICS:
            raise InvalidRequest("UnknownTopic", f"expected topics listed in docs/protocol.md, got {sorted(unknown)}")
        observed = sorted(wanted & OBSERVED_TOPICS)
        if observed and wanted - OBSERVED_TOPICS:
            raise InvalidRequest(
                "MixedReplay", f"{' and '.join(observed)} have separate ids: replay them in a separate request"
            )
        return self._keys.observations if observed else self._keys.log

    def _packed_page(self, stream: str, key: _Key) -> Iterator[bytes | None]:
        since, left, topics = key
        entries: list[dict[str, Any]] = []
        size, is_full, at_end = 0, False, False
        while left > 0 and not is_full and not at_end:
            rows = self._rows(stream, since, min(SLICE, left))
            at_end = len(rows) < min(SLICE, left)
            left -= len(rows)
            for entry_id, body in rows:
                if is_full := bool(entries) and size + len(body) > MAX_REPLAY_BYTES:
                    break
                since = entry_id
                topic = _topic(body)
                if topic is not None and (not topics or topic in topics):
                    entries.append({"id": entry_id, "topic": topic, "body": body})
                    size += len(body)
            yield None
        complete = at_end and not is_full
        packed: bytes = msgpack.packb({"tag": TAG, "entries": entries, "last_id": since, "complete": complete})
        if stream == self._keys.log and not complete:
            self._keep(key, since, packed)
        yield packed

    def _rows(self, stream: str, since: str, limit: int) -> list[Entry]:
        if stream == self._keys.log:
            return self._log.after(since, limit)
        return self._log.read_streams({stream: since}, limit, 0).get(stream, [])

    def _still_true(self, key: _Key) -> bytes | None:
        """A kept page, where its last entry is in the log still: a server that came back may have lost the newest."""
        if key not in self._kept:
            return None
        last_id, packed = self._kept[key]
        if not self._log.has(last_id):
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return packed

    def _keep(self, key: _Key, last_id: str, packed: bytes) -> None:
        self._drop(key)
        self._kept[key] = last_id, packed
        self._kept_bytes += len(packed)
        while self._kept_bytes > KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        _, packed = self._kept.pop(key, ("", b""))
        self._kept_bytes -= len(packed)


def _topic(body: bytes) -> str | None:
    """The topic of an entry, from its tag only; None for a foreign tag, whose entry is passed over."""
    tag = peeked_tag(body)
    topic = EARLIER.get(tag, tag)
    return topic if topic in LOG_TOPICS or topic in OBSERVED_TOPICS else None
