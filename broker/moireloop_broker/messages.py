"""Every message of moireloop, declared once: events of the log, observations, frames and control (pure).

A message travels as MessagePack of its fields. The field `tag` names the kind and its version ("result/3") and
selects the model. Fields that a model does not declare are refused, and so are numbers that are not finite.
Times are seconds since the Unix epoch; other units stand in the names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal, Self, TypeVar

import msgpack
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
MAX_FRAME_ATOMS: Final = 200_000_000
MAX_FINAL_ATOMS: Final = 40_000_000
"""Atoms of a final frame, 13 bytes each: a Redis value has at most 512 MiB (redis.io/docs, `proto-max-bulk-len`)."""

MAX_PARTS: Final = 4096
MAX_ERROR_CHARACTERS: Final = 500
MAX_ANALYSES: Final = 8
MAX_ANALYSIS_ENTRIES: Final = 64
MAX_ANALYSIS_VALUES: Final = 8192
"""Values in all arrays of one analysis: 64 KiB of float 64."""

FRAME_TOPIC: Final = b"frame/3"

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
LogId = Annotated[str, Field(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$")]
Reason = Annotated[str, Field(min_length=1, max_length=4000)]
Attempt = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[FiniteFloat, Field(ge=0)]
TwistDeg = Annotated[FiniteFloat, Field(ge=0, le=30)]
Order = Annotated[FiniteFloat, Field(ge=0, le=1)]
PlaneVectors = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
Row = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]
Element = Annotated[str, Field(pattern=r"^([A-Z][a-z]?)?$", max_length=2)]
Parameters = Annotated[dict[Identifier, FiniteFloat], Field(min_length=1, max_length=32)]


class MalformedMessage(ValueError):
    """Bytes from outside are not a message of this contract; the text says which part and why."""


class Message(BaseModel):
    """Base of all messages: frozen, strict, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Candidate(Message):
    """One point of the search space, proposed for evaluation.

    `parameters` maps growth parameters to values, with the unit in the name (`temperature_k`; strains are
    fractions). `seed` feeds every random number of the run. `target_deg` is the target it was proposed for.
    """

    candidate_id: Identifier
    parameters: Parameters
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    target_deg: TwistDeg | None = None
    strategy: Annotated[str, Field(max_length=64)] = "outside"
    proposed_s: Seconds


class StageTimes(Message):
    """When a candidate passed each stage, for overhead and utilisation; None where it never did."""

    proposed_s: Seconds
    queued_s: Seconds | None = None
    leased_s: Seconds | None = None
    started_s: Seconds | None = None
    finished_s: Seconds | None = None
    analysed_s: Seconds | None = None
    logged_s: Seconds | None = None


class Measurement(Message):
    """What an analyzer made of one set of positions: a twist, or the reason why there is none.

    `twist_deg` is in [0, 30]; `signed_deg` in [-30, 30] keeps the sense of rotation; `sigma_deg` is a standard error.
    Orders are |psi6| in [0, 1]; lattice constants and the wavelength of the moire pattern are in angstrom.
    `confidence` is the share of atoms that lie on the lattice of their layer's majority grain, in the layer where it is
    smaller; `grains_lower` and `grains_upper` count the grains of each layer. Vectors in the plane are x and y of the
    first, then of the second, in angstrom: those of the cell, and of the lattices that the twist is taken from.
    """

    twist_deg: TwistDeg | None = None
    signed_deg: Annotated[FiniteFloat, Field(ge=-30, le=30)] | None = None
    sigma_deg: Annotated[FiniteFloat, Field(ge=0)] | None = None
    reason: Reason | None = None
    order_lower: Order | None = None
    order_upper: Order | None = None
    lattice_lower_angstrom: FiniteFloat | None = None
    lattice_upper_angstrom: FiniteFloat | None = None
    moire_angstrom: FiniteFloat | None = None
    confidence: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    stacking: Literal["R", "H"] | None = None
    grains_lower: Annotated[int, Field(ge=0)] | None = None
    grains_upper: Annotated[int, Field(ge=0)] | None = None
    cell_vectors_angstrom: PlaneVectors | None = None
    lower_vectors_angstrom: PlaneVectors | None = None
    upper_vectors_angstrom: PlaneVectors | None = None

    @model_validator(mode="after")
    def _number_or_reason(self) -> Self:
        if (self.twist_deg is None) == (self.reason is None):
            raise ValueError("expected either twist_deg or reason, got both or neither")
        return self


