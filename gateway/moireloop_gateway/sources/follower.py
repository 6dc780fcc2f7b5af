"""The one subscription to a campaign, in a thread: its services while they run, else what they have left (adapter)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal

from moireloop.client.client import NotRunning, Received, RequestRefused, connect
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.contract.events import Published
from moireloop_broker.contract.topics import LOG_TOPICS, OBSERVATION
from moireloop_gateway.picture.columns import id_order
from moireloop_gateway.sources.stored import Unreadable, stored_events

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient
    from moireloop_gateway.sources.place import Source

Phase = Literal["reading", "live", "silent", "ended", "unreadable"]
"""Reading what has been, following what comes, no answer though it should run, not running, nothing to be read."""

LOOK_EVERY_S: Final = 1.0

UNREADABLE_AGAIN_S: Final = 10.0
"""After which a log that could not be read is tried again: the disk may have room by then."""

TIMEOUT_S: Final = 5.0

BATCH: Final = 200

MOST_WAITING: Final = 4000
"""Published messages that wait for the follower: the log has what is lost."""

Entry = tuple[str, Published]


class Follower(threading.Thread):
    """Hands on each event once, in order, whichever session of the campaign it comes from.

    Args:
        place: the campaign.
        take: called with events in order; `live` is False for those that were there before.
        say: called when the phase changes, with its reason.
    """

    def __init__(
        self, place: Source, take: Callable[[list[Entry], bool], None], say: Callable[[Phase, str], None]
    ) -> None:
        super().__init__(name=f"follow-{place.key}", daemon=True)
        self._place = place
        self._take = take
        self._say = say
        self._last_id = "0-0"
        self._running_since_ms: dict[str, int] = {}
        self._has_read = False
        self._is_unreadable = False
        self._has_ended = False
        self._closing = threading.Event()

    def close(self) -> None:
        """End at the next pause."""
        self._closing.set()

    def run(self) -> None:
        """Follow until closed."""
        while not self._closing.is_set():
            try:
                if self._place.runs():
                    self._follow()
                elif not self._has_read:
                    self._read()
            except (NotRunning, NoConnectionFile, RequestRefused) as error:
                if not self._has_ended:
                    self._say("silent", str(error))
            except Unreadable as error:
                self._is_unreadable = True
                self._say("unreadable", str(error))
                self._closing.wait(UNREADABLE_AGAIN_S)
            self._closing.wait(LOOK_EVERY_S)

    def _follow(self) -> None:
        with connect(self._place.connection_file, timeout_s=TIMEOUT_S) as client:
            if client.status().last_id == self._last_id and self._has_ended:
                return
            self._place.learn(client)
            self._has_read = self._has_ended = self._is_unreadable = False
            self._say("reading", "")
            self._hand_on(client.subscribe(LOG_TOPICS, self._last_id, wait_s=0))
            self._observed_before(client)
            self._say("live", "")
            client.most_waiting = MOST_WAITING
            subscription = client.subscribe([*LOG_TOPICS, OBSERVATION], self._last_id)
            for entry in subscription:
                if entry.message.tag not in LOG_TOPICS:
                    self._take([(entry.id, entry.message)], True)
                elif id_order(entry.id) > id_order(self._last_id):
                    self._read_on(client)
                if self._closing.is_set():
                    return
            if self._place.folder is None and subscription.ended is not None:
                self._has_ended = True
                self._say("ended", "")

    def _read_on(self, client: CampaignClient) -> None:
        """Read the rest of the log: a subscription announces that there is more, the log gives its order."""
        complete = False
        while not complete and not self._closing.is_set():
            page = client.page(self._last_id, limit=BATCH)
            self._take_and_note(page.entries, live=True)
            self._last_id, complete = page.last_id, page.complete

    def _observed_before(self, client: CampaignClient) -> None:
        """What was seen of the runs in progress."""
        if self._running_since_ms:
            since = f"{min(self._running_since_ms.values())}-0"
            for entry in client.subscribe([OBSERVATION], since, wait_s=0):
                self._take([(entry.id, entry.message)], False)

    def _read(self) -> None:
        if self._place.folder is None:
            return
        if not self._is_unreadable:
            self._say("reading", "")
        self._hand_on(Received(log_id, event) for log_id, event in stored_events(self._place.folder, self._last_id))
        self._has_read, self._is_unreadable = True, False
        self._say("ended", "")

    def _hand_on(self, entries: Iterable[Received[Published]]) -> None:
        """Take what was read in batches, also the last one where the services go away while it is read."""
        batch: list[Received[Published]] = []
        try:
            for entry in entries:
                batch.append(entry)
                if len(batch) == BATCH:
                    self._take_and_note(batch, live=False)
                    batch = []
        finally:
            if batch:
                self._take_and_note(batch, live=False)

    def _take_and_note(self, entries: Sequence[Received[Published]], *, live: bool) -> None:
        """What was taken counts as read, and nothing else does."""
        self._take([(entry.id, entry.message) for entry in entries], live)
        for entry in entries:
            self._note(entry)

    def _note(self, entry: Received[Published]) -> None:
        """Remember how far the log was read, and since when runs are in progress."""
        tag = entry.message.tag
        if tag not in LOG_TOPICS:
            return
        self._last_id = entry.id
        name = str(getattr(entry.message, "candidate_id", ""))
        if tag.startswith("run_leased/"):
            self._running_since_ms[name] = int(entry.id.partition("-")[0])
        elif tag.startswith(("run_finished/", "run_failed/")):
            self._running_since_ms.pop(name, None)
