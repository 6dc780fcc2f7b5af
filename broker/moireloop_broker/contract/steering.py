"""Requests that change a campaign, each with the name of its requester (pure)."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from moireloop_broker.contract.message import Identifier, Message, Number, Parameters, Reason, TwistDeg

Requester = Annotated[str, Field(min_length=1, max_length=100)]

SOMEBODY: Final = "controller"
"""The requester where a client gives no name."""

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class ProposeRequest(Message):
    """Queue a candidate. The same id, parameters and seed again change nothing; other values for the id are refused."""

    tag: Literal["propose_request/2"] = "propose_request/2"
    candidate_id: Identifier
    parameters: Parameters
    seed: Seed = 0
    requester: Requester = SOMEBODY


class ReplicateRequest(Message):
    """Queue one more run of a known candidate's parameters under a new id, with another seed."""

    tag: Literal["replicate_request/1"] = "replicate_request/1"
    candidate_id: Identifier
    new_id: Identifier
    seed: Seed | None = None
    requester: Requester = SOMEBODY


class CancelRequest(Message):
    """End a candidate early, queued or running."""

    tag: Literal["cancel_request/2"] = "cancel_request/2"
    candidate_id: Identifier
    reason: Reason
    requester: Requester = SOMEBODY


class WithdrawRequest(Message):
    """Take a candidate out of the queue. A candidate that runs already is left alone."""

    tag: Literal["withdraw_request/1"] = "withdraw_request/1"
    candidate_id: Identifier
    reason: Reason = "withdrawn"
    requester: Requester = SOMEBODY


class PrioritiseRequest(Message):
    """Move a queued candidate to a place in the queue; place 1 is the next that a worker takes."""

    tag: Literal["prioritise_request/1"] = "prioritise_request/1"
    candidate_id: Identifier
    place: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    requester: Requester = SOMEBODY


class StopRequest(Message):
    """Let running candidates finish, lease no more, then stop the campaign; `moireloop resume` continues it."""

    tag: Literal["stop_request/2"] = "stop_request/2"
    reason: Reason = "asked to stop"
    requester: Requester = SOMEBODY


class PauseRequest(Message):
    """Lease no more candidates until the campaign is resumed. Runs and all services continue."""

    tag: Literal["pause_request/1"] = "pause_request/1"
    reason: Reason = "asked to pause"
    requester: Requester = SOMEBODY


class ResumeRequest(Message):
    """Lease candidates again, after a pause."""

    tag: Literal["resume_request/1"] = "resume_request/1"
    requester: Requester = SOMEBODY


class WantedTwist(Message):
    """A wanted interlayer twist and the largest distance from it that counts as reached."""

    twist_deg: TwistDeg
    tolerance_deg: Annotated[FiniteFloat, Field(gt=0, le=30)] = 0.5


Targets = Annotated[list[WantedTwist], Field(min_length=1, max_length=32)]

Range = Annotated[list[Number], Field(min_length=2, max_length=2)]

Space = Annotated[dict[Identifier, Range], Field(min_length=1, max_length=32)]


class RetargetRequest(Message):
    """Search for these twists from now on, instead of all earlier targets. Earlier results still count."""

    tag: Literal["retarget_request/1"] = "retarget_request/1"
    targets: Targets
    requester: Requester = SOMEBODY


class ChangeSpaceRequest(Message):
    """Search within new bounds, [low, high], for some or all growth parameters."""

    tag: Literal["change_space_request/1"] = "change_space_request/1"
    space: Space
    requester: Requester = SOMEBODY


class ChangeBudgetRequest(Message):
    """Change the budget. A field that is None stays as it is."""

    tag: Literal["change_budget_request/1"] = "change_budget_request/1"
    results: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    wall_time_s: Annotated[FiniteFloat, Field(gt=0, le=1e10)] | None = None
    requester: Requester = SOMEBODY

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.results is None and self.wall_time_s is None:
            raise ValueError("expected results or wall_time_s, got neither")
        return self


class ScaleRequest(Message):
    """Keep this many workers in a pool from now on. Surplus workers give back what they hold, uncharged."""

    tag: Literal["scale_request/1"] = "scale_request/1"
    pool: Identifier = "main"
    workers: Annotated[int, Field(ge=0, le=4096)]
    requester: Requester = SOMEBODY


class NoteRequest(Message):
    """Write a remark into the log, about the campaign or one candidate."""

    tag: Literal["note_request/1"] = "note_request/1"
    text: Reason
    candidate_id: Identifier | None = None
    requester: Requester = SOMEBODY


SteeringRequest = (
    ProposeRequest
    | ReplicateRequest
    | CancelRequest
    | WithdrawRequest
    | PrioritiseRequest
    | StopRequest
    | PauseRequest
    | ResumeRequest
    | RetargetRequest
    | ChangeSpaceRequest
    | ChangeBudgetRequest
    | ScaleRequest
    | NoteRequest
)
"""Every request that changes something."""
