"""What the model expects, what the cell admits, and where to go next (adapter)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response

from moireloop_gateway.web.endpoints.asked import followed_of, target_of
from moireloop_gateway.web.endpoints.replies import json_response
from moireloop_gateway.web.gateway import Gateway

if TYPE_CHECKING:
    from starlette.requests import Request


async def model(request: Request, gateway: Gateway) -> Response:
    """Maps of the model's probability of a hit over each pair of parameters. One fit serves all who wait for it."""
    followed = followed_of(request, gateway)
    async with gateway.turns["model"]:
        asked = gateway.predictions.program_input(followed)
        return json_response(await asyncio.to_thread(gateway.predictions.maps, asked))


async def cells(request: Request, gateway: Gateway) -> Response:
    """The coherent twists that the campaign's cell admits over its search space."""
    followed = followed_of(request, gateway)
    return json_response(await asyncio.to_thread(gateway.predictions.cells, followed))


async def chamber(request: Request, gateway: Gateway) -> Response:
    """Where chamber and computer should go next for a target, by the campaign's results and measured patterns."""
    followed, target = followed_of(request, gateway), target_of(request)
    async with gateway.turns["model"]:
        asked = gateway.predictions.program_input(followed)
        return json_response(await asyncio.to_thread(gateway.predictions.advice, asked, target))
