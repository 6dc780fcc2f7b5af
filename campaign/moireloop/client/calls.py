"""What both clients do with a campaign: each method once, for blocking and for asyncio programs (adapter).

A method is written as a generator that yields what it needs and returns its value. The client that has it carries it
out: `client.best()` of a blocking client returns the value; with an asyncio client it is awaited.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Self,
    SupportsFloat,
    TypeAlias,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from moireloop.client import requests
from moireloop.client.received import Page, Received, Topic, order
from moireloop.client.talks import PAGE, RESULT, Following, Talk, Wait, page_of, replayed, result_of
from moireloop.experiment.options import PatternOptions, PatternSource, space_of
from moireloop.results.results import best_result
from moireloop_broker.contract.control import (
    DescribeRequest,
    Description,
    ParameterRange,
    Request,
    Status,
    StatusRequest,
)
from moireloop_broker.contract.events import Published, Result
from moireloop_broker.contract.message import START
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import Target
from moireloop_broker.contract.steered import targets_of
from moireloop_broker.contract.topics import topic_named

if TYPE_CHECKING:
    import pandas as pd

    from moireloop.client.requests import WantedTarget
    from moireloop.experiment.comparison import Comparison
    from moireloop_optimizer.discrepancy import ChamberAdvice

P = ParamSpec("P")

T = TypeVar("T")


@dataclass(frozen=True)
class Computed:
    """Asks for a value that takes long to compute: an asyncio client has it computed in a thread."""

    compute: Callable[[], Any]


@dataclass(frozen=True)
class First:
    """Asks for the first entry of a talk that has a subscription to these topics, or None if it yields none."""

    talk: Talk
    topics: Sequence[str]


Returns: TypeAlias = Generator[Request | Computed | First, Any, T]
"""It is sent a Reply for a request, and its value for a computation or a first entry."""


class Blocking:
    """A client whose methods return when they are done."""

    @abstractmethod
    def _carried_out(self, method: Returns[T]) -> T:
        """Carry out a method to its end."""


class Awaited:
    """A client whose methods are awaited."""

    @abstractmethod
    async def _carried_out(self, method: Returns[T]) -> T:
        """Carry out a method to its end."""


class either(Generic[P, T]):
    """A method of both clients, made of a generator."""

    def __init__(self, method: Callable[Concatenate[Any, P], Returns[T]]) -> None:
        self._method = method

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Returns[T]]: ...

    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: Awaited, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Blocking | Awaited | None, owner: type) -> Callable[..., Any]:
        if client is None:
            return self._method
        carried_out: Callable[[Returns[T]], Any] = client._carried_out

        @wraps(self._method)
        def called(*args: P.args, **kwargs: P.kwargs) -> Any:
            return carried_out(self._method(client, *args, **kwargs))

        return called


class described(Generic[T]):
    """Part of the description of a campaign: an attribute of a blocking client, a method of one that is awaited."""

    def __init__(self, part: Callable[[Description], T]) -> None:
        self._part = part
        self.__doc__ = part.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: Blocking, owner: type) -> T: ...

    @overload
    def __get__(self, client: Awaited, owner: type) -> Callable[[], Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Blocking | Awaited | None, owner: type) -> Any:
        if client is None:
            return self
        if isinstance(client, Blocking):
            return client._carried_out(self._look())
        return lambda: client._carried_out(self._look())

    def _look(self) -> Returns[T]:
        return self._part((yield from _described()))


class Calls:
    """What can be asked of a running campaign. Each method raises NotRunning if nothing responds."""

    name: str
    _looked: list[Received[Result]]

    @either
    def status(self) -> Returns[Status]:
        """State of the campaign. Raises NotRunning."""
        return cast("Status", (yield StatusRequest()))

    @either
    def describe(self) -> Returns[Description]:
        """Description of the search: space with units and limits, targets, budget, strategy. Raises NotRunning."""
        return (yield from _described())

    @described
    def space(description: Description) -> dict[str, ParameterRange]:
        """Each growth parameter: its unit, the range that is searched, its limits. Raises NotRunning."""
        return description.space

    @described
    def targets(description: Description) -> tuple[Target, ...]:
        """The wanted twists. Raises NotRunning."""
        return targets_of(description.targets)

    @either
    def wait(self, candidate_id: str, timeout_s: float = math.inf) -> Returns[Result]:
        """Wait for the result of a candidate.

        Raises:
            TimeoutError: there is no result after `timeout_s`.
            NotRunning: the campaign ended without it, or does not respond.
        """
        following = Following([Result], START, math.inf, timeout_s)
        entry = yield First(result_of(candidate_id, following.talk()), following.topics)
        if entry is None:
            raise following.without_result(candidate_id, timeout_s)
        return cast("Result", entry.message)

    @either
    def results(self, since: str = START) -> Returns[list[Received[Result]]]:
        """All results after the id `since`, oldest first. Raises NotRunning."""
        return (yield from _results(since))

    @either
    def results_frame(self) -> Returns[pd.DataFrame]:
        """The results as a pandas table with the columns of results.parquet. Raises NotRunning, MissingExtra."""
        from moireloop.results.frame import results_frame

        described, found = yield from _described_with_results()
        bounds = {name: (limits.low, limits.high) for name, limits in described.space.items()}
        return results_frame(found, targets_of(described.targets), bounds)

    @either
    def best(self, target: Target | float | None = None) -> Returns[Result | None]:
        """The measured result nearest to a target, by default the first one; None while nothing was measured."""
        described, found = yield from _described_with_results()
        return best_result(found, targets_of(described.targets)[0] if target is None else target)

    @either
    def compare(self, pattern: PatternSource, **options: Unpack[PatternOptions]) -> Returns[Comparison]:
        """Compare a measured pattern with the results so far: its twist, the most similar results, what to change.

        Raises:
            PatternRefused: the pattern cannot be read, or no lattice constants are known.
            NotRunning, MissingExtra: as `results_frame`.
        """
        from moireloop.experiment.comparing import compare

        described, found = yield from _described_with_results()
        work = partial(compare, pattern, found, targets_of(described.targets), space_of(described), **options)
        return cast("Comparison", (yield Computed(work)))

    @either
    def submit_pattern(
        self,
        pattern: PatternSource,
        *,
        pattern_id: str | None = None,
        parameters: Mapping[str, SupportsFloat] | None = None,
        measured_s: float | None = None,
        **options: Unpack[PatternOptions],
    ) -> Returns[PatternMeasured]:
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

        fresh = yield from _results(self._looked[-1].id if self._looked else START)
        self._looked += [one for one in fresh if not self._looked or order(one.id) > order(self._looked[-1].id)]
        found = [entry.message for entry in self._looked]
        measured = {"pattern_id": pattern_id, "parameters": parameters, "measured_s": measured_s}
        work = partial(pattern_request, pattern, found, self.name, **cast("Any", measured), **options)
        return cast("PatternMeasured", (yield (yield Computed(work))))

    @either
    def advise_chamber(self, target: WantedTarget | None = None) -> Returns[ChamberAdvice]:
        """Growth parameters at which chamber and simulation most likely hit a target, from results and patterns.

        The discrepancy between chamber and simulation is learnt from the patterns. `reason` says why there is no
        advice. The default target is the first one.

        Raises:
            BadArgument: the target makes no sense.
            NotRunning, MissingExtra: as `results_frame`.
        """
        from moireloop.experiment.chamber import advised

        wanted = None if target is None else requests.one_target(target)
        described, found = yield from _described_with_results()
        patterns = [entry.message for entry in (yield from _patterns(START))]
        work = partial(advised, found, patterns, space_of(described), wanted, targets_of(described.targets))
        return cast("ChamberAdvice", (yield Computed(work)))

    @either
    def patterns(self, since: str = START) -> Returns[list[Received[PatternMeasured]]]:
        """All measured patterns after the id `since`, oldest first. Raises NotRunning."""
        return (yield from _patterns(since))

    @either
    def retarget_to_pattern(self, pattern_id: str | None = None, tolerance_deg: float | None = None) -> Returns[Target]:
        """Search for a measured pattern's twist from now on, by default the newest pattern's; returns the target.

        Raises:
            BadArgument: there is no such pattern, or it has no twist.
            NotRunning, RequestRefused: as `retarget`.
        """
        patterns = yield from _patterns(START)
        pattern = requests.chosen_pattern((entry.message for entry in patterns), pattern_id)
        target = requests.target_like(pattern, tolerance_deg)
        yield requests.retarget(target, self.name)
        return target

    @either
    def events(self, topics: Iterable[Topic], since: str = START) -> Returns[list[Received[Published]]]:
        """All messages of these classes or topics after the id `since`, oldest first.

        Raises:
            NotRunning, RequestRefused: as from `status` and the broker.
        """
        return (yield from _collected(replayed(since, [topic_named(topic) for topic in topics])))

    @either
    def page(self, since: str = START, topics: Iterable[Topic] = (), *, limit: int = PAGE) -> Returns[Page[Published]]:
        """Returns at most `limit` messages after the id `since`, oldest first; no topics mean the whole log.

        Raises:
            NotRunning, RequestRefused: as `events`.
        """
        return page_of((yield requests.replay(since, limit, [topic_named(topic) for topic in topics])))

    @either
    def replicate(self, candidate_id: str, runs: int = 1) -> Returns[list[str]]:
        """Queue more runs of a known candidate's parameters, with other seeds; returns their ids."""
        wanted = requests.replicates(candidate_id, runs, self.name)
        for request in wanted:  # noqa: UP028 - a list cannot be sent the replies
            yield request
        return [request.new_id for request in wanted]


def _described() -> Returns[Description]:
    return cast("Description", (yield DescribeRequest()))


def _results(since: str) -> Returns[list[Received[Result]]]:
    return cast("list[Received[Result]]", (yield from _collected(replayed(since, [RESULT]))))


def _patterns(since: str) -> Returns[list[Received[PatternMeasured]]]:
    replay = replayed(since, [topic_named(PatternMeasured)])
    return cast("list[Received[PatternMeasured]]", (yield from _collected(replay)))


def _described_with_results() -> Returns[tuple[Description, list[Result]]]:
    described = yield from _described()
    return described, [entry.message for entry in (yield from _results(START))]


def _collected(replay: Talk) -> Returns[list[Received[Published]]]:
    """The entries that a replay yields."""
    found: list[Received[Published]] = []
    answer: Any = None
    while True:
        try:
            wish = replay.send(answer)
        except StopIteration:
            return found
        answer = None
        if isinstance(wish, Received):
            found.append(wish)
        elif not isinstance(wish, Wait):
            answer = yield wish
