"""Replies in JSON (adapter)."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from moireloop_gateway.sources.followed import Followed


def json_response(content: Any, code: int = 200) -> Response:
    """JSON that no cache keeps; a NaN is a bug in moireloop."""
    return json_text(json.dumps(content, allow_nan=False, separators=(",", ":")), code)


def json_text(text: str | bytes, code: int = 200) -> Response:
    """JSON that is text already, which no cache keeps."""
    return Response(text, code, {"cache-control": "no-store"}, "application/json")


async def event_of_log(followed: Followed, log_id: str, name: str) -> Response:
    """One event of the log, whole, under a name beside its id."""
    milliseconds, number = (int(part) for part in log_id.split("-"))
    before = f"{milliseconds}-{number - 1}" if number else f"{milliseconds - 1}-{2**63 - 1}"
    entry = (await followed.page(before, 1)).entries[0]
    body = f'{{"id":{json.dumps(entry.id)},"{name}":{entry.message.model_dump_json()}}}'
    return json_text(body)
