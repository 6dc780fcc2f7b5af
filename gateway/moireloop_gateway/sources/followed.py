"""One campaign in the gateway: one picture and one row of events for all viewers (adapter)."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from moireloop.campaign_file.errors import CampaignFileError
from moireloop.client.client import NotRunning, Page, RequestRefused
from moireloop_gateway.picture.columns import id_order
from moireloop_gateway.picture.hub import PHASE_TOPIC, Hub, log_frame, sse_frame
from moireloop_gateway.picture.picture import Picture
from moireloop_gateway.sources.asker import Asker
from moireloop_gateway.sources.follower import Entry, Follower, Phase
from moireloop_gateway.sources.place import Outline, Source
from moireloop_gateway.sources.stored import StoredLog, Unreadable

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient
    from moireloop_broker.contract.control import Status
    from moireloop_broker.contract.events import Published
    from moireloop_broker.contract.search import BudgetSettings, Target

T = TypeVar("T")

STATUS_FRESH_S: Final = 0.5

PAGE: Final = 500

MOST_PENDING: Final = 40
"""Batches that wait for the event loop; the follower waits for it then, so that memory stays bounded."""


class Followed:
    """Follows a campaign from its creation to `close`; used only in the event loop.

    What the follower's thread brings waits in a queue, which the loop empties as a whole.
    """

    def __init__(self, place: Source) -> None:
        self.place = place
        self.picture = Picture()
        self.hub = Hub()
        self.phase: Phase = "reading"
        self.words = ""
        self.outline: Outline | None = None
        self._loop = asyncio.get_running_loop()
        self._pending: deque[tuple[list[Entry], bool] | tuple[Phase, str]] = deque()
        self._scheduled = threading.Event()
        self._changed = asyncio.Event()
        self.closed = False
        self._asker = Asker(place)
        self._stored = None if place.folder is None else StoredLog(place.folder)
        self._status: tuple[float, Status] | None = None
        self._heard: tuple[float, float] | None = None
        self._reload()
        self._follower = Follower(place, self._bring, self._bring_phase)
        self._follower.start()

    def close(self) -> None:
        """Let go of the campaign; its listeners end."""
        self.closed = True
        self._follower.close()
        self._asker.close()
        if self._stored is not None:
            self._stored.close()
        self._wake()

    def _bring(self, entries: list[Entry], live: bool) -> None:
        while len(self._pending) > MOST_PENDING and not self.closed:
            time.sleep(0.002)
        self._pending.append((entries, live))
        self._schedule()

    def _bring_phase(self, phase: Phase, words: str) -> None:
        self._pending.append((phase, words))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled.is_set() and not self._loop.is_closed():
            self._scheduled.set()
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._scheduled.clear()
        while self._pending:
            first, second = self._pending.popleft()
            if isinstance(first, list):
                for log_id, event in first:
                    self._note(log_id, event, live=bool(second))
            else:
                self._enter(first, str(second))
        self._wake()

    def _note(self, log_id: str, event: Published, *, live: bool) -> None:
        if not self.picture.note(log_id, event):
            return
        is_seen = event.tag.startswith(("observation/", "frame_analysed/"))
        if event.tag.startswith("campaign_changed/"):
            self._reload()
        if live and not is_seen:
            self._heard = id_order(log_id)[0] / 1000, time.monotonic()
        if live:
            self.hub.put(event.tag, log_frame(None if is_seen else log_id, event), None if is_seen else log_id)
        elif not is_seen:
            self.hub.starts_after(log_id)

    def _enter(self, phase: Phase, words: str) -> None:
        if self.outline is None:
            self._reload()
        if (phase, words) != (self.phase, self.words):
            self.phase, self.words = phase, words
            self.hub.put(PHASE_TOPIC, self.phase_frame, None)

    @property
    def phase_frame(self) -> bytes:
        """The message about the phase, as listeners get it."""
        return sse_frame(PHASE_TOPIC, json.dumps({"phase": self.phase, "reason": self.words}))

    def _reload(self) -> None:
        """Read the campaign's description again: a resume may have changed it."""
        try:
            self.outline = self.place.outline()
        except (CampaignFileError, OSError, NotRunning):
            self.outline = None

    @property
    def now_s(self) -> float:
        """The present time, in seconds since the epoch, by the campaign's clock, from the first live event on.

        This machine's clock may differ from it, and may be set meanwhile.
        """
        if self._heard is None:
            return time.time()
        logged_s, at_s = self._heard
        return logged_s + time.monotonic() - at_s

    @property
    def targets(self) -> tuple[Target, ...]:
        """The wanted twists, as requests have left them."""
        if self.picture.steered.targets is not None:
            return self.picture.steered.targets
        return () if self.outline is None else self.outline.targets

    @property
    def bounds(self) -> dict[str, tuple[float, float]] | None:
        """The search space, as requests have left it; None while the campaign file cannot be read."""
        if self.outline is None:
            return None
        space = self.picture.steered.space(self.outline.space)
        return {name: (low, high) for name, (low, high) in space.root.items()}

    @property
    def budget(self) -> BudgetSettings | None:
        """The budget, as requests have left it."""
        return None if self.outline is None else self.picture.steered.budget(self.outline.budget)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait_for_change(self, wait_s: float) -> bool:
        """Whether something came within a number of seconds."""
        try:
            await asyncio.wait_for(self._changed.wait(), wait_s)
        except TimeoutError:
            return False
        return True

    async def ask(self, call: Callable[[CampaignClient], T]) -> T:
        """What a call of the client returns. Raises NotRunning, RequestRefused."""
        return await self._asker.ask(call)

    async def status(self) -> Status | None:
        """The services' own word, at most STATUS_FRESH_S old; None while they do not run or do not answer."""
        if self.phase != "live":
            return None
        if self._status is None or time.monotonic() - self._status[0] > STATUS_FRESH_S:
            try:
                self._status = time.monotonic(), await self.ask(lambda client: client.status())
            except (NotRunning, RequestRefused):
                self._status = None
        return self._status[1] if self._status is not None else None

    @property
    def is_read(self) -> bool:
        """Whether the picture has all that the log has, as far as the gateway can know."""
        return self.phase in ("live", "ended")

    async def reading_over(self) -> None:
        """Wait while the log is read from its beginning."""
        while self.phase == "reading" and not self.closed:
            await self.wait_for_change(1.0)

    async def page(self, since: str, limit: int = PAGE) -> Page[Published]:
        """Events of the log after an id, oldest first.

        Raises:
            NotRunning, RequestRefused: as the services have it.
            Unreadable: the campaign does not run, and its state cannot be read.
        """
        await self.reading_over()
        if self.phase in ("live", "silent"):
            return await self.ask(lambda client: client.page(since, limit=limit))
        if self._stored is None:
            raise Unreadable(f"campaign {self.place.key!r} is not running, and {self.place.absent}")
        if self.closed:
            raise Unreadable(f"campaign {self.place.key!r} was let go of; ask again")
        return await self._stored.page(since, limit)

    def settings(self) -> dict[str, Any] | None:
        """The campaign file's settings; None while it cannot be read."""
        return None if self.outline is None else self.outline.settings
