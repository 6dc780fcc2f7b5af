"""What a request asks for: its campaign and its parameters, or the reason why it is refused (adapter)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from moireloop_broker.contract.message import MAX_SECONDS
from moireloop_broker.contract.search import Target
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request


def followed_of(request: Request, gateway: Gateway) -> Followed:
    """The campaign that an address names. Raises Refusal."""
    key = request.path_params["campaign"]
    followed = gateway.catalogue.follow(key)
    if followed is None:
        raise Refusal(404, "UnknownCampaign", f"expected a key of /api/v1/campaigns, got {key[:80]!r}")
    return followed


def row_of(followed: Followed, candidate_id: str) -> int:
    """The row of a candidate's result. Raises Refusal."""
    row = followed.picture.results.row_of.get(candidate_id)
    if row is None:
        raise Refusal(404, "UnknownCandidate", f"no result of {candidate_id[:80]!r} so far")
    return row


def refuse_observer(followed: Followed) -> None:
    """Nothing where the campaign would carry out what is asked. Raises Refusal."""
    if not followed.place.steers:
        text = "the gateway's grant is an observer's, who may follow and replay but not steer"
        raise Refusal(403, "NotAllowed", text)


def first_fault(error: ValidationError) -> str:
    """Where a body is not what is expected, and how, in a line."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where or 'body'}: {first['msg']}"


def words_of(request: Request, name: str) -> list[str]:
    """A parameter of words that commas separate."""
    return [part for part in request.query_params.get(name, "").split(",") if part]


def choice_of(request: Request, name: str, choices: Sequence[str]) -> str:
    """A parameter of a few words, the first where it is not given. Raises Refusal."""
    text = request.query_params.get(name, choices[0])
    if text not in choices:
        raise Refusal(422, "BadParameter", f"{name}: expected {' or '.join(choices)}, got {text[:40]!r}")
    return text


def whole_of(request: Request, name: str, default: int) -> int:
    """A parameter that is a whole number. Raises Refusal."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise Refusal(422, "BadParameter", f"{name}: expected a whole number, got {text[:40]!r}")
    return int(text)


def target_of(request: Request) -> dict[str, float] | None:
    """The target that the parameters describe, in degrees; None where there is none. Raises Refusal."""
    given = {name: request.query_params[name] for name in Target.model_fields if name in request.query_params}
    if not given:
        return None
    try:
        target = Target.model_validate(given)
    except ValidationError as error:
        raise Refusal(422, "BadParameter", first_fault(error)) from error
    return {"twist_deg": target.twist_deg, "tolerance_deg": target.tolerance_deg}


def seconds_of(request: Request, name: str) -> float | None:
    """A parameter that is a time in seconds. Raises Refusal."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS:
        raise Refusal(422, "BadParameter", f"{name}: expected a time in seconds, got {text[:40]!r}")
    return seconds


def log_id_of(request: Request, name: str) -> str | None:
    """A parameter that is an id of the log. Raises Refusal."""
    return checked_id(request.query_params.get(name))


def checked_id(text: str | None) -> str | None:
    """An id of the log; None where it is empty. Raises Refusal."""
    if not text:
        return None
    first, dash, second = text.partition("-")
    parts = (first, second)
    if not dash or not all(part.isascii() and part.isdecimal() and len(part) <= 19 for part in parts):
        raise Refusal(422, "BadParameter", f"expected an id of the log such as 1764450000000-0, got {text[:60]!r}")
    return text
