"""The client for outside programs: results, status, live messages with replay, and requests (adapter).

It needs only the connection file, and talks to the broker's two sockets, never to Redis.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast, overload

import zmq

from moireloop.client.asking import Asking
from moireloop.client.calls import Blocking, Calls, Computed, First, Returns
from moireloop.client.connecting import (
    MOST_WAITING,
    asking,
    connection_of,
    default_name,
    silence,
    subscribed,
    understood,
)
from moireloop.client.html import campaign_html
from moireloop.client.received import NotRunning, Page, Received, RequestRefused, Topic
from moireloop.client.talks import Following, Talk, Wait
from moireloop_broker.connection import ClientConnection
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.control import Reply, Request
from moireloop_broker.contract.events import CampaignChanged, Published, Result
from moireloop_broker.contract.steered import targets_of
from moireloop_broker.contract.steering import SteeringRequest

__all__ = ["CampaignClient", "NotRunning", "Page", "Received", "RequestRefused", "Subscription", "Topic", "connect"]

P = TypeVar("P", bound="Published", covariant=True)

M = TypeVar("M", bound="Published")

T = TypeVar("T")


class Subscription(Generic[P]):
    """Messages as they arrive. It ends with the campaign: `ended` then says how; before that it is None."""

    def __init__(self, following: Following, entries: Generator[Received[Published], None, Any]) -> None:
        self._following = following
        self._entries = entries

    @property
    def ended(self) -> CampaignChanged | None:
        """The event that says how the campaign ended, stopped or completed, and why; None before it ends."""
        return self._following.ended

    def __iter__(self) -> Iterator[Received[P]]:
        return self

    def __next__(self) -> Received[P]:
        return cast("Received[P]", next(self._entries))

    def close(self) -> None:
        """Close the subscription."""
        self._entries.close()


class CampaignClient(Calls, Asking[None], Blocking):
    """A running campaign, seen from outside. Use one instance in one thread.

    Args:
        connection: the content of the connection file.
        timeout_s: how long a request may wait for its reply.
        name: the requester's name in the log; by default user and host.
    """

    def __init__(self, connection: ClientConnection, *, timeout_s: float = 10.0, name: str | None = None) -> None:
        self.name = (connection.name or default_name()) if name is None else name
        self.most_waiting = MOST_WAITING
        self._looked: list[Received[Result]] = []
        self._connection = connection
        self._timeout_s = timeout_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._requests: zmq.Socket[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._context.destroy(linger=0)

    @overload
    def subscribe(self, *, since: str | None = None, wait_s: float = math.inf) -> Subscription[Result]: ...

    @overload
    def subscribe(
        self, topics: Iterable[type[M]], since: str | None = None, *, wait_s: float = math.inf
    ) -> Subscription[M]: ...

    @overload
    def subscribe(
        self, topics: Iterable[Topic], since: str | None = None, *, wait_s: float = math.inf
    ) -> Subscription[Published]: ...

    def subscribe(
        self, topics: Iterable[Topic] = (Result,), since: str | None = None, *, wait_s: float = math.inf
    ) -> Subscription[Any]:
        """Subscribe to messages: each comes once and in order, and missed ones are replayed. Ends with the campaign.

        Args:
            topics: classes of messages, such as Result or Observation, or topics of docs/protocol.md ("result/3").
            since: first replay everything after this id ("0-0": the whole log); None begins with the next message.
            wait_s: seconds without a message after which the subscription ends.

        Raises:
            BadArgument: `since` is not an id.
            NotRunning: the campaign does not respond; raised at the next message.
        """
        following = Following(topics, since, wait_s)
        return Subscription(following, self._drive(following.talk(), following.topics))

    def _repr_html_(self) -> str:
        described, results = self.describe(), [entry.message for entry in self.results()]
        return campaign_html(self.status(), described.budget_results, targets_of(described.targets), results)

    def _carry_out(self, request: SteeringRequest) -> None:
        self._ask(request)

    def _carried_out(self, method: Returns[T]) -> T:
        answer: Any = None
        while True:
            try:
                wish = method.send(answer)
            except StopIteration as end:
                return cast("T", end.value)
            if isinstance(wish, First):
                with closing(self._drive(wish.talk, wish.topics)) as entries:
                    answer = next(entries, None)
            else:
                answer = wish.compute() if isinstance(wish, Computed) else self._ask(wish)

    def _drive(self, talk: Talk, topics: Iterable[str] = ()) -> Generator[Received[Published], None, Any]:
        """Carry out a talk and yield its messages. With topics it has a subscription."""
        socket = self._subscribed(topics) if topics else None
        answer: Any = None
        try:
            while True:
                try:
                    wish = talk.send(answer)
                except StopIteration as end:
                    return end.value
                answer = None
                if isinstance(wish, Received):
                    yield wish
                elif not isinstance(wish, Wait):
                    answer = self._ask(wish)
                elif socket is not None and socket.poll(math.ceil(wish.seconds * 1000)):
                    answer = socket.recv_multipart()
        finally:
            if socket is not None:
                socket.close(linger=0)

    def _subscribed(self, topics: Iterable[str]) -> zmq.Socket[bytes]:
        return subscribed(self._context.socket(zmq.SUB), self._connection, topics, self.most_waiting)

    def _ask(self, request: Request) -> Reply:
        socket = self._requests or self._open_requests()
        socket.send(pack(request))
        if not socket.poll(math.ceil(self._timeout_s * 1000)):
            socket.close(linger=0)
            self._requests = None
            raise silence(self._connection, self._timeout_s)
        return understood(socket.recv())

    def _open_requests(self) -> zmq.Socket[bytes]:
        self._requests = asking(self._context.socket(zmq.REQ), self._connection)
        return self._requests


def connect(connection_file: Path | str, *, timeout_s: float = 10.0, name: str | None = None) -> CampaignClient:
    """Connect to a running campaign, by its connection file or its folder.

    Args:
        timeout_s: how long a request may wait for its reply.
        name: the requester's name in the log; by default user and host.

    Raises:
        NoConnectionFile: the file is missing, readable by others, or malformed; or its folder is a copy, and the file
            would lead to the original's session.
    """
    return CampaignClient(connection_of(connection_file), timeout_s=timeout_s, name=name)