class AnalysisArray(Message):
    """Numbers in one or two dimensions: `values` row by row, as many as `shape` says."""

    shape: Annotated[list[Annotated[int, Field(ge=0, le=MAX_ANALYSIS_VALUES)]], Field(min_length=1, max_length=2)]
    values: Annotated[list[FiniteFloat], Field(max_length=MAX_ANALYSIS_VALUES)]

    @model_validator(mode="after")
    def _values_fill_the_shape(self) -> Self:
        if math.prod(self.shape) != len(self.values):
            raise ValueError(f"expected {math.prod(self.shape)} values for shape {self.shape}, got {len(self.values)}")
        return self


class AnalysisOutcome(Message):
    """What one analyzer made of a frame, by names that hold their units; or the reason why it made nothing.

    `reasons` say of single names why there is no number or array.
    """

    numbers: Annotated[dict[Identifier, FiniteFloat], Field(max_length=MAX_ANALYSIS_ENTRIES)] = {}
    arrays: Annotated[dict[Identifier, AnalysisArray], Field(max_length=MAX_ANALYSIS_ENTRIES)] = {}
    reasons: Annotated[dict[Identifier, Reason], Field(max_length=MAX_ANALYSIS_ENTRIES)] = {}
    reason: Reason | None = None

    @model_validator(mode="after")
    def _is_small(self) -> Self:
        total = sum(len(array.values) for array in self.arrays.values())
        if total > MAX_ANALYSIS_VALUES:
            raise ValueError(f"expected at most {MAX_ANALYSIS_VALUES} values in all arrays, got {total}")
        return self


Analyses = Annotated[dict[Identifier, AnalysisOutcome], Field(max_length=MAX_ANALYSES)]
"""What the analyzers that a campaign file names made of a frame, by their names."""


class RunReport(Message):
    """What a worker says of a run that it brought to its end.

    `steps` is the step of its schedule at which it ended, of `planned_steps` in all, that of the final frame. Those
    after `resumed_from_step` (0: from the beginning) were computed in this attempt, those before in earlier ones, by
    way of a restart file. `ended` is how it came to its end. `md_s` is the time that this attempt spent inside LAMMPS,
    that of a preparation that it had to make included.
    """

    worker: Identifier
    started_s: Seconds
    finished_s: Seconds
    steps: Annotated[int, Field(ge=0)]
    planned_steps: Annotated[int, Field(ge=0)] = 0
    ended: Literal["completed", "settled", "hopeless", "cancelled"] = "completed"
    md_s: Seconds
    frames_sent: Annotated[int, Field(ge=0)] = 0
    frames_dropped: Annotated[int, Field(ge=0)] = 0
    resumed_from_step: Annotated[int, Field(ge=0)] = 0
    provenance: dict[str, str] = {}


class CandidateQueued(Message):
    """A candidate waits for a worker, for the first time or again; `reason` says why again."""

    tag: Literal["candidate_queued/1"] = "candidate_queued/1"
    candidate: Candidate
    attempt: Attempt
    queued_s: Seconds
    reason: Reason | None = None


class RunLeased(Message):
    """A worker holds the lease of a candidate and has begun this attempt."""

    tag: Literal["run_leased/1"] = "run_leased/1"
    candidate_id: Identifier
    attempt: Attempt
    worker: Identifier
    leased_s: Seconds


class RunFinished(Message):
    """The MD of a run is over and its final frame is kept; the analysis is to come."""

    tag: Literal["run_finished/1"] = "run_finished/1"
    candidate_id: Identifier
    attempt: Attempt
    report: RunReport


class RunFailed(Message):
    """An attempt ended without a final frame.

    `charged` is whether it used up one of the candidate's attempts; a lost machine does not.
    """

    tag: Literal["run_failed/1"] = "run_failed/1"
    candidate_id: Identifier
    attempt: Attempt
    worker: Identifier
    reason: Reason
    charged: bool
    failed_s: Seconds


class CancelRequested(Message):
    """Somebody asked for the early end of a candidate."""

    tag: Literal["cancel_requested/1"] = "cancel_requested/1"
    candidate_id: Identifier
    reason: Reason


class EarlyEndOrdered(Message):
    """An analyzer found a run settled or hopeless at this step of it, and ordered its end."""

    tag: Literal["early_end_ordered/1"] = "early_end_ordered/1"
    candidate_id: Identifier
    attempt: Attempt
    ending: Literal["settled", "hopeless"]
    reason: Reason
    step: Annotated[int, Field(ge=0)]
    ordered_s: Seconds


