"""Server-sent events: what stands in the log after an id, and then what comes, without a gap (adapter)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from moireloop.client.client import NotRunning, RequestRefused
from moireloop_gateway.picture.columns import id_order
from moireloop_gateway.picture.hub import PHASE_TOPIC, Sent, log_frame
from moireloop_gateway.sources.stored import Unreadable

if TYPE_CHECKING:
    from moireloop_gateway.sources.followed import Followed

ALIVE_EVERY_S: Final = 10.0

AGAIN_AFTER_MS: Final = 1000

CHUNK_BYTES: Final = 256 * 1024

ALIVE: Final = b": alive\n\n"


async def event_stream(followed: Followed, since: str | None, topics: frozenset[str]) -> AsyncIterator[bytes]:
    """The bytes of one listener's stream, until it leaves or the campaign is let go of.

    Args:
        since: the last id that the listener has; None begins with what comes next.
        topics: those wanted; empty for all.
    """
    yield f"retry: {AGAIN_AFTER_MS}\n\n".encode()
    if since is None and followed.phase == "reading":
        async for part in _read_first(followed, topics):
            yield part
    number = followed.hub.next_number if since is None else -1
    last_id = followed.picture.last_id if since is None else since
    while not followed.closed:
        events = followed.hub.since_number(number) if number >= 0 else None
        if events is None:
            events = followed.hub.since_id(last_id)
        if events is None:
            number = -1
            async for part, reached in _replayed(followed, last_id, topics):
                last_id = reached
                yield part
            continue
        number = followed.hub.next_number
        last_id = next((sent.log_id for sent in reversed(events) if sent.log_id is not None), last_id)
        if events:
            for part in _parts(events, topics):
                yield part
        elif not await followed.wait_for_change(ALIVE_EVERY_S):
            yield ALIVE


async def _read_first(followed: Followed, topics: frozenset[str]) -> AsyncIterator[bytes]:
    """What a listener to what comes next gets while the log is read: that it is over, in the end."""
    said_s = time.monotonic()
    while followed.phase == "reading" and not followed.closed:
        await followed.wait_for_change(ALIVE_EVERY_S)
        if time.monotonic() - said_s >= ALIVE_EVERY_S:
            said_s = time.monotonic()
            yield ALIVE
    if _is_wanted(PHASE_TOPIC, topics):
        yield followed.phase_frame


async def _replayed(followed: Followed, since: str, topics: frozenset[str]) -> AsyncIterator[tuple[bytes, str]]:
    """Events of the log after an id, a page at a time, until the rest is among what is kept; with the id reached."""
    while id_order(since) < id_order(followed.hub.dropped_id) and not followed.closed:
        reached = since
        try:
            page = await followed.page(since)
        except (NotRunning, RequestRefused, Unreadable):
            await followed.wait_for_change(ALIVE_EVERY_S)
            yield b": the log cannot be read now\n\n", since
            continue
        frames = [log_frame(entry.id, entry.message) for entry in page.entries if _is_wanted(entry.message.tag, topics)]
        since = page.last_id
        if page.complete or since == reached:
            since = max(since, followed.hub.dropped_id, key=id_order)
        yield b"".join(frames), since


def _is_wanted(topic: str, topics: frozenset[str]) -> bool:
    return not topics or topic in topics


def _parts(found: list[Sent], topics: frozenset[str]) -> list[bytes]:
    """The frames that are wanted, joined to parts of about CHUNK_BYTES."""
    parts: list[bytes] = []
    frames: list[bytes] = []
    size = 0
    for sent in found:
        if not _is_wanted(sent.topic, topics):
            continue
        frames.append(sent.frame)
        size += len(sent.frame)
        if size > CHUNK_BYTES:
            parts.append(b"".join(frames))
            frames, size = [], 0
    return [*parts, b"".join(frames)] if frames else parts
