"""The client's protocol without I/O: one implementation for blocking and for asyncio programs (pure).

A talk is a generator. It yields requests, and is sent the reply; it yields `Wait`, and is sent the parts of the next
published message, or None if none comes in time; and it yields `Received` entries, which are for the caller.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeAlias, cast

from moireloop.client import requests
from moireloop.client.received import NotRunning, Page, Received, order
from moireloop_broker.contract.codec import unpack_as, unpack_published
from moireloop_broker.contract.control import Replay, Reply, Request, Stamp, Status, StatusRequest
from moireloop_broker.contract.events import CampaignChanged, Published, Result
from moireloop_broker.contract.message import MalformedMessage
from moireloop_broker.contract.topics import OBSERVED_TOPICS, topic_named

RESULT: Final[str] = Result.model_fields["tag"].default

CHANGED: Final[str] = CampaignChanged.model_fields["tag"].default

ENDS: Final = ("stopped", "completed")

ASK_AGAIN_AFTER_S: Final = 2.0

PAGE: Final = 1000


@dataclass(frozen=True)
class Wait:
    """Asks for the next published message within `seconds`."""

    seconds: float


Entry: TypeAlias = Received[Published]

Talk: TypeAlias = Generator[Request | Wait | Entry, Any, Any]
"""It is sent a Reply for a request, a list of parts or None for a Wait, and nothing for an entry."""


def page_of(reply: Reply) -> Page[Published]:
    """The page in a reply to a replay request; entries that are not messages of this version are passed over."""
    replay = cast("Replay", reply)
    entries = []
    for entry in replay.entries:
        with contextlib.suppress(MalformedMessage):
            entries.append(Received(entry.id, unpack_published(entry.body)))
    return Page(entries, replay.last_id, replay.complete)


def replayed(since: str, topics: list[str]) -> Talk:
    """Yields every message of these topics after `since`; returns the id of the log's end."""
    while True:
        page = page_of((yield requests.replay(since, PAGE, topics)))
        yield from page.entries
        since = page.last_id
        if page.complete:
            return since


def result_of(candidate_id: str, subscription: Talk) -> Talk:
    """Yields the result of a candidate, or nothing if the subscription ends first."""
    answer = None
    while True:
        try:
            wish = subscription.send(answer)
        except StopIteration:
            return
        answer = None
        if not isinstance(wish, Received):
            answer = yield wish
        elif isinstance(wish.message, Result) and wish.message.candidate.candidate_id == candidate_id:
            yield wish
            return


class Following:
    """A subscription: each message once and in order, missed ones replayed, until the campaign ends.

    If messages were lost on their way, messages of another topic may come before them.

    Args:
        topics: classes of messages or topics.
        since: the id after which to begin; None begins with the next message.
        wait_s: seconds without a message after which the subscription ends.
        limit_s: seconds after which it ends in any case.
    """

    def __init__(self, topics: Iterable[Any], since: str | None, wait_s: float, limit_s: float = math.inf) -> None:
        self.ended: CampaignChanged | None = None
        self._wanted = frozenset(topic_named(topic) for topic in topics)
        if since is not None:
            requests.replay(since, 1, [])
        self._since, self._wait_s, self._limit_s = since, wait_s, limit_s
        of_log = sorted(self._wanted - OBSERVED_TOPICS | {CHANGED})
        observed = sorted(self._wanted & OBSERVED_TOPICS)
        self._streams = [stream for stream in (of_log, observed) if stream]
        self._last: dict[str, str] = {}
        self._changed: CampaignChanged | None = None

    @property
    def topics(self) -> list[str]:
        """The topics to subscribe to: the wanted ones, and the topic that announces the end."""
        return [topic for stream in self._streams for topic in stream]

    def without_result(self, candidate_id: str, timeout_s: float) -> NotRunning | TimeoutError:
        """The error when a wait for a candidate's result ended, with the campaign or by time."""
        if self.ended is not None:
            return NotRunning(f"the campaign is {self.ended.state}, without a result of {candidate_id!r}")
        return TimeoutError(f"expected a result of {candidate_id!r} within {timeout_s:g} s, got none")

    def talk(self) -> Talk:
        """The whole subscription."""
        began_s = heard_s = monotonic()
        if self._since is None:
            status = cast("Status", (yield StatusRequest()))
            self._last.update(dict.fromkeys(self._streams[0], status.last_id))
        else:
            self._last.update(dict.fromkeys(self.topics, self._since))
            yield from self._caught_up()
        while (left_s := min(heard_s + self._wait_s, began_s + self._limit_s) - monotonic()) > 0:
            parts = yield Wait(min(ASK_AGAIN_AFTER_S, left_s))
            fresh = yield from (self._caught_up() if parts is None else self._take_message(parts))
            if self.ended is not None:
                yield from self._rest()
                return
            heard_s = monotonic() if fresh else heard_s
            if parts is None and (yield from self._is_over()):
                return

    def _rest(self) -> Talk:
        """The observations that are already in the socket when the end comes."""
        while (parts := (yield Wait(0.0))) is not None:
            yield from self._take_message(parts)

    def _take_message(self, parts: list[bytes]) -> Talk:
        """Take a published message: yield it, pass over an old one, or replay instead if messages are missing.

        Returns whether there was anything new.
        """
        topic, stamp = parts[0].decode(), unpack_as(Stamp, parts[1])
        last = self._last.get(topic)
        if last is not None and order(stamp.id) <= order(last):
            return False
        if last is not None and order(stamp.previous) > order(last):
            return (yield from self._caught_up())
        yield from self._accepted(Received(stamp.id, unpack_published(parts[2])))
        if self._changed is not None and topic == CHANGED and self._changed.state in ENDS:
            self.ended = self._changed
        return True

    def _caught_up(self) -> Talk:
        """Yield everything of the log not yielded so far. Returns whether there was anything."""
        fresh = False
        for stream in self._streams:
            if known := [self._last[topic] for topic in stream if topic in self._last]:
                since = min(known, key=order)
                end, answer = since, None
                talk = replayed(since, stream)
                while True:
                    try:
                        wish = talk.send(answer)
                    except StopIteration as stop:
                        end = stop.value
                        break
                    answer = None
                    if not isinstance(wish, Received):
                        answer = yield wish
                    elif order(wish.id) > order(self._last.get(wish.message.tag, since)):
                        fresh = True
                        yield from self._accepted(wish)
                self._last.update({topic: max(end, self._last.get(topic, end), key=order) for topic in stream})
        return fresh

    def _accepted(self, entry: Entry) -> Talk:
        self._last[entry.message.tag] = entry.id
        if isinstance(entry.message, CampaignChanged):
            self._changed = entry.message
        if entry.message.tag in self._wanted:
            yield entry

    def _is_over(self) -> Talk:
        """Whether the campaign had ended before, and nothing came for a while: no other session is beginning."""
        status = cast("Status", (yield StatusRequest()))
        if status.state not in ENDS:
            return False
        at_s = int(status.last_id.split("-")[0]) / 1000
        self.ended = self._changed or CampaignChanged(state=cast("Any", status.state), at_s=at_s)
        return True
