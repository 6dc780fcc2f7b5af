"""Results, as pages and as files; candidates without one, failures, and recipes (adapter)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from starlette.responses import Response, StreamingResponse

from moireloop_broker.extras import MissingExtra, extras_for
from moireloop_gateway.picture.columns import PARAMETER
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.web.downloads import csv_parts, json_parts
from moireloop_gateway.web.endpoints.asked import choice_of, followed_of, log_id_of, row_of, whole_of, words_of
from moireloop_gateway.web.endpoints.replies import event_of_log, json_response
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal
from moireloop_gateway.web.recipes import recipes_json

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_RESULTS: Final = 10_000
"""Of one page; the next one continues after its last id."""


async def results(request: Request, gateway: Gateway) -> Response:
    """Results as columns, or all of them as a file, in the order of the log."""
    followed = followed_of(request, gateway)
    columns = followed.picture.results
    is_csv = choice_of(request, "format", ("json", "csv")) == "csv"
    is_file = choice_of(request, "download", ("false", "true")) == "true" or is_csv
    if is_file:
        await _whole_log(followed)
    names = words_of(request, "columns") or columns.names
    if unknown := set(names) - set(columns.names) - {PARAMETER + name for name in followed.bounds or ()}:
        raise Refusal(422, "UnknownColumn", f"expected columns of {columns.names}, got {sorted(unknown)[0][:80]!r}")
    names = [name for name in names if name in columns.names]
    first = columns.row_after(log_id_of(request, "after") or "0-0")
    most = len(columns) if is_file else MOST_RESULTS
    last = min(len(columns), first + min(most, whole_of(request, "limit", most)))
    rows: Sequence[int] = range(first, last)
    if wanted := words_of(request, "outcome"):
        rows = [row for row, word in enumerate(columns.words("outcome")) if first <= row < last and word in wanted]
    last_id = columns.values("id", [last - 1])[0] if last > first else log_id_of(request, "after") or "0-0"
    complete = last == len(columns) and followed.is_read
    page = {"total": len(columns), "last_id": last_id, "phase": followed.phase, "complete": complete}
    if is_csv:
        return _file(followed, "csv", csv_parts(columns, names, rows), "text/csv")
    if is_file:
        return _file(followed, "json", json_parts(page, columns, names, rows), "application/json")
    return await asyncio.to_thread(lambda: json_response({**page, "columns": columns.table(names, rows)}))


async def _whole_log(followed: Followed) -> None:
    """Wait until the log is read. Raises Refusal where it cannot be: a file with a part of it would look whole."""
    await followed.reading_over()
    if not followed.is_read:
        text = followed.words or "the log has not been read to its end"
        raise Refusal(503, "NotWhole", f"not all results can be had now, so there is no file of them: {text}")


def _file(followed: Followed, ending: str, parts: Iterator[str], kind: str) -> Response:
    named = f'attachment; filename="{followed.place.key}-results.{ending}"'
    return StreamingResponse(parts, 200, {"cache-control": "no-store", "content-disposition": named}, kind)


async def result(request: Request, gateway: Gateway) -> Response:
    """One whole result, as in the log."""
    followed = followed_of(request, gateway)
    row = row_of(followed, request.path_params["candidate"])
    return await event_of_log(followed, followed.picture.results.values("id", [row])[0], "result")


async def candidates(request: Request, gateway: Gateway) -> Response:
    """Candidates without a result: queued, running, or being analysed."""
    followed = followed_of(request, gateway)
    return json_response({"candidates": [flying.shown() for flying in followed.picture.in_flight.values()]})


async def failures(request: Request, gateway: Gateway) -> Response:
    """The last attempts that failed, and the results without a twist, with their reasons."""
    followed = followed_of(request, gateway)
    columns = followed.picture.results
    bad = [row for row, word in enumerate(columns.words("outcome")) if word in ("failed", "refused")][-200:]
    names = ("id", "candidate_id", "outcome", "reason", "attempt", "worker", "logged_s")
    return json_response({"attempts": list(followed.picture.failures), "results": columns.table(names, bad)})


async def recipes(request: Request, gateway: Gateway) -> Response:
    """The most reliable recipes for each target, with their clusters and how reliably they hit again."""
    followed = followed_of(request, gateway)
    count = min(whole_of(request, "limit", 30), 200)
    bounds = followed.bounds
    last = len(followed.picture.results)
    try:
        with extras_for("the table of recipes", ("figures", "optimizer")):
            tables = await gateway.in_turn(
                "recipes", lambda: recipes_json(followed.picture.results, last, followed.targets, bounds, count)
            )
    except MissingExtra as error:
        raise Refusal(501, "MissingExtra", str(error)) from error
    return json_response(tables)
