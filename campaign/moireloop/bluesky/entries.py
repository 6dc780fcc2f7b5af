"""The entries of a campaign, of its log and of what was observed, in the order in which documents are made (adapter).

A running campaign is asked through its client, page by page; a finished one is read from its folder.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moireloop.bluesky.documents import LOG_TOPICS, in_order
from moireloop.client.received import NotRunning, Received, order
from moireloop.client.talks import ENDS
from moireloop_broker.contract.control import Description, ParameterRange
from moireloop_broker.contract.events import CampaignChanged, Observation, Published
from moireloop_broker.contract.message import START, unit_of
from moireloop_broker.contract.steered import wanted_of

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient
    from moireloop.stored import StoredCampaign

LOOK_EVERY_S: Final = 0.2

PATIENCE_S: Final = 60.0
"""How long a broker may be away: it may be killed and come again."""

Entries = list[Received[Published]]


@dataclass(frozen=True)
class Source:
    """A campaign as documents need it: what it searches, and its entries, some at a time."""

    description: Description
    batches: Iterator[Entries]


def running(client: CampaignClient, patience_s: float = PATIENCE_S) -> Source:
    """A campaign that runs, until it ends.

    Raises:
        NotRunning: nothing responds, or for longer than `patience_s` later on.
    """
    return Source(client.describe(), _followed(client, patience_s))


def stored(campaign: StoredCampaign) -> Source:
    """A campaign that is not running, as far as it came."""
    return Source(
        _described(campaign), iter([in_order([*campaign.events(LOG_TOPICS), *campaign.events([Observation])])])
    )


def _followed(client: CampaignClient, patience_s: float) -> Iterator[Entries]:
    """The log is looked at after the observations, and what was found is handed on one look later.

    So all observations are known that are older than an event that is handed on, and all events that are older than
    such an observation.
    """
    log, observed = _Pages(client, LOG_TOPICS), _Pages(client, (Observation,))
    events, frames, is_over = Entries(), Entries(), False
    while True:
        fresh_frames = _patiently(observed.rest, patience_s, is_over)
        fresh_events = _patiently(log.rest, patience_s, is_over)
        until = order(events[-1].id) if events else (0, 0)
        due = [frame for frame in fresh_frames if order(frame.id) <= until]
        yield in_order([*events, *frames, *due])
        if is_over and not fresh_events:
            return
        is_over = _is_end(fresh_events[-1]) if fresh_events else is_over
        events, frames = fresh_events, fresh_frames[len(due) :]
        if not (fresh_events or fresh_frames or is_over):
            time.sleep(LOOK_EVERY_S)


def _is_end(entry: Received[Published]) -> bool:
    return isinstance(entry.message, CampaignChanged) and entry.message.state in ENDS


class _Pages:
    """One of a campaign's two streams, read page by page to its present end."""

    def __init__(self, client: CampaignClient, topics: tuple[Any, ...]) -> None:
        self._client, self._topics, self._since = client, topics, START

    def rest(self) -> Entries:
        """What has come since the last time. Raises NotRunning."""
        entries = Entries()
        since, complete = self._since, False
        while not complete:
            page = self._client.page(since, self._topics)
            entries += page.entries
            since, complete = page.last_id, page.complete
        self._since = since
        return entries


def _patiently(look: Callable[[], Entries], patience_s: float, is_over: bool) -> Entries:
    """The entries that a look finds. It waits for a broker that is away, unless the campaign has ended."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return look()
        except NotRunning:
            if is_over:
                return []
            if time.monotonic() > deadline_s:
                raise


def _described(campaign: StoredCampaign) -> Description:
    """The description that a running campaign would give, without its model's limits and its services' versions."""
    settings: dict[str, Any] = {}
    with contextlib.suppress(FileNotFoundError):  # a session that never came to its services
        settings = campaign.settings
    growth, optimizer = settings.get("growth", {}), settings.get("optimizer", {})
    return Description(
        campaign=campaign.name,
        campaign_id=campaign.id,
        space={
            name: ParameterRange(unit=unit_of(name), low=low, high=high)
            for name, (low, high) in campaign.space.root.items()
        },
        targets=wanted_of(campaign.targets),
        budget_results=campaign.budget.results,
        budget_wall_time_s=campaign.budget.wall_time_s,
        outside_counts=campaign.budget.outside_counts,
        growth_model=str(growth.get("model", "")),
        strategy=str(optimizer.get("strategy", "")),
        versions={},
    )
