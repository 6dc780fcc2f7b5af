"""Requests that controllers send to the broker, and its replies (pure)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from moireloop_broker.contract.message import (
    Attempt,
    Count,
    Identifier,
    LogId,
    Message,
    NotNegativeNumber,
    Number,
    Reason,
    Seconds,
)
from moireloop_broker.contract.patterns import PatternMeasured, SubmitPatternRequest
from moireloop_broker.contract.steering import SteeringRequest, Targets


class Stamp(Message):
    """The second part of a published message: its id, and the previous id on the same topic ("0-0" for the first).

    A subscriber whose last id differs from `previous` has missed messages and replays from its last id.
    """

    tag: Literal["stamp/1"] = "stamp/1"
    id: LogId
    previous: LogId


class StatusRequest(Message):
    """Ask for the state of the campaign."""

    tag: Literal["status_request/3"] = "status_request/3"


class ReplayRequest(Message):
    """Ask for messages of the log after the id `since`, oldest first, at most `limit`; `topics` empty means all."""

    tag: Literal["replay_request/1"] = "replay_request/1"
    since: LogId = "0-0"
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    topics: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=32)] = []


class DescribeRequest(Message):
    """Ask what the campaign searches: all that a controller needs for a valid proposal."""

    tag: Literal["describe_request/1"] = "describe_request/1"


Request = Annotated[
    StatusRequest | DescribeRequest | ReplayRequest | SubmitPatternRequest | SteeringRequest, Field(discriminator="tag")
]
"""What the control endpoint understands."""


RESTARTS_PASSED_OVER: Final = "restarts_passed_over_"
"""Prefix of counters: runs that did not continue from their newest restart file, by reason."""


CONNECTIONS: Final = "redis_connections"
"""Counter of a status: current connections of the Redis server."""

MOST_CONNECTIONS: Final = "redis_connections_most"
"""Counter of a status: the most connections that the Redis server accepts."""

LONGEST_HAND_BACK_MS: Final = "longest_hand_back_ms"
"""Counter: longest time that a worker, asked to end, took to give back what it held."""


class WorkerStatus(Message):
    """One worker: the candidate that it holds (None when idle), the last step that it reported, and its phase.

    `waiting`: in the queue of a scheduler. `starting`: not ready yet. `up`: takes candidates. `held`: takes none while
    something fails that is not a candidate's fault; `fault` says what. `completed` counts candidates since its start.
    """

    worker: Identifier
    candidate_id: Identifier | None = None
    attempt: Attempt | None = None
    step: Count = 0
    seen_s: Seconds
    phase: Literal["waiting", "starting", "up", "held"] = "up"
    completed: Count = 0
    ends_s: Seconds | None = None
    fault: Reason | None = None

    @property
    def came_up(self) -> bool:
        """Whether it was ever ready to take a candidate."""
        return self.phase in ("up", "held")


class PoolStatus(Message):
    """One pool: its host, its launcher, its number of workers, and when its allocation ends.

    `seen_s` is by the clock of the Redis server. `mark` distinguishes two processes that want the same name. `room` is
    how many workers fit where it is; None where this is unknown or the campaign file allows any number.
    """

    pool: Identifier
    host: Annotated[str, Field(max_length=255)] = ""
    launcher: Annotated[str, Field(max_length=64)] = ""
    workers: Count = 0
    ends_s: Seconds | None = None
    seen_s: Seconds
    mark: Annotated[str, Field(max_length=64)] = ""
    room: Count | None = None


class Status(Message):
    """State of a campaign. `counts` has queued, running, analysing and, per outcome, results."""

    tag: Literal["status/3"] = "status/3"
    campaign: Identifier
    state: Literal["started", "resumed", "paused", "draining", "stopped", "completed"]
    counts: dict[str, int]
    counters: dict[str, int]
    workers: list[WorkerStatus]
    services: dict[str, str]
    pools: list[PoolStatus]
    last_id: LogId


class ParameterRange(Message):
    """A growth parameter: its unit ("" for a fraction), the range that is searched, and the range its model accepts."""

    unit: Annotated[str, Field(max_length=20)]
    low: Number
    high: Number
    lowest: Number | None = None
    highest: Number | None = None


class Description(Message):
    """What a campaign searches. `campaign_id` stays when its folder moves; `space` has its parameters in order.

    `outside_counts` is whether proposals of controllers use up the budget. `versions` has the versions of moireloop
    and of the protocol's requests.
    """

    tag: Literal["description/1"] = "description/1"
    campaign: Identifier
    campaign_id: Annotated[str, Field(max_length=64)]
    space: Annotated[dict[Identifier, ParameterRange], Field(max_length=32)]
    targets: Targets
    budget_results: Count
    budget_wall_time_s: NotNegativeNumber | None
    outside_counts: bool
    growth_model: Annotated[str, Field(max_length=200)]
    strategy: Annotated[str, Field(max_length=1000)]
    versions: dict[Identifier, Annotated[str, Field(max_length=100)]]


class ReplayEntry(Message):
    """One entry of the log: its stamp's id, its topic and the MessagePack bytes of the event."""

    id: LogId
    topic: str
    body: bytes


class Replay(Message):
    """Reply to a replay request. A later one continues from `last_id`; `complete` is whether the log ended there."""

    tag: Literal["replay/1"] = "replay/1"
    entries: list[ReplayEntry]
    last_id: LogId
    complete: bool


class Accepted(Message):
    """The request was carried out (or had been before)."""

    tag: Literal["accepted/1"] = "accepted/1"


class Refused(Message):
    """The request was not carried out. The reply has the error's name, what was expected and what came."""

    tag: Literal["refusal/1"] = "refusal/1"
    error: str
    message: str


Reply = Annotated[Status | Description | Replay | PatternMeasured | Accepted | Refused, Field(discriminator="tag")]
"""What the control endpoint returns."""
