"""The event log, as pages and as it grows, and the log files of services (adapter)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from moireloop_gateway.picture.hub import event_json
from moireloop_gateway.web.endpoints.asked import checked_id, followed_of, log_id_of, whole_of, words_of
from moireloop_gateway.web.endpoints.replies import json_response, json_text
from moireloop_gateway.web.events import event_stream
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request


async def log(request: Request, gateway: Gateway) -> Response:
    """A page of the event log, oldest first."""
    followed = followed_of(request, gateway)
    limit = min(whole_of(request, "limit", 200), 1000)
    page = await followed.page(log_id_of(request, "since") or "0-0", max(1, limit))
    events = ",".join(
        f'{{"id":{json.dumps(entry.id)},"topic":{json.dumps(entry.message.tag)},"event":{event_json(entry.message)}}}'
        for entry in page.entries
    )
    body = f'{{"events":[{events}],"last_id":{json.dumps(page.last_id)},"complete":{json.dumps(page.complete)}}}'
    return json_text(body)


async def events(request: Request, gateway: Gateway) -> Response:
    """Server-sent events: the log from `Last-Event-ID` on without a gap, and what is observed in frames."""
    followed = followed_of(request, gateway)
    since = checked_id(request.headers.get("last-event-id") or None) or log_id_of(request, "since")
    topics = frozenset(words_of(request, "topics"))
    stream = gateway.counted(event_stream(followed, since, topics))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, 200, headers, "text/event-stream")


async def remarks(request: Request, gateway: Gateway) -> Response:
    """What happened to the campaign as a whole: sessions, crashes, early ends, requests."""
    return json_response({"remarks": list(followed_of(request, gateway).picture.remarks)})


async def logs(request: Request, gateway: Gateway) -> Response:
    """The services that have a log file."""
    followed = followed_of(request, gateway)
    return json_response({"services": await asyncio.to_thread(followed.place.services)})


async def log_tail(request: Request, gateway: Gateway) -> Response:
    """The end of a service's log file."""
    followed, service = followed_of(request, gateway), request.path_params["service"]
    text = await asyncio.to_thread(followed.place.log_tail, service)
    if text is None:
        reason = followed.place.absent or f"expected a service of /logs, got {service[:80]!r}"
        raise Refusal(404, "UnknownService", reason)
    return json_response({"service": service, "text": text})
