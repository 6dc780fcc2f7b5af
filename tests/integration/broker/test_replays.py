"""Pages of the log as the broker gives them to who replays it."""

from __future__ import annotations

import pytest
import redis

from moireloop_broker.contract.codec import pack, unpack_reply
from moireloop_broker.contract.control import Replay, ReplayEntry, ReplayRequest
from moireloop_broker.contract.events import ServiceChanged
from moireloop_broker.service import replays
from moireloop_broker.service.replays import MAX_REPLAY_BYTES, SLICE, Replays
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys

CHANGED = "service_changed/1"


def grown(client: redis.Redis, keys: Keys, count: int, words: str = "crashed") -> list[str]:
    """So many events of services at the end of the log; returns their ids."""
    log = EventLog(client, keys)
    changes = [ServiceChanged(service=f"s{n}", state="crashed", reason=words, at_s=float(n)) for n in range(count)]
    return [log.append(event) for event in changes]


def answered(pages: Replays, request: ReplayRequest) -> tuple[bytes, int]:
    """A page, and how often the broker could do something else before it was there."""
    *slices, packed = pages.page(request)
    assert packed is not None
    assert set(slices) <= {None}
    return packed, len(slices)


def test_page_is_made_in_slices(client: redis.Redis, keys: Keys) -> None:
    """Long pages leave room for other requests, and have the bytes that the contract says."""
    ids = grown(client, keys, 5 * SLICE)
    packed, slices = answered(Replays(client, keys), ReplayRequest(topics=[CHANGED], limit=3 * SLICE + 1))
    assert slices == 4
    bodies = dict(EventLog(client, keys).replay_packed())
    entries = [ReplayEntry(id=one, topic=CHANGED, body=bodies[one]) for one in ids[: 3 * SLICE]]
    assert packed == pack(Replay(entries=entries, last_id=ids[3 * SLICE - 1], complete=False))


def test_log_is_replayed_whole_whatever_the_pages(client: redis.Redis, keys: Keys) -> None:
    """Each entry comes once, with small pages and with large bodies, asked for once and asked for again."""
    ids = grown(client, keys, 300, "r" * 4000)
    pages = Replays(client, keys)
    for limit in (7, 100, 1000, 1000):
        found, since, complete = [], "0-0", False
        while not complete:
            packed, _ = answered(pages, ReplayRequest(since=since, topics=[CHANGED], limit=limit))
            page = unpack_reply(packed)
            assert isinstance(page, Replay)
            assert sum(len(entry.body) for entry in page.entries) <= MAX_REPLAY_BYTES
            found += [entry.id for entry in page.entries]
            since, complete = page.last_id, page.complete
        assert found == ids


def test_full_page_is_made_once(client: redis.Redis, keys: Keys) -> None:
    """Who asks for the same part of the log again gets the same bytes at once; the end of the log is read again."""
    grown(client, keys, 2 * SLICE)
    pages, request = Replays(client, keys), ReplayRequest(topics=[CHANGED], limit=SLICE)
    first, slices = answered(pages, request)
    assert slices > 0
    assert answered(pages, request) == (first, 0)
    tail = ReplayRequest(since=EventLog(client, keys).last_id(), topics=[CHANGED])
    assert answered(pages, tail)[1] == 1
    grown(client, keys, 1)
    again = unpack_reply(answered(pages, tail)[0])
    assert isinstance(again, Replay)
    assert len(again.entries) == 1


def test_page_of_a_log_that_lost_its_end_is_rebuilt(client: redis.Redis, keys: Keys) -> None:
    """A server that was killed may come back without its newest events: no page tells of them any more."""
    ids = grown(client, keys, SLICE)
    pages, request = Replays(client, keys), ReplayRequest(topics=[CHANGED], limit=SLICE + 1)
    answered(pages, request)
    client.xdel(keys.log, ids[-1])
    page = unpack_reply(answered(pages, request)[0])
    assert isinstance(page, Replay)
    assert [entry.id for entry in page.entries] == ids[:-1]


def test_kept_pages_are_bounded(client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that were asked for longest ago are let go of."""
    ids = grown(client, keys, 40)
    monkeypatch.setattr(replays, "KEPT_BYTES", 5000)
    pages = Replays(client, keys)
    requests = [ReplayRequest(since=since, topics=[CHANGED], limit=10) for since in ids[:30:5]]
    sizes = [len(answered(pages, request)[0]) for request in requests]
    assert sum(sizes) > 5000
    assert [answered(pages, request)[1] for request in requests[-2:]] == [0, 0]
    assert answered(pages, requests[0])[1] == 1