class Result(Message):
    """What a candidate came to. There is exactly one for each candidate.

    `measured`: a twist was measured. `refused`: the run ended, but there is no twist to report. `failed`: every
    attempt failed (a dead letter). `cancelled`: ended on request. A run that was ended early as settled or hopeless
    is measured or refused like any other; its `reason` is then that of the order. `analyses` are those of the final
    frame.
    """

    tag: Literal["result/3"] = "result/3"
    candidate: Candidate
    attempt: Attempt
    outcome: Literal["measured", "refused", "failed", "cancelled"]
    reason: Reason | None = None
    measurement: Measurement | None = None
    analyses: Analyses = {}
    report: RunReport | None = None
    times: StageTimes

    @model_validator(mode="after")
    def _outcome_has_its_parts(self) -> Self:
        twist = self.measurement.twist_deg if self.measurement else None
        if self.outcome == "measured" and twist is None:
            raise ValueError("expected a twist with outcome 'measured', got none")
        if self.outcome in ("refused", "failed") and (twist is not None or self.reason is None):
            raise ValueError(f"expected a reason and no twist with outcome {self.outcome!r}")
        return self

    @property
    def twist_deg(self) -> float | None:
        """Final twist in degrees, in [0, 30], or None where there is none to report."""
        return self.measurement.twist_deg if self.measurement else None


class ServiceChanged(Message):
    """A service of the set started, stopped, or ended unasked (`crashed`)."""

    tag: Literal["service_changed/1"] = "service_changed/1"
    service: Identifier
    state: Literal["started", "stopped", "crashed"]
    reason: Reason | None = None
    at_s: Seconds


class CampaignChanged(Message):
    """The campaign as a whole started, was resumed, drains, or came to its end."""

    tag: Literal["campaign_changed/1"] = "campaign_changed/1"
    state: Literal["started", "resumed", "draining", "stopped", "completed"]
    reason: Reason | None = None
    at_s: Seconds


class Observation(Message):
    """What an analyzer made of one frame of a run that is still going on.

    Temperature, pressure and energies are those of the whole system, as the frame's header has them.
    """

    tag: Literal["observation/4"] = "observation/4"
    candidate_id: Identifier
    attempt: Attempt
    step: Annotated[int, Field(ge=0)]
    time_ps: FiniteFloat
    temperature_k: FiniteFloat | None = None
    pressure_bar: FiniteFloat | None = None
    potential_ev: FiniteFloat | None = None
    kinetic_ev: FiniteFloat | None = None
    final: bool = False
    planned_steps: Annotated[int, Field(ge=0)] = 0
    measurement: Measurement


class FrameAnalysed(Message):
    """What the analyzers that the campaign file names made of one frame of a run that is still going on.

    It follows the observation of the same frame, which does not wait for it.
    """

    tag: Literal["frame_analysed/1"] = "frame_analysed/1"
    candidate_id: Identifier
    attempt: Attempt
    step: Annotated[int, Field(ge=0)]
    time_ps: FiniteFloat
    temperature_k: FiniteFloat | None = None
    analyses: Analyses


EventOfLog = (
    CandidateQueued
    | RunLeased
    | RunFinished
    | RunFailed
    | CancelRequested
    | EarlyEndOrdered
    | Result
    | ServiceChanged
    | CampaignChanged
)
Event = Annotated[EventOfLog, Field(discriminator="tag")]
"""What stands in the event log."""

Published = Annotated[EventOfLog | Observation | FrameAnalysed, Field(discriminator="tag")]
"""What the relay publishes: every event of the log, and what was observed in frames."""


EARLIER: Final = {"result/1": "result/3", "result/2": "result/3", "observation/3": "observation/4"}
"""Tags on record in campaigns of earlier versions: all of their fields are still there, later ones have defaults."""


class Stamp(Message):
    """Part two of a published message: its id, and the id before it on the same topic ("0-0" for the first).

    A subscriber whose last id differs from `previous` has missed messages and replays from the id it has.
    """

    tag: Literal["stamp/1"] = "stamp/1"
    id: LogId
    previous: LogId


class StatusRequest(Message):
    """Ask for the state of the campaign."""

    tag: Literal["status_request/1"] = "status_request/1"


class ReplayRequest(Message):
    """Ask for messages of the log after the id `since`, oldest first, at most `limit`; `topics` empty means all."""

    tag: Literal["replay_request/1"] = "replay_request/1"
    since: LogId = "0-0"
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000
    topics: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=32)] = []


class ProposeRequest(Message):
    """Put a candidate of one's own into the queue. The same `candidate_id` twice is one candidate."""

    tag: Literal["propose_request/1"] = "propose_request/1"
    candidate_id: Identifier
    parameters: Parameters
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class CancelRequest(Message):
    """End a candidate early, queued or running."""

    tag: Literal["cancel_request/1"] = "cancel_request/1"
    candidate_id: Identifier
    reason: Reason


