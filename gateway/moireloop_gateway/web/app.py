"""The application: addresses, dashboard files and metrics behind one guard (adapter)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from moireloop.client.client import NotRunning, RequestRefused
from moireloop_gateway.sources.stored import Unreadable
from moireloop_gateway.web.addresses import ADDRESSES
from moireloop_gateway.web.endpoints.replies import json_response
from moireloop_gateway.web.endpoints.table import ENDPOINTS
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal
from moireloop_gateway.web.metrics import metrics_text
from moireloop_gateway.web.openapi import openapi

STATIC: Final = Path(__file__).parents[1] / "static"

PLOTLY: Final = "package_data/plotly.min.js"


def create_app(gateway: Gateway) -> Starlette:
    """The application, without the guard that stands before it."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        gateway.catalogue.close()

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def description(_: Request) -> Response:
        return json_response(openapi(gateway.version))

    async def metrics(_: Request) -> Response:
        text = await metrics_text(gateway)
        return Response(text, 200, {"cache-control": "no-store"}, "text/plain; version=1.0.0; charset=utf-8")

    async def plotly(_: Request) -> Response:
        file = plotly_file()
        if file is None:
            raise Refusal(404, "NoPlotly", "the package plotly is not installed: pip install 'moireloop[gateway]'")
        return FileResponse(file, media_type="text/javascript", headers={"cache-control": "max-age=86400"})

    routes = [
        Route("/", page),
        Route("/api/v1/openapi.json", description),
        *(Route(f"/api/v1{one.path}", _bound(gateway, one.handler), methods=[one.method]) for one in ADDRESSES),
        Route("/metrics", metrics),
        Route("/vendor/plotly.min.js", plotly),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers: dict[Any, Any] = {Refusal: _refused, HTTPException: _not_there, Exception: _broken}
    handlers |= dict.fromkeys((NotRunning, RequestRefused, Unreadable), _not_answered)
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)


@cache
def plotly_file() -> Path | None:
    """The JavaScript that the package plotly ships; it is found without importing the package."""
    spec = find_spec("plotly")
    places = [] if spec is None else [Path(place) / PLOTLY for place in spec.submodule_search_locations or ()]
    return next((place for place in places if place.is_file()), None)


def _bound(gateway: Gateway, name: str) -> Callable[[Request], Awaitable[Response]]:
    handler = ENDPOINTS[name]

    async def answered(request: Request) -> Response:
        return await handler(request, gateway)

    return answered


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101
    return json_response({"error": error.error, "message": error.message}, error.code)


async def _not_answered(_: Request, error: Exception) -> Response:
    """The campaign, not the gateway, has no answer now."""
    return json_response({"error": type(error).__name__, "message": str(error)}, 503)


async def _not_there(_: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    names = {404: "NotFound", 405: "MethodNotAllowed", 413: "TooLarge"}
    return json_response({"error": names.get(code, "HttpError"), "message": str(getattr(error, "detail", ""))}, code)


async def _broken(_: Request, error: Exception) -> Response:
    content: dict[str, Any] = {"error": "GatewayFault", "message": f"a fault of the gateway: {type(error).__name__}"}
    return Response(json.dumps(content), 500, media_type="application/json")
