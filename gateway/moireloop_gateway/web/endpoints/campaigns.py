"""The caller, the list of campaigns, and one campaign at a moment (adapter)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response

from moireloop_broker.contract.topics import LOG_TOPICS, OBSERVATION
from moireloop_gateway.picture.hub import PHASE_TOPIC
from moireloop_gateway.web.endpoints.asked import followed_of
from moireloop_gateway.web.endpoints.replies import json_response
from moireloop_gateway.web.gateway import Gateway

if TYPE_CHECKING:
    from starlette.requests import Request


async def session(request: Request, gateway: Gateway) -> Response:
    """Who the caller is, and what a page sends with its changes."""
    role = request.scope["role"]
    return json_response(
        {
            "role": role,
            "csrf": gateway.tokens.csrf(role),
            "topics": sorted([*LOG_TOPICS, OBSERVATION, PHASE_TOPIC]),
            "version": gateway.version,
        }
    )


async def campaigns(_: Request, gateway: Gateway) -> Response:
    """The campaigns that are there, and whether each runs."""
    places = await asyncio.to_thread(gateway.catalogue.places)
    for place in places:
        if place.folder is None:
            gateway.catalogue.follow(place.key)
    shown = await asyncio.to_thread(lambda: [gateway.listed(place) for place in places])
    return json_response({"campaigns": shown})


async def summary(request: Request, gateway: Gateway) -> Response:
    """State, budget, time, targets, workers, services and counters of a campaign."""
    followed = followed_of(request, gateway)
    return json_response(await gateway.summary(followed))
