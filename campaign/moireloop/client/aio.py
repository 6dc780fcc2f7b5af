"""The client for programs with asyncio: `async with connect_async(file) as campaign` (adapter)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast, overload

import zmq
import zmq.asyncio

from moireloop.client.asking import Asking
from moireloop.client.calls import Awaited, Calls, Computed, First, Returns
from moireloop.client.connecting import asking, connection_of, default_name, silence, subscribed, understood
from moireloop.client.received import Received, Topic
from moireloop.client.talks import Following, Talk, Wait
from moireloop_broker.connection import ClientConnection
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.control import Reply, Request
from moireloop_broker.contract.events import CampaignChanged, Published, Result
from moireloop_broker.contract.steering import SteeringRequest

P = TypeVar("P", bound="Published", covariant=True)

M = TypeVar("M", bound="Published")

T = TypeVar("T")


class AsyncSubscription(Generic[P]):
    """Messages as they arrive, for `async for`. It ends with the campaign: `ended` then says how; None before."""

    def __init__(self, following: Following, entries: AsyncGenerator[Received[Published], None]) -> None:
        self._following = following
        self._entries = entries

    @property
    def ended(self) -> CampaignChanged | None:
        """The event that says how the campaign ended, stopped or completed, and why; None before it ends."""
        return self._following.ended

    def __aiter__(self) -> AsyncIterator[Received[P]]:
        return self

    async def __anext__(self) -> Received[P]:
        return cast("Received[P]", await anext(self._entries))

    async def aclose(self) -> None:
        """Close the subscription."""
        await self._entries.aclose()


class AsyncCampaignClient(Calls, Asking[Coroutine[Any, Any, None]], Awaited):
    """A running campaign, for programs with asyncio. Requests of several tasks are sent one after another.

    Args:
        connection: what the connection file says.
        timeout_s: how long a request may wait for its answer.
        name: who asks, as the log shall say; by default user and host.
    """

    def __init__(self, connection: ClientConnection, *, timeout_s: float = 10.0, name: str | None = None) -> None:
        self.name = (connection.name or default_name()) if name is None else name
        self._connection = connection
        self._timeout_s = timeout_s
        self._context = zmq.asyncio.Context()
        self._requests: zmq.asyncio.Socket | None = None
        self._turn = asyncio.Lock()
        self._looked: list[Received[Result]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._context.destroy(linger=0)

    @overload
    def subscribe(self, *, since: str | None = None, wait_s: float = math.inf) -> AsyncSubscription[Result]: ...

    @overload
    def subscribe(
        self, topics: Iterable[type[M]], since: str | None = None, *, wait_s: float = math.inf
    ) -> AsyncSubscription[M]: ...

    @overload
    def subscribe(
        self, topics: Iterable[Topic], since: str | None = None, *, wait_s: float = math.inf
    ) -> AsyncSubscription[Published]: ...

    def subscribe(
        self, topics: Iterable[Topic] = (Result,), since: str | None = None, *, wait_s: float = math.inf
    ) -> AsyncSubscription[Any]:
        """Subscribe to messages, each once and in order, for `async for`; as `CampaignClient.subscribe`."""
        following = Following(topics, since, wait_s)
        return AsyncSubscription(following, self._drive(following.talk(), following.topics))

    async def _carry_out(self, request: SteeringRequest) -> None:
        await self._ask(request)

    async def _carried_out(self, method: Returns[T]) -> T:
        answer: Any = None
        while True:
            try:
                wish = method.send(answer)
            except StopIteration as end:
                return cast("T", end.value)
            if isinstance(wish, First):
                async with aclosing(self._drive(wish.talk, wish.topics)) as entries:
                    answer = await anext(entries, None)
            elif isinstance(wish, Computed):
                answer = await asyncio.to_thread(wish.compute)
            else:
                answer = await self._ask(wish)

    async def _drive(self, talk: Talk, topics: Iterable[str] = ()) -> AsyncGenerator[Received[Published], None]:
        """Carry out a talk and yield its messages. With topics it has a subscription."""
        socket = subscribed(self._context.socket(zmq.SUB), self._connection, topics) if topics else None
        answer: Any = None
        try:
            while True:
                try:
                    wish = talk.send(answer)
                except StopIteration:
                    return
                answer = None
                if isinstance(wish, Received):
                    yield wish
                elif not isinstance(wish, Wait):
                    answer = await self._ask(wish)
                elif socket is not None and await socket.poll(math.ceil(wish.seconds * 1000)):
                    answer = await socket.recv_multipart()
        finally:
            if socket is not None:
                socket.close(linger=0)

    async def _ask(self, request: Request) -> Reply:
        async with self._turn:
            socket = self._requests or asking(self._context.socket(zmq.REQ), self._connection)
            self._requests = None
            try:
                await socket.send(pack(request))
                if not await socket.poll(math.ceil(self._timeout_s * 1000)):
                    raise silence(self._connection, self._timeout_s)
                data = await socket.recv()
            except BaseException:
                socket.close(linger=0)
                raise
            self._requests = socket
            return understood(data)


def connect_async(
    connection_file: Path | str, *, timeout_s: float = 10.0, name: str | None = None
) -> AsyncCampaignClient:
    """A running campaign for `async with`, by its connection file or its folder; as `connect`.

    Raises:
        NoConnectionFile: the file is missing, open to others, or malformed, or its folder is a copy of another one.
    """
    return AsyncCampaignClient(connection_of(connection_file), timeout_s=timeout_s, name=name)
