"""Requests of controllers: what there is, and carrying one out (adapter)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from starlette.responses import Response

from moireloop.client.client import NotRunning, RequestRefused
from moireloop.client.requests import BadArgument
from moireloop_gateway.web.endpoints.asked import first_fault, followed_of, refuse_observer
from moireloop_gateway.web.endpoints.replies import json_response
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal
from moireloop_gateway.web.steering import STEERING

if TYPE_CHECKING:
    from starlette.requests import Request


async def steering_forms(_: Request, gateway: Gateway) -> Response:
    """The requests that a controller may make: what each does, carries, and cannot take back."""
    return json_response(
        {
            "requests": [
                {
                    "name": name,
                    "summary": entry.summary,
                    "danger": entry.danger,
                    "schema": entry.schema(),
                }
                for name, entry in STEERING.items()
            ]
        }
    )


async def steer(request: Request, gateway: Gateway) -> Response:
    """Carry out one request of a controller."""
    followed, name = followed_of(request, gateway), request.path_params["request"]
    if name not in STEERING:
        raise Refusal(404, "UnknownRequest", f"expected one of {', '.join(STEERING)}, got {name[:80]!r}")
    refuse_observer(followed)
    steering = STEERING[name]
    try:
        body = steering.body.model_validate_json(await request.body())
    except ValidationError as error:
        raise Refusal(422, "MalformedRequest", first_fault(error)) from error
    try:
        await followed.ask(lambda client: steering.carry_out(client, body))
    except BadArgument as error:
        raise Refusal(422, "MalformedRequest", str(error)) from error
    except NotRunning as error:
        raise Refusal(503, "NotRunning", str(error)) from error
    except RequestRefused as error:
        kind, _, message = str(error).partition(": ")
        raise Refusal(409, kind, message) from error
    return json_response({"accepted": True})