class StopRequest(Message):
    """Let running candidates finish, lease no more, then stop the campaign; `resume` goes on from there."""

    tag: Literal["stop_request/1"] = "stop_request/1"
    reason: Reason = "asked to stop"


Request = Annotated[
    StatusRequest | ReplayRequest | ProposeRequest | CancelRequest | StopRequest, Field(discriminator="tag")
]
"""What the control endpoint understands."""


class WorkerStatus(Message):
    """One worker: the candidate that it holds (None when idle) and the last step that it reported."""

    worker: Identifier
    candidate_id: Identifier | None = None
    attempt: Attempt | None = None
    step: Annotated[int, Field(ge=0)] = 0
    seen_s: Seconds


class Status(Message):
    """State of a campaign. `counts` has queued, running, analysing and, per outcome, results."""

    tag: Literal["status/1"] = "status/1"
    campaign: Identifier
    state: Literal["started", "resumed", "draining", "stopped", "completed"]
    counts: dict[str, int]
    counters: dict[str, int]
    workers: list[WorkerStatus]
    services: dict[str, str]
    last_id: LogId


class ReplayEntry(Message):
    """One entry of the log: its stamp's id, its topic and the MessagePack bytes of the event."""

    id: LogId
    topic: str
    body: bytes


class Replay(Message):
    """Answer to a replay request; `last_id` continues it, `complete` is whether the log ended there."""

    tag: Literal["replay/1"] = "replay/1"
    entries: list[ReplayEntry]
    last_id: LogId
    complete: bool


class Accepted(Message):
    """The request was carried out (or had been before)."""

    tag: Literal["accepted/1"] = "accepted/1"


class Refusal(Message):
    """The request was not carried out: the error's name, and what was expected and what came."""

    tag: Literal["refusal/1"] = "refusal/1"
    error: str
    message: str


Reply = Annotated[Status | Replay | Accepted | Refusal, Field(discriminator="tag")]
"""What the control endpoint answers."""


class FrameHeader(Message):
    """Part two of a frame message; the raw buffers follow as parts three and four.

    `cell` holds the rows a, b, c in angstrom. Positions are `dtype` (N, 3) in angstrom, little-endian, row by row;
    types are uint8 (N,). `lattice_types` are the types whose in-plane lattice carries the twist; `elements` has the
    chemical symbol of type 1 first, "" where it is unknown, and may be shorter than there are types. Temperature,
    pressure and energies are those of the whole system, atoms that are not sent included; None where not known.
    With `parts` above 1 the message is one part of a frame: the headers of all its parts differ in `shape` and
    `part` alone.
    """

    tag: Literal["frame/3"] = "frame/3"
    candidate_id: Identifier
    attempt: Attempt
    step: Annotated[int, Field(ge=0)]
    time_ps: FiniteFloat
    cell: Annotated[list[Row], Field(min_length=3, max_length=3)]
    periodic: Annotated[list[bool], Field(min_length=3, max_length=3)]
    dtype: Literal["<f4"] = "<f4"
    shape: Annotated[list[Annotated[int, Field(ge=0, le=MAX_FRAME_ATOMS)]], Field(min_length=2, max_length=2)]
    lattice_types: Annotated[list[Annotated[int, Field(ge=1, le=255)]], Field(min_length=1, max_length=16)]
    elements: Annotated[list[Element], Field(max_length=255)] = []
    temperature_k: FiniteFloat | None = None
    pressure_bar: FiniteFloat | None = None
    potential_ev: FiniteFloat | None = None
    kinetic_ev: FiniteFloat | None = None
    final: bool = False
    planned_steps: Annotated[int, Field(ge=0)] = 0
    part: Annotated[int, Field(ge=0, lt=MAX_PARTS)] = 0
    parts: Annotated[int, Field(ge=1, le=MAX_PARTS)] = 1

    @model_validator(mode="after")
    def _part_of_parts(self) -> Self:
        if self.part >= self.parts:
            raise ValueError(f"expected a part below {self.parts}, the number of parts, got {self.part}")
        return self

    def at(
        self,
        step: int,
        time_ps: float,
        cell: list[list[float]],
        temperature_k: float | None = None,
        pressure_bar: float | None = None,
        potential_ev: float | None = None,
        kinetic_ev: float | None = None,
    ) -> Self:
        """The header of another frame of the same run. Finite numbers are taken on trust: the receiver checks them."""
        changed = {
            "step": step,
            "time_ps": time_ps,
            "cell": cell,
            "temperature_k": temperature_k,
            "pressure_bar": pressure_bar,
            "potential_ev": potential_ev,
            "kinetic_ev": kinetic_ev,
        }
        return self.model_copy(update=changed)


