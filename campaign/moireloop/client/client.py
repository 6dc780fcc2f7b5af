"""The client for outside programs: results, status, live messages with replay, and requests (adapter).

It needs only the connection file, and talks to the broker's two sockets, never to Redis.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, SupportsFloat, TypeVar, Unpack, cast, overload

import zmq

from moireloop.client import requests
from moireloop.client.asking import Asking
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

__all__ = ["CampaignClient", "NotRunning", "Page", "Received", "RequestRefused", "Subscription", "Topic", "connect"]

P = TypeVar("P", bound="Published", covariant=True)

M = TypeVar("M", bound="Published")


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


class CampaignClient(Asking[None]):
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

    def status(self) -> Status:
        """State of the campaign. Raises NotRunning."""
        return cast("Status", self._ask(StatusRequest()))

    def describe(self) -> Description:
        """Description of the search: space with units and limits, targets, budget, strategy. Raises NotRunning."""
        return cast("Description", self._ask(DescribeRequest()))

    @property
    def space(self) -> dict[str, ParameterRange]:
        """Each growth parameter: its unit, the range that is searched, its limits. Raises NotRunning."""
        return self.describe().space

    @property
    def targets(self) -> tuple[Target, ...]:
        """The wanted twists. Raises NotRunning."""
        return targets_of(self.describe().targets)

    def results(self, since: str = START) -> list[Received[Result]]:
        """All results after the id `since`, oldest first. Raises NotRunning."""
        return cast("list[Received[Result]]", list(self._drive(replayed(since, [RESULT]))))

    def results_frame(self) -> pd.DataFrame:
        """The results as a pandas table with the columns of results.parquet. Raises NotRunning, MissingExtra."""
        from moireloop.results.frame import results_frame

        told = self.describe()
        bounds = {name: (limits.low, limits.high) for name, limits in told.space.items()}
        return results_frame([entry.message for entry in self.results()], targets_of(told.targets), bounds)

    def best(self, target: Target | float | None = None) -> Result | None:
        """The measured result nearest to a target, by default the first one; None while nothing was measured."""
        wanted = self.targets[0] if target is None else target
        return best_result([entry.message for entry in self.results()], wanted)

    def compare(self, pattern: PatternSource, **options: Unpack[PatternOptions]) -> Comparison:
        """Compare a measured pattern with the results so far: its twist, the most similar results, what to change.

        Raises:
            PatternRefused: the pattern cannot be read, or no lattice constants are known.
            NotRunning, MissingExtra: as `results_frame`.
        """
        from moireloop.experiment.comparing import compare

        told = self.describe()
        found = [entry.message for entry in self.results()]
        return compare(pattern, found, targets_of(told.targets), space_of(told), **options)

    def submit_pattern(
        self,
        pattern: PatternSource,
        *,
        pattern_id: str | None = None,
        parameters: Mapping[str, SupportsFloat] | None = None,
        measured_s: float | None = None,
        **options: Unpack[PatternOptions],
    ) -> PatternMeasured:
        """Index a measured pattern and put it into the log; returns the event, whose analysis has a twist or a reason.

        The same measurement under the same id is one pattern: submitting it again returns the first event.

        Args:
            pattern: the file of a pattern, or its peaks.
            pattern_id: its name; by default a name that depends only on the measurement.
            parameters: the growth chamber's parameters, such as {"substrate_temperature_k": 875}.
            measured_s: when it was measured, in seconds since the epoch.

        Raises:
            PatternRefused: the pattern cannot be read, or no lattice constants are known.
            BadArgument: the name, the parameters or the time are invalid.
            NotRunning, RequestRefused, MissingExtra: as `note`, and as `results_frame`.
        """
        from moireloop.client.submitting import pattern_request

        self._looked += self.results(self._looked[-1].id if self._looked else START)
        request = pattern_request(
            pattern,
            [entry.message for entry in self._looked],
            self.name,
            pattern_id=pattern_id,
            parameters=parameters,
            measured_s=measured_s,
            **options,
        )
        return cast("PatternMeasured", self._ask(request))

    def advise_chamber(self, target: Target | float | None = None) -> ChamberAdvice:
        """Growth parameters at which chamber and simulation most likely hit a target, from results and patterns.

        The discrepancy between chamber and simulation is learnt from the patterns. `reason` says why there is no
        advice. The default target is the first one.

        Raises:
            NotRunning, MissingExtra: as `results_frame`.
        """
        from moireloop.experiment.chamber import advised

        told = self.describe()
        found = [entry.message for entry in self.results()]
        patterns = [entry.message for entry in self.patterns()]
        return advised(found, patterns, space_of(told), target, targets_of(told.targets))

    def patterns(self, since: str = START) -> list[Received[PatternMeasured]]:
        """All measured patterns after the id `since`, oldest first. Raises NotRunning."""
        return cast("list[Received[PatternMeasured]]", self.events([PatternMeasured], since))

    def retarget_to_pattern(self, pattern_id: str | None = None, tolerance_deg: float | None = None) -> Target:
        """Search for a measured pattern's twist from now on, by default the newest pattern's; returns the target.

        Raises:
            BadArgument: there is no such pattern, or it has no twist.
            NotRunning, RequestRefused: as `retarget`.
        """
        found = requests.chosen_pattern((entry.message for entry in self.patterns()), pattern_id)
        target = requests.target_like(found, tolerance_deg)
        self.retarget(target)
        return target

    def events(self, topics: Iterable[Topic], since: str = START) -> list[Received[Published]]:
        """All messages of these classes or topics after the id `since`, oldest first.

        Raises:
            NotRunning, RequestRefused: as from `status` and the broker.
        """
        return list(self._drive(replayed(since, [topic_named(topic) for topic in topics])))

    def page(self, since: str = START, topics: Iterable[Topic] = (), *, limit: int = PAGE) -> Page[Published]:
        """Returns at most `limit` messages after the id `since`, oldest first; no topics mean the whole log.

        Raises:
            NotRunning, RequestRefused: as `events`.
        """
        return page_of(self._ask(requests.replay(since, limit, [topic_named(topic) for topic in topics])))

    def replicate(self, candidate_id: str, runs: int = 1) -> list[str]:
        """Queue more runs of a known candidate's parameters, with other seeds; returns their ids."""
        wanted = requests.replicates(candidate_id, runs, self.name)
        for request in wanted:
            self._carry_out(request)
        return [request.new_id for request in wanted]

    def wait(self, candidate_id: str, timeout_s: float = math.inf) -> Result:
        """Wait for the result of a candidate.

        Raises:
            TimeoutError: there is no result after `timeout_s`.
            NotRunning: the campaign ended without it, or does not answer.
        """
        following = Following([Result], START, math.inf, timeout_s)
        for entry in self._drive(result_of(candidate_id, following.talk()), following.topics):
            return cast("Result", entry.message)
        raise following.without_result(candidate_id, timeout_s)

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
            NotRunning: the campaign does not answer; raised at the next message.
        """
        following = Following(topics, since, wait_s)
        return Subscription(following, self._drive(following.talk(), following.topics))

    def _repr_html_(self) -> str:
        told, results = self.describe(), [entry.message for entry in self.results()]
        return campaign_html(self.status(), told.budget_results, targets_of(told.targets), results)

    def _carry_out(self, request: SteeringRequest) -> None:
        self._ask(request)

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
