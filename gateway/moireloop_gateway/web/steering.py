"""What a controller may ask over HTTP: one table, from which come addresses, OpenAPI and the page's forms (adapter)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from moireloop_broker.contract.message import Identifier, Parameters, Reason

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient


class Body(BaseModel):
    """What a request carries: JSON without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Propose(Body):
    """A candidate for the queue. The same id, parameters and seed are one candidate."""

    candidate_id: Identifier = Field(description="id of the new candidate")
    parameters: Parameters = Field(description="a value for each parameter of the search space")
    seed: int = Field(default=0, ge=0, lt=2**31, description="feeds every random number of the run")


class Cancel(Body):
    """The early end of a candidate, queued or running."""

    candidate_id: Identifier
    reason: Reason = "cancelled over HTTP"


class Stop(Body):
    """The end of the campaign when those that run have come to their results."""

    reason: Reason = "stopped over HTTP"


Call = Callable[["CampaignClient", Any], Any]


@dataclass(frozen=True)
class Steering:
    """One request: what it carries, what it does in a line, and the call of the client that carries it out.

    `danger` is what a page asks before it sends it, where it cannot be taken back.
    """

    body: type[Body]
    summary: str
    call: Call
    danger: str | None = None


STEERING: Final[Mapping[str, Steering]] = {
    "propose": Steering(
        Propose,
        "Queue a candidate.",
        lambda client, body: client.propose(body.candidate_id, body.parameters, seed=body.seed),
    ),
    "cancel": Steering(
        Cancel,
        "End a candidate early.",
        lambda client, body: client.cancel(body.candidate_id, body.reason),
        danger="The candidate ends as cancelled and cannot be queued again under its id.",
    ),
    "stop": Steering(
        Stop,
        "Let running candidates finish, then stop the campaign.",
        lambda client, body: client.stop(body.reason),
        danger="No more candidates are leased; the session ends with those that run. `moireloop resume` goes on.",
    ),
}