class Frame:
    """Positions of one instant of a run: a header, positions float32 (N, 3) in angstrom and types uint8 (N,)."""

    __slots__ = ("header", "positions", "types")

    def __init__(self, header: FrameHeader, positions: npt.NDArray[np.float32], types: npt.NDArray[np.uint8]) -> None:
        self.header = header
        self.positions = positions
        self.types = types


T = TypeVar("T")
M = TypeVar("M", bound=Message)

_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {
    "published": TypeAdapter(Published),
    "event": TypeAdapter(Event),
    "request": TypeAdapter(Request),
    "reply": TypeAdapter(Reply),
}
_FRAME_HEADER: Final = TypeAdapter(FrameHeader)


def pack(message: Message) -> bytes:
    """MessagePack bytes of a message, fields by name."""
    packed: bytes = msgpack.packb(message.model_dump(), use_bin_type=True)
    return packed


def unpack_event(data: bytes) -> Event:
    """An event of the log. Raises MalformedMessage."""
    event: Event = _validated(_ADAPTERS["event"], _recorded(data))
    return event


def unpack_published(data: bytes) -> Published:
    """The body of a published message. Raises MalformedMessage."""
    message: Published = _validated(_ADAPTERS["published"], _recorded(data))
    return message


def unpack_request(data: bytes) -> Request:
    """A request to the control endpoint. Raises MalformedMessage."""
    request: Request = _validated(_ADAPTERS["request"], _decoded(data))
    return request


def unpack_reply(data: bytes) -> Reply:
    """An answer of the control endpoint. Raises MalformedMessage."""
    reply: Reply = _validated(_ADAPTERS["reply"], _decoded(data))
    return reply


def unpack_as(model: type[M], data: bytes) -> M:
    """One message of a known model. Raises MalformedMessage."""
    message: M = _validated(_adapter_of(model), _decoded(data))
    return message


def frame_parts(frame: Frame) -> list[bytes | memoryview]:
    """The multipart message of a frame; positions and types are passed on as buffers, not copied."""
    header: bytes = msgpack.packb(frame.header.__dict__)  # flat: model_dump would give the same, more slowly
    return [FRAME_TOPIC, header, frame.positions.reshape(-1).view(np.uint8).data, frame.types.data]


def frame_from_parts(parts: Sequence[bytes | memoryview]) -> Frame:
    """The frame in a multipart message, its arrays views of the buffers received.

    Raises:
        MalformedMessage: wrong number of parts, a bad header, or buffers that do not fit the header's shape.
    """
    if len(parts) != 4:
        raise MalformedMessage(f"expected a frame of 4 parts, got {len(parts)}")
    topic, header_bytes, positions, types = parts
    if topic != FRAME_TOPIC:
        raise MalformedMessage(f"expected topic {FRAME_TOPIC!r}, got {bytes(topic[:40])!r}")
    header: FrameHeader = _validated(_FRAME_HEADER, _decoded(header_bytes))
    atoms, columns = header.shape
    expected, came = (atoms * 12, atoms, 3), (len(positions), len(types), columns)
    if expected != came:
        raise MalformedMessage(
            f"expected buffers of {atoms} x 3 float32 and {atoms} uint8, got {came[:2]} bytes and shape {header.shape}"
        )
    return Frame(header, np.frombuffer(positions, "<f4").reshape(atoms, 3), np.frombuffer(types, np.uint8))


def _decoded(data: bytes | memoryview) -> Any:
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(f"expected at most {MAX_MESSAGE_BYTES} bytes, got {len(data)}")
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"expected MessagePack, got {bytes(data[:40])!r}: {error}") from error


def _recorded(data: bytes | memoryview) -> Any:
    """What was written down, perhaps by an earlier version, with the tag of today."""
    fields = _decoded(data)
    tag = fields.get("tag") if isinstance(fields, dict) else None
    return {**fields, "tag": EARLIER[tag]} if isinstance(tag, str) and tag in EARLIER else fields


def _validated(adapter: TypeAdapter[T], fields: Any) -> T:
    try:
        return adapter.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise MalformedMessage(_printable(f"{where}: {first['msg']}")) from error


def _printable(text: str) -> str:
    """One short line without control characters, since the text holds what came and goes into logs and answers."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_ERROR_CHARACTERS])


@cache
def _adapter_of(model: type[M]) -> TypeAdapter[M]:
    return TypeAdapter(model)
