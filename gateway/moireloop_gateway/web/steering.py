"""What a controller may ask over HTTP: one table, from which come addresses, OpenAPI and the page's forms (adapter).

Bodies are the requests of the wire, without tag. A new request is one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, FiniteFloat

from moireloop_broker.contract.message import Identifier, Message
from moireloop_broker.contract.steering import (
    SOMEBODY,
    CancelRequest,
    ChangeBudgetRequest,
    ChangeSpaceRequest,
    NoteRequest,
    PauseRequest,
    PrioritiseRequest,
    ProposeRequest,
    Requester,
    ResumeRequest,
    RetargetRequest,
    ScaleRequest,
    StopRequest,
    WithdrawRequest,
)

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient

BY_PAGE: Final = "dashboard"
"""Who asks, where a body does not say it."""


class RetargetToPattern(Message):
    """Search for the twist of a measured pattern from now on, by default of the newest one that has a twist."""

    pattern_id: Identifier | None = None
    tolerance_deg: Annotated[FiniteFloat, Field(gt=0, le=30)] | None = None
    requester: Requester = SOMEBODY


class Replicate(Message):
    """Queue more runs of a known candidate's parameters, with other seeds."""

    candidate_id: Identifier
    runs: Annotated[int, Field(ge=1, le=100)] = 1
    requester: Requester = SOMEBODY


Call = Callable[["CampaignClient", Any], Any]


@dataclass(frozen=True)
class Steering:
    """One request: what it carries, and the call of the client that carries it out.

    `danger` is what a page says before it sends it, where it cannot be taken back.
    """

    body: type[Message]
    call: Call
    danger: str | None = None

    @property
    def summary(self) -> str:
        """What it does, in a line or two."""
        return " ".join((self.body.__doc__ or "").split())

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the body; the tag of the wire is not part of it."""
        schema = self.body.model_json_schema()
        schema["properties"].pop("tag", None)
        return schema

    def carry_out(self, client: CampaignClient, body: Any) -> Any:
        """Ask the campaign, under the requester's name. Raises NotRunning, RequestRefused, BadArgument."""
        client.name = body.requester if body.requester != SOMEBODY else BY_PAGE
        return self.call(client, body)


STEERING: Final[Mapping[str, Steering]] = {
    "propose": Steering(ProposeRequest, lambda c, b: c.propose(b.candidate_id, b.parameters, seed=b.seed)),
    "replicate": Steering(Replicate, lambda c, b: c.replicate(b.candidate_id, b.runs)),
    "prioritise": Steering(PrioritiseRequest, lambda c, b: c.prioritise(b.candidate_id, b.place)),
    "withdraw": Steering(
        WithdrawRequest,
        lambda c, b: c.withdraw(b.candidate_id, b.reason),
        danger="The candidate leaves the queue as cancelled and cannot be queued again under its id.",
    ),
    "cancel": Steering(
        CancelRequest,
        lambda c, b: c.cancel(b.candidate_id, b.reason),
        danger="The candidate ends as cancelled and cannot be queued again under its id.",
    ),
    "pause": Steering(PauseRequest, lambda c, b: c.pause(b.reason)),
    "resume": Steering(ResumeRequest, lambda c, b: c.resume()),
    "retarget": Steering(
        RetargetRequest, lambda c, b: c.retarget([(one.twist_deg, one.tolerance_deg) for one in b.targets])
    ),
    "retarget_to_pattern": Steering(
        RetargetToPattern, lambda c, b: c.retarget_to_pattern(b.pattern_id, b.tolerance_deg)
    ),
    "change_space": Steering(ChangeSpaceRequest, lambda c, b: c.change_space(b.space)),
    "change_budget": Steering(
        ChangeBudgetRequest, lambda c, b: c.change_budget(b.results, wall_time_s=b.wall_time_s)
    ),
    "scale": Steering(
        ScaleRequest,
        lambda c, b: c.scale(b.workers, b.pool),
        danger="Surplus workers give back their candidates; the runs continue later from restart files.",
    ),
    "note": Steering(NoteRequest, lambda c, b: c.note(b.text, b.candidate_id)),
    "stop": Steering(
        StopRequest,
        lambda c, b: c.stop(b.reason),
        danger="No more candidates are leased; the session ends with the running ones. `moireloop resume` continues.",
    ),
}  # fmt: skip
