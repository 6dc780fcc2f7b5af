"""Runs: what was seen in their frames, how they ended, and which worker had them when (adapter)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from moireloop_analyzer.diffraction_settings import KINDS
from moireloop_gateway.sources.stored import stored_series
from moireloop_gateway.sources.structure import NoStructure
from moireloop_gateway.web.endpoints.asked import choice_of, followed_of, row_of, seconds_of
from moireloop_gateway.web.endpoints.replies import json_response, json_text
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_SPANS: Final = 4000


async def series(request: Request, gateway: Gateway) -> Response:
    """What was seen in the frames of a run: twist, order and temperature over its steps, for each attempt."""
    followed = followed_of(request, gateway)
    name = request.path_params["candidate"]
    series = followed.picture.runs.series_of(name)
    if not series and followed.place.folder is not None:
        series = await asyncio.to_thread(stored_series, followed.place.folder, name)
    return json_response({"series": series})


async def structure(request: Request, gateway: Gateway) -> Response:
    """The final structure of a run: atoms, layers, both lattices, the cell and the moire cell."""
    followed = followed_of(request, gateway)
    name = request.path_params["candidate"]
    attempt = int(followed.picture.results.numbers("attempt")[row_of(followed, name)])
    try:
        said = await gateway.in_turn("structure", lambda: gateway.structures.of(followed.place, name, attempt))
    except NoStructure as error:
        raise Refusal(404, "NoStructure", str(error)) from error
    return json_text(said)


async def simulated_pattern(request: Request, gateway: Gateway) -> Response:
    """The pattern that X-rays or electrons would show of a run's final structure."""
    followed, name = followed_of(request, gateway), request.path_params["candidate"]
    row_of(followed, name)
    kind = choice_of(request, "kind", KINDS)
    try:
        said = await gateway.in_turn("structure", lambda: gateway.structures.pattern(followed.place, name, kind))
    except NoStructure as error:
        raise Refusal(404, "NoStructure", str(error)) from error
    return json_text(said)


async def timeline(request: Request, gateway: Gateway) -> Response:
    """What each worker did when."""
    followed = followed_of(request, gateway)
    last_s = seconds_of(request, "last_s")
    begin_s = 0.0 if last_s is None else followed.now_s - last_s
    return json_response(followed.picture.timeline.since(begin_s, MOST_SPANS))
