"""The client for programs with asyncio: `async with connect_async(file) as campaign` (adapter)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, SupportsFloat, TypeVar, Unpack, cast, overload

import zmq
import zmq.asyncio

from moireloop.client import requests
from moireloop.client.asking import Asking
from moireloop.client.connecting import asking, connection_of, default_name, silence, subscribed, understood
from moireloop.client.received import Page, Received, Topic, order
from moireloop.client.talks import PAGE, RESULT, Following, Talk, Wait, page_of, replayed, result_of
from moireloop.experiment.options import PatternOptions, PatternSource, space_of
from moireloop.results.results import best_result
from moireloop_broker.connection import ClientConnection
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.control import (
    DescribeRequest,
    Description,
    ParameterRange,
    Reply,
    Request,
    Status,
    StatusRequest,
)
from moireloop_broker.contract.events import CampaignChanged, Published, Result
from moireloop_broker.contract.message import START
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import Target
from moireloop_broker.contract.steered import targets_of
from moireloop_broker.contract.steering import SteeringRequest
from moireloop_broker.contract.topics import topic_named

if TYPE_CHECKING:
    import pandas as pd

    from moireloop.experiment.comparison import Comparison
    from moireloop_optimizer.discrepancy import ChamberAdvice

P = TypeVar("P", bound="Published", covariant=True)

M = TypeVar("M", bound="Published")


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


class AsyncCampaignClient(Asking[Coroutine[Any, Any, None]]):
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

    async def status(self) -> Status:
        """State of the campaign. Raises NotRunning."""
        return cast("Status", await self._ask(StatusRequest()))

    async def describe(self) -> Description:
        """Description of the search: space with units and limits, targets, budget, strategy. Raises NotRunning."""
        return cast("Description", await self._ask(DescribeRequest()))

    async def space(self) -> dict[str, ParameterRange]:
        """Each growth parameter: its unit, the range that is searched, its limits. Raises NotRunning."""
        return (await self.describe()).space

    async def targets(self) -> tuple[Target, ...]:
        """The wanted twists. Raises NotRunning."""
        return targets_of((await self.describe()).targets)

    async def results(self, since: str = START) -> list[Received[Result]]:
        """All results after the id `since`, oldest first. Raises NotRunning."""
        return cast("list[Received[Result]]", [entry async for entry in self._drive(replayed(since, [RESULT]))])

    async def results_frame(self) -> pd.DataFrame:
        """The results as a pandas table with the columns of results.parquet. Raises NotRunning, MissingExtra."""
        from moireloop.results.frame import results_frame

        told = await self.describe()
        bounds = {name: (limits.low, limits.high) for name, limits in told.space.items()}
        return results_frame([entry.message for entry in await self.results()], targets_of(told.targets), bounds)

    async def compare(self, pattern: PatternSource, **options: Unpack[PatternOptions]) -> Comparison:
        """Compare a measured pattern with the results so far, in a thread; see CampaignClient.compare."""
        from moireloop.experiment.comparing import compare

        told = await self.describe()
        found = [entry.message for entry in await self.results()]
        work = partial(compare, pattern, found, targets_of(told.targets), space_of(told), **options)
        return await asyncio.to_thread(work)

    async def submit_pattern(
        self,
        pattern: PatternSource,
        *,
        pattern_id: str | None = None,
        parameters: Mapping[str, SupportsFloat] | None = None,
        measured_s: float | None = None,
        **options: Unpack[PatternOptions],
    ) -> PatternMeasured:
        """Index a measured pattern in a thread and put it into the log; see CampaignClient.submit_pattern."""
        from moireloop.client.submitting import pattern_request

        fresh = await self.results(self._looked[-1].id if self._looked else START)
        self._looked += [one for one in fresh if not self._looked or order(one.id) > order(self._looked[-1].id)]
        work = partial(
            pattern_request,
            pattern,
            [entry.message for entry in self._looked],
            self.name,
            pattern_id=pattern_id,
            parameters=parameters,
            measured_s=measured_s,
            **options,
        )
        return cast("PatternMeasured", await self._ask(await asyncio.to_thread(work)))

    async def advise_chamber(self, target: Target | float | None = None) -> ChamberAdvice:
        """Advise growth parameters for chamber and simulation, in a thread; see CampaignClient.advise_chamber."""
        from moireloop.experiment.chamber import advised

        told = await self.describe()
        found = [entry.message for entry in await self.results()]
        patterns = [entry.message for entry in await self.patterns()]
        return await asyncio.to_thread(advised, found, patterns, space_of(told), target, targets_of(told.targets))

    async def patterns(self, since: str = START) -> list[Received[PatternMeasured]]:
        """All measured patterns after the id `since`, oldest first. Raises NotRunning."""
        return cast("list[Received[PatternMeasured]]", await self.events([PatternMeasured], since))

    async def retarget_to_pattern(self, pattern_id: str | None = None, tolerance_deg: float | None = None) -> Target:
        """Search for the twist of a measured pattern from now on; see CampaignClient.retarget_to_pattern."""
        found = requests.chosen_pattern((entry.message for entry in await self.patterns()), pattern_id)
        target = requests.target_like(found, tolerance_deg)
        await self.retarget(target)
        return target

    async def best(self, target: Target | float | None = None) -> Result | None:
        """The measured result nearest to a target, by default the first one; None while nothing was measured."""
        wanted = (await self.targets())[0] if target is None else target
        return best_result([entry.message for entry in await self.results()], wanted)

    async def events(self, topics: Iterable[Topic], since: str = START) -> list[Received[Published]]:
        """All messages of these classes or topics after the id `since`, oldest first.

        Raises:
            NotRunning, RequestRefused: as `status` and the broker have it.
        """
        return [entry async for entry in self._drive(replayed(since, [topic_named(topic) for topic in topics]))]

    async def page(self, since: str = START, topics: Iterable[Topic] = (), *, limit: int = PAGE) -> Page[Published]:
        """Returns at most `limit` messages after the id `since`, oldest first; no topics mean the whole log."""
        return page_of(await self._ask(requests.replay(since, limit, [topic_named(topic) for topic in topics])))

    async def replicate(self, candidate_id: str, runs: int = 1) -> list[str]:
        """Queue more runs of a known candidate's parameters, with other seeds; returns their ids."""
        wanted = requests.replicates(candidate_id, runs, self.name)
        for request in wanted:
            await self._carry_out(request)
        return [request.new_id for request in wanted]

    async def wait(self, candidate_id: str, timeout_s: float = math.inf) -> Result:
        """The result of a candidate, as soon as it is there.

        Raises:
            TimeoutError: it is not there after `timeout_s`.
            NotRunning: the campaign ended without it, or does not answer.
        """
        following = Following([Result], START, math.inf, timeout_s)
        async for entry in self._drive(result_of(candidate_id, following.talk()), following.topics):
            return cast("Result", entry.message)
        raise following.without_result(candidate_id, timeout_s)

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
