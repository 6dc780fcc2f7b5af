"""Measured patterns: taking one in, and showing them (adapter)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from starlette.responses import Response

from moireloop_gateway.web.endpoints.asked import first_fault, followed_of, refuse_observer
from moireloop_gateway.web.endpoints.replies import event_of_log, json_response
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal
from moireloop_gateway.web.patterns import SubmitPattern, submitted

if TYPE_CHECKING:
    from starlette.requests import Request


async def submit_pattern(request: Request, gateway: Gateway) -> Response:
    """Index a measured pattern and put it into the log; an unknown twist is a reason, not an error."""
    followed = followed_of(request, gateway)
    refuse_observer(followed)
    try:
        body = SubmitPattern.model_validate_json(await request.body())
    except ValidationError as error:
        raise Refusal(422, "MalformedRequest", first_fault(error)) from error
    return json_response({"pattern": await gateway.in_turn("pattern", lambda: submitted(followed.place, body))})


async def patterns(request: Request, gateway: Gateway) -> Response:
    """The last measured patterns and what they show, without their peaks."""
    return json_response({"patterns": list(followed_of(request, gateway).picture.patterns.values())})


async def pattern(request: Request, gateway: Gateway) -> Response:
    """One whole measured pattern, as in the log."""
    followed = followed_of(request, gateway)
    name = request.path_params["pattern"]
    if name not in followed.picture.patterns:
        raise Refusal(404, "UnknownPattern", f"no pattern {name[:80]!r} among the last ones")
    return await event_of_log(followed, followed.picture.patterns[name]["id"], "pattern")
