"""What a follower of a campaign has read is handed on, also where the services go away meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop.client.client import NotRunning, Received
from moireloop_broker.contract.events import Published, RunLeased
from moireloop_broker.folder import CampaignFolder
from moireloop_gateway.sources.follower import BATCH, Entry, Follower
from moireloop_gateway.sources.place import Place

EVENTS = 2 * BATCH + 50

GOES_AT = BATCH + 17


def log_after(last_id: str, until: int) -> Iterator[Received[Published]]:
    """The log's events after an id, whose reading ends with the services at `until`."""
    for number in range(int(last_id.partition("-")[0]) + 1, EVENTS + 1):
        if number > until:
            raise NotRunning("the broker is gone")
        event = RunLeased(candidate_id=f"c{number}", attempt=1, worker="w0", leased_s=float(number))
        yield Received(f"{number}-0", event)


def test_reading_goes_on_where_the_services_went_away(tmp_path: Path) -> None:
    """Each event once, in order: the events of a partly filled batch are not lost."""
    taken: list[str] = []

    def take(entries: list[Entry], live: bool) -> None:
        assert not live
        taken.extend(log_id for log_id, _ in entries)

    follower = Follower(Place("demo", CampaignFolder(tmp_path)), take, lambda phase, words: None)
    with pytest.raises(NotRunning):
        follower._hand_on(log_after(follower._last_id, GOES_AT))
    follower._hand_on(log_after(follower._last_id, EVENTS))
    assert taken == [f"{number}-0" for number in range(1, EVENTS + 1)]
