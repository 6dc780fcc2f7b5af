"""The last events as they go to every listener: one copy, from which each reads at its own pace (pure)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from moireloop_broker.contract.events import Published, Result
from moireloop_gateway.picture.columns import id_order

MOST_BYTES: Final = 16 * 1024 * 1024

PHASE_TOPIC: Final = "gateway/1"


@dataclass(frozen=True)
class Sent:
    """One message for listeners: its number here, its id where it stands in the log, its topic, its frame."""

    number: int
    log_id: str | None
    topic: str
    frame: bytes


def event_json(event: Published) -> str:
    """An event as JSON. Of results without what makes them large: provenance and the arrays of analyses."""
    if isinstance(event, Result):
        slim = {"report": {"provenance"}, "analyses": {"__all__": {"arrays"}}}
        return event.model_dump_json(exclude=slim)  # type: ignore[arg-type]
    return event.model_dump_json()


def sse_frame(topic: str, data: str, log_id: str | None = None) -> bytes:
    """One server-sent event (html.spec.whatwg.org, 9.2). Without an id the listener's last id stays what it was."""
    lines = [f"id: {log_id}"] if log_id is not None else []
    lines.append(f"event: {topic}")
    lines += [f"data: {line}" for line in data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def log_frame(log_id: str | None, event: Published) -> bytes:
    """The frame of an event of the log, or of an observation, which has no id there."""
    head = f'{{"id":{json.dumps(log_id)},"topic":{json.dumps(event.tag)},"event":'
    return sse_frame(event.tag, f"{head}{event_json(event)}}}", log_id)


class Hub:
    """Keeps the newest messages, at most MOST_BYTES of them. A listener that falls behind replays from the log."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: deque[Sent] = deque()
        self._bytes = 0
        self.next_number = 0
        self.dropped_id = "0-0"
        """Id of the newest message of the log that is not kept any more."""

    def put(self, topic: str, frame: bytes, log_id: str | None) -> None:
        """Add a message."""
        self._kept.append(Sent(self.next_number, log_id, topic, frame))
        self._bytes += len(frame)
        self.next_number += 1
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            gone = self._kept.popleft()
            self._bytes -= len(gone.frame)
            self.dropped_id = gone.log_id or self.dropped_id

    def starts_after(self, log_id: str) -> None:
        """Say that messages up to this id were never put here: every listener goes to the log for them."""
        self._kept.clear()
        self._bytes = 0
        self.next_number += 1
        self.dropped_id = log_id

    def since_number(self, number: int) -> list[Sent] | None:
        """All messages from a number on; None where the first of them are gone."""
        first = self.next_number - len(self._kept)
        if number < first:
            return None
        count = self.next_number - number
        return [] if count <= 0 else list(_last(self._kept, count))

    def since_id(self, log_id: str) -> list[Sent] | None:
        """All messages of the log after an id, and the observations since; None if the first of them are gone."""
        wanted = id_order(log_id)
        if wanted < id_order(self.dropped_id):
            return None
        found: list[Sent] = []
        for sent in reversed(self._kept):
            if sent.log_id is not None and id_order(sent.log_id) <= wanted:
                break
            found.append(sent)
        return found[::-1]


def _last(kept: deque[Sent], count: int) -> Iterable[Sent]:
    newest = [sent for sent, _ in zip(reversed(kept), range(count), strict=False)]
    return reversed(newest)
