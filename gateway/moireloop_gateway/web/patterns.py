"""Measured patterns over HTTP: the body of a submission, and the program that indexes and submits it (adapter).

Indexing takes a second of numbers. It runs in its own process, so that no listener waits for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, FiniteFloat

from moireloop_broker.contract.message import Identifier, Message, Number, Seconds
from moireloop_broker.contract.patterns import LARGEST_Q_PER_ANGSTROM, MOST_PATTERN_PEAKS, ChamberParameters
from moireloop_broker.contract.steering import SOMEBODY, Requester
from moireloop_gateway.programs import NoAnswer, answer_of
from moireloop_gateway.web.guard import Refusal
from moireloop_gateway.web.steering import BY_PAGE

if TYPE_CHECKING:
    from moireloop_gateway.sources.place import Source

PROGRAM: Final = "moireloop_gateway.sources.pattern_process"

LIMIT_S: Final = 60.0

CODES: Final = {
    "PatternRefused": 422, "MalformedRequest": 422, "NotRunning": 503, "MissingExtra": 501, "RequestRefused": 409,
}  # fmt: skip
"""What the program may refuse, and the code of the answer."""

Column = Annotated[list[Number | None], Field(max_length=MOST_PATTERN_PEAKS)]

Length = Annotated[FiniteFloat, Field(ge=0, le=LARGEST_Q_PER_ANGSTROM)]

Constant = Annotated[FiniteFloat, Field(ge=1, le=20)]


class SubmitPattern(Message):
    """Index a measured pattern and put it into the log; columns are as in a table of peaks (docs/compare.md)."""

    columns: Annotated[dict[Annotated[str, Field(max_length=64)], Column], Field(min_length=1, max_length=16)]
    pattern_id: Identifier | None = None
    parameters: ChamberParameters = Field(default_factory=dict)
    measured_s: Seconds | None = None
    lattices: Annotated[list[Constant], Field(min_length=2, max_length=2)] | None = None
    max_strain: Annotated[FiniteFloat, Field(gt=0, le=0.2)] | None = None
    scale_within: Annotated[FiniteFloat, Field(gt=0, le=0.5)] | None = None
    centre_error: Length = 0.0
    instrument_fwhm: Length = 0.0
    requester: Requester = SOMEBODY


def submitted(place: Source, body: SubmitPattern) -> Any:
    """The event of the log, in JSON. Blocks for a second. Raises Refusal."""
    named = body.requester if body.requester != SOMEBODY else BY_PAGE
    asked = body.model_copy(update={"requester": named}).model_dump()
    request = {"folder": place.where, "connection": str(place.connection_file), "body": asked}
    try:
        said = json.loads(answer_of(PROGRAM, "pattern", request, LIMIT_S))
    except NoAnswer as error:
        raise Refusal(503, "PatternFault", f"indexing the pattern: {error}") from error
    if "error" not in said:
        return said
    kind, message = said["error"], said["message"]
    if kind == "RequestRefused":
        refused, _, message = message.partition(": ")
        raise Refusal(CODES[kind], refused, message)
    raise Refusal(CODES[kind], kind, message)
