"""What clients say and wait for, without any I/O: one implementation for blocking and for asyncio programs (pure).

A talk is a generator. It yields requests, of which it wants the reply; `Wait`, of which it wants the parts of the next
published message, or None when none comes for so long; and `Received` entries, which are the caller's.
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
    """Wish for the next published message, for at most so many seconds."""

    seconds: float


Entry: TypeAlias = Received[Published]

Talk: TypeAlias = Generator[Request | Wait | Entry, Any, Any]
"""What it is sent is a Reply to a request, a list of parts or None to a Wait, nothing to an entry."""


def page_of(reply: Reply) -> Page[Published]:
    """The page in a reply to a replay request; entries that are no messages of this version are passed over."""
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
    """Yields the result of a candidate, and nothing where the subscription ends before."""
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
    """A subscription: each message once and in order, what was missed replayed, until the campaign ends.

    Where messages were lost on their way, messages of another topic may come before them.

    Args:
        topics: classes of messages or topics.
        since: the id after which to begin, None for what comes next.
        wait_s: end when nothing has come for so long.
        limit_s: end after so long in any case.
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
        """The topics to subscribe to: those wanted, and the one that tells of the end."""
        return [topic for stream in self._streams for topic in stream]

    def without_result(self, candidate_id: str, timeout_s: float) -> NotRunning | TimeoutError:
        """The error of a wait for a candidate's result that ended, by the campaign's end or by time."""
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
            fresh = yield from (self._caught_up() if parts is None else self._taken(parts))
            if self.ended is not None:
                yield from self._rest()
                return
            heard_s = monotonic() if fresh else heard_s
            if parts is None and (yield from self._is_over()):
                return

    def _rest(self) -> Talk:
        """What is in the socket already when the end comes: observations."""
        while (parts := (yield Wait(0.0))) is not None:
            yield from self._taken(parts)

    def _taken(self, parts: list[bytes]) -> Talk:
        """A published message: it is yielded, passed over if it is old, or replaced by a replay where some are missing.

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
        """Everything of the log that was not yielded yet. Returns whether there was anything."""
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
