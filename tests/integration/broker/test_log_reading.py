"""Log and series are read in packed blocks: nothing is lost, double or out of order, whatever the entries are."""

from __future__ import annotations

import msgpack
import pytest
import redis

from moireloop_broker.contract.codec import pack, peeked_tag
from moireloop_broker.contract.events import CampaignChanged, RunLeased, ServiceChanged
from moireloop_broker.contract.message import START
from moireloop_broker.state import event_log, observations
from moireloop_broker.state.event_log import EventLog, LogRolledBack
from moireloop_broker.state.keys import EVENT_FIELD, Keys
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.series import SeriesPoint, pack_point

LEASED = RunLeased.model_fields["tag"].default

CHANGED = CampaignChanged.model_fields["tag"].default

ODD_BODIES = (
    b"",
    b"\xc1",
    b"\x81",
    b"\x81\xa3ta",
    b"\x81\xa3tag\xbf",
    b"\x81\xa3tag\xd9\x0crun_leased/1",
    b"not MessagePack",
    msgpack.packb({"candidate_id": "c1", "tag": LEASED}),
    msgpack.packb({"tag": 5}),
    msgpack.packb({"tag": "of_another_version/9", **{f"field_{number}": number for number in range(40)}}),
)
"""Entries that are no events, or have their tag in another place than ours."""


def lease(number: int) -> RunLeased:
    """One of many events."""
    return RunLeased(candidate_id=f"c{number}", attempt=1, worker="w0", leased_s=float(number))


@pytest.fixture
def mixed(client: redis.Redis, keys: Keys) -> list[tuple[str, bytes]]:
    """Ids and bodies of a log of 260 entries of all kinds, some of which are not ours."""
    events = [
        pack(lease(number)) if number % 3 else pack(CampaignChanged(state="draining", at_s=float(number)))
        for number in range(250)
    ]
    bodies = [*events[:100], *ODD_BODIES, *events[100:]]
    found = []
    client.delete(keys.log)
    for body in bodies:
        added = client.xadd(keys.log, {EVENT_FIELD: body})
        assert isinstance(added, bytes)
        found.append((added.decode(), body))
    return found


@pytest.mark.parametrize("at_once", [1, 7, 100, 5000])
@pytest.mark.parametrize("most_bytes", [1, 2000, 10**7])
def test_every_entry_once_in_order(
    client: redis.Redis, keys: Keys, mixed: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch,
    at_once: int, most_bytes: int,
) -> None:  # fmt: skip
    """However large the blocks are; from the beginning, or after an entry."""
    monkeypatch.setattr(event_log, "AT_ONCE", at_once)
    monkeypatch.setattr(event_log, "BYTES_AT_ONCE", most_bytes)
    log = EventLog(client, keys)
    assert list(log.replay_packed()) == mixed
    assert list(log.replay_packed(mixed[104][0])) == mixed[105:]
    assert list(log.replay_packed(mixed[-1][0])) == []


@pytest.mark.parametrize("tags", [{LEASED}, {CHANGED}, {LEASED, CHANGED}, {"of_another_version/9"}, {"nobody/1"}])
def test_events_of_some_tags(
    client: redis.Redis, keys: Keys, mixed: list[tuple[str, bytes]], tags: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as all entries, of which those with other tags are passed over here and not in the server."""
    monkeypatch.setattr(event_log, "AT_ONCE", 30)
    log, here = EventLog(client, keys), EventLog(client, keys)
    found = list(log.replay(tags=tags))
    wanted = [(entry_id, body) for entry_id, body in mixed if peeked_tag(body) in tags]
    readable = [(entry_id, event) for entry_id, body in wanted if (event := here._readable(entry_id, body)) is not None]
    assert found == readable
    assert log.passed_over == here.passed_over
    assert log.replayed_to == mixed[-1][0]


def test_what_comes_while_the_log_is_read(client: redis.Redis, keys: Keys, mixed: list[tuple[str, bytes]]) -> None:
    """A replay that stopped in the middle goes on after the event that it came to."""
    log = EventLog(client, keys)
    events = log.replay(tags={LEASED})
    stopped_at = [next(events)[0] for _ in range(5)][-1]
    assert log.replayed_to == stopped_at
    log.append(ServiceChanged(service="pool", state="started", at_s=1.0))
    log.append(lease(999))
    later = [event.candidate_id for _, event in log.replay(stopped_at, {LEASED}) if isinstance(event, RunLeased)]
    assert later[-1] == "c999"
    assert len(later) == len([1 for _, body in mixed if peeked_tag(body) == LEASED]) - 5 + 1 - 2


def test_rolled_back_log_is_noticed(client: redis.Redis, keys: Keys, mixed: list[tuple[str, bytes]]) -> None:
    """An entry that was read before and is gone; a place that need not be an entry is none."""
    log = EventLog(client, keys)
    client.xdel(keys.log, mixed[9][0])
    with pytest.raises(LogRolledBack, match=mixed[9][0]):
        list(log.replay(mixed[9][0]))
    assert list(log.replay_packed(mixed[9][0], was_read=False)) == mixed[10:]
    client.delete(keys.log)
    assert list(log.replay_packed(START)) == []


@pytest.mark.parametrize("most_bytes", [1, 300, 10**6])
def test_long_series_are_read_in_parts(
    client: redis.Redis, keys: Keys, most_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt's points once, by step, whatever one round trip takes."""
    monkeypatch.setattr(observations, "BYTES_AT_ONCE", most_bytes)
    monkeypatch.setattr(observations, "SERIES_AT_ONCE", 4)
    expected = {}
    for number in range(11):
        points = [
            SeriesPoint(step, step * 0.004, 300.0, 8.2, 0.05, 0.9, 0.8, None, 10, False, 0.7)
            for step in range(1, number + 2)
        ]
        client.zadd(keys.series(f"c{number}", 1), {pack_point(point): point.step for point in reversed(points)})
        expected[f"c{number}"] = points
    found = list(Observations(client, keys).all_series())
    assert [series.candidate_id for series in found] == sorted(expected)
    assert {series.candidate_id: series.points for series in found} == expected
