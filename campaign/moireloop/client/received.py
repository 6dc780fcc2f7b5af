"""What a client returns: messages with their ids, pages of the log, and the errors instead (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from moireloop_broker.contract.events import Published
from moireloop_broker.contract.message import Message

Topic = str | type[Message]
"""A class of messages, or its topic."""

P = TypeVar("P", bound="Published", covariant=True)


class NotRunning(RuntimeError):
    """Nothing responds at the campaign's control endpoint."""


class RequestRefused(RuntimeError):
    """The broker refused a request; the text has the error's name and its message."""


@dataclass(frozen=True)
class Received(Generic[P]):
    """A message of the log and its id, from which a later call continues."""

    id: str
    message: P

    @property
    def at_s(self) -> float:
        """When it was logged, in seconds since the epoch, by the clock of the campaign's Redis server.

        Ids count milliseconds, so events of the log and observations carry wall time by the same clock.
        """
        return order(self.id)[0] / 1000


@dataclass(frozen=True)
class Page(Generic[P]):
    """A part of the log: its messages, the id after which the next part begins, and whether the log ended there."""

    entries: list[Received[P]]
    last_id: str
    complete: bool


def order(log_id: str) -> tuple[int, int]:
    """The sort key of an id within its stream."""
    milliseconds, number = log_id.split("-")
    return int(milliseconds), int(number)
