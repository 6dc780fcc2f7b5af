"""What each address returns (adapter)."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse

from moireloop.client.client import NotRunning, RequestRefused
from moireloop.client.requests import BadArgument
from moireloop_analyzer.diffraction_settings import KINDS
from moireloop_broker.contract.message import MAX_SECONDS
from moireloop_broker.contract.search import Target
from moireloop_broker.contract.topics import LOG_TOPICS, OBSERVATION
from moireloop_broker.extras import MissingExtra, extras_for
from moireloop_gateway.picture.columns import PARAMETER
from moireloop_gateway.picture.hub import PHASE_TOPIC, event_json
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.sources.stored import stored_series
from moireloop_gateway.sources.structure import NoStructure
from moireloop_gateway.web.downloads import csv_parts, json_parts
from moireloop_gateway.web.events import event_stream
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal
from moireloop_gateway.web.patterns import SubmitPattern, submitted
from moireloop_gateway.web.recipes import recipes_json
from moireloop_gateway.web.steering import STEERING

if TYPE_CHECKING:
    from starlette.requests import Request

Handler = Callable[["Request", Gateway], Awaitable[Response]]

MOST_SPANS: Final = 4000

MOST_RESULTS: Final = 10_000
"""Of one answer in JSON; the next one continues after its last id."""


def json_response(content: Any, code: int = 200) -> Response:
    """JSON that no cache keeps; a NaN is a bug in moireloop."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, code, {"cache-control": "no-store"}, "application/json")


def followed_of(request: Request, gateway: Gateway) -> Followed:
    """The campaign that an address names. Raises Refusal."""
    key = request.path_params["campaign"]
    followed = gateway.catalogue.follow(key)
    if followed is None:
        raise Refusal(404, "UnknownCampaign", f"expected a key of /api/v1/campaigns, got {key[:80]!r}")
    return followed


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


async def results(request: Request, gateway: Gateway) -> Response:
    """Results as columns, or all of them as a file, in the order of the log."""
    followed = followed_of(request, gateway)
    columns = followed.picture.results
    is_csv = _choice(request, "format", ("json", "csv")) == "csv"
    is_file = _choice(request, "download", ("false", "true")) == "true" or is_csv
    if is_file:
        await _whole_log(followed)
    names = _list(request, "columns") or columns.names
    if unknown := set(names) - set(columns.names) - {PARAMETER + name for name in _space(followed)}:
        raise Refusal(422, "UnknownColumn", f"expected columns of {columns.names}, got {sorted(unknown)[0][:80]!r}")
    names = [name for name in names if name in columns.names]
    first = columns.row_after(_log_id(request, "after") or "0-0")
    most = len(columns) if is_file else MOST_RESULTS
    last = min(len(columns), first + min(most, _whole(request, "limit", most)))
    rows: Sequence[int] = range(first, last)
    if wanted := _list(request, "outcome"):
        rows = [row for row, word in enumerate(columns.words("outcome")) if first <= row < last and word in wanted]
    last_id = columns.values("id", [last - 1])[0] if last > first else _log_id(request, "after") or "0-0"
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
    columns, name = followed.picture.results, request.path_params["candidate"]
    row = columns.row_of.get(name)
    if row is None:
        raise Refusal(404, "UnknownCandidate", f"no result of {name[:80]!r} so far")
    return await _of_log(followed, "-".join(map(str, columns.ids[row])), "result")


async def candidates(request: Request, gateway: Gateway) -> Response:
    """Candidates without a result: queued, running, or being analysed."""
    followed = followed_of(request, gateway)
    return json_response({"candidates": [flying.shown() for flying in followed.picture.in_flight.values()]})


async def recipes(request: Request, gateway: Gateway) -> Response:
    """The most reliable recipes for each target, with their clusters and how reliably they hit again."""
    followed = followed_of(request, gateway)
    count = min(_whole(request, "limit", 30), 200)
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
    columns, name = followed.picture.results, request.path_params["candidate"]
    row = columns.row_of.get(name)
    if row is None:
        raise Refusal(404, "UnknownCandidate", f"no result of {name[:80]!r} so far")
    attempt = int(columns.numbers("attempt")[row])
    try:
        said = await gateway.in_turn("structure", lambda: gateway.structures.of(followed.place, name, attempt))
    except NoStructure as error:
        raise Refusal(404, "NoStructure", str(error)) from error
    return Response(said, 200, {"cache-control": "no-store"}, "application/json")


async def simulated_pattern(request: Request, gateway: Gateway) -> Response:
    """The pattern that X-rays or electrons would show of a run's final structure."""
    followed, name = followed_of(request, gateway), request.path_params["candidate"]
    if name not in followed.picture.results.row_of:
        raise Refusal(404, "UnknownCandidate", f"no result of {name[:80]!r} so far")
    kind = _choice(request, "kind", KINDS)
    try:
        said = await gateway.in_turn("structure", lambda: gateway.structures.pattern(followed.place, name, kind))
    except NoStructure as error:
        raise Refusal(404, "NoStructure", str(error)) from error
    return Response(said, 200, {"cache-control": "no-store"}, "application/json")


async def model(request: Request, gateway: Gateway) -> Response:
    """Maps of the model's probability of a hit over each pair of parameters. One fit serves all who wait for it."""
    followed = followed_of(request, gateway)
    async with gateway.turns["model"]:
        asked = gateway.predictions.program_input(followed)
        return json_response(await asyncio.to_thread(gateway.predictions.maps, asked))


async def chamber(request: Request, gateway: Gateway) -> Response:
    """Where chamber and computer should go next for a target, by the campaign's results and measured patterns."""
    followed, target = followed_of(request, gateway), _target(request)
    async with gateway.turns["model"]:
        asked = gateway.predictions.program_input(followed)
        return json_response(await asyncio.to_thread(gateway.predictions.advice, asked, target))


async def cells(request: Request, gateway: Gateway) -> Response:
    """The coherent twists that the campaign's cell admits over its search space."""
    followed = followed_of(request, gateway)
    return json_response(await asyncio.to_thread(gateway.predictions.cells, followed))


async def timeline(request: Request, gateway: Gateway) -> Response:
    """What each worker did when."""
    followed = followed_of(request, gateway)
    last_s = _seconds(request, "last_s")
    begin_s = 0.0 if last_s is None else followed.now_s - last_s
    return json_response(followed.picture.timeline.since(begin_s, MOST_SPANS))


async def failures(request: Request, gateway: Gateway) -> Response:
    """The last attempts that failed, and the results without a twist, with their reasons."""
    followed = followed_of(request, gateway)
    columns = followed.picture.results
    bad = [row for row, word in enumerate(columns.words("outcome")) if word in ("failed", "refused")][-200:]
    names = ("id", "candidate_id", "outcome", "reason", "attempt", "worker", "logged_s")
    return json_response({"attempts": list(followed.picture.failures), "results": columns.table(names, bad)})


async def log(request: Request, gateway: Gateway) -> Response:
    """A page of the event log, oldest first."""
    followed = followed_of(request, gateway)
    limit = min(_whole(request, "limit", 200), 1000)
    page = await followed.page(_log_id(request, "since") or "0-0", max(1, limit))
    events = ",".join(
        f'{{"id":{json.dumps(entry.id)},"topic":{json.dumps(entry.message.tag)},"event":{event_json(entry.message)}}}'
        for entry in page.entries
    )
    body = f'{{"events":[{events}],"last_id":{json.dumps(page.last_id)},"complete":{json.dumps(page.complete)}}}'
    return Response(body, 200, {"cache-control": "no-store"}, "application/json")


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


async def events(request: Request, gateway: Gateway) -> Response:
    """Server-sent events: the log from `Last-Event-ID` on without a gap, and what is observed in frames."""
    followed = followed_of(request, gateway)
    since = _checked_id(request.headers.get("last-event-id") or None) or _log_id(request, "since")
    topics = frozenset(_list(request, "topics"))
    stream = gateway.counted(event_stream(followed, since, topics))
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, 200, headers, "text/event-stream")


async def steer(request: Request, gateway: Gateway) -> Response:
    """Carry out one request of a controller."""
    followed, name = followed_of(request, gateway), request.path_params["request"]
    if name not in STEERING:
        raise Refusal(404, "UnknownRequest", f"expected one of {', '.join(STEERING)}, got {name[:80]!r}")
    _refuse_observer(followed)
    steering = STEERING[name]
    try:
        body = steering.body.model_validate_json(await request.body())
    except ValidationError as error:
        raise Refusal(422, "MalformedRequest", _first_of(error)) from error
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


async def submit_pattern(request: Request, gateway: Gateway) -> Response:
    """Index a measured pattern and put it into the log; an unknown twist is a reason, not an error."""
    followed = followed_of(request, gateway)
    _refuse_observer(followed)
    try:
        body = SubmitPattern.model_validate_json(await request.body())
    except ValidationError as error:
        raise Refusal(422, "MalformedRequest", _first_of(error)) from error
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
    return await _of_log(followed, followed.picture.patterns[name]["id"], "pattern")


async def _of_log(followed: Followed, log_id: str, name: str) -> Response:
    milliseconds, number = (int(part) for part in log_id.split("-"))
    before = f"{milliseconds}-{number - 1}" if number else f"{milliseconds - 1}-{2**63 - 1}"
    entry = (await followed.page(before, 1)).entries[0]
    body = f'{{"id":{json.dumps(entry.id)},"{name}":{entry.message.model_dump_json()}}}'
    return Response(body, 200, {"cache-control": "no-store"}, "application/json")


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


def _refuse_observer(followed: Followed) -> None:
    """Nothing where the campaign would carry out what is asked. Raises Refusal."""
    if not followed.place.steers:
        text = "the gateway's grant is an observer's, who may follow and replay but not steer"
        raise Refusal(403, "NotAllowed", text)


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where or 'body'}: {first['msg']}"


def _list(request: Request, name: str) -> list[str]:
    return [part for part in request.query_params.get(name, "").split(",") if part]


def _choice(request: Request, name: str, choices: Sequence[str]) -> str:
    """A parameter of a few words, the first where it is not given. Raises Refusal."""
    text = request.query_params.get(name, choices[0])
    if text not in choices:
        raise Refusal(422, "BadParameter", f"{name}: expected {' or '.join(choices)}, got {text[:40]!r}")
    return text


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9:
        raise Refusal(422, "BadParameter", f"{name}: expected a whole number, got {text[:40]!r}")
    return int(text)


def _target(request: Request) -> dict[str, float] | None:
    given = {name: request.query_params[name] for name in Target.model_fields if name in request.query_params}
    if not given:
        return None
    try:
        target = Target.model_validate(given)
    except ValidationError as error:
        raise Refusal(422, "BadParameter", _first_of(error)) from error
    return {"twist_deg": target.twist_deg, "tolerance_deg": target.tolerance_deg}


def _seconds(request: Request, name: str) -> float | None:
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


def _log_id(request: Request, name: str) -> str | None:
    return _checked_id(request.query_params.get(name))


def _checked_id(text: str | None) -> str | None:
    if not text:
        return None
    first, dash, second = text.partition("-")
    parts = (first, second)
    if not dash or not all(part.isascii() and part.isdecimal() and len(part) <= 19 for part in parts):
        raise Refusal(422, "BadParameter", f"expected an id of the log such as 1764450000000-0, got {text[:60]!r}")
    return text


def _space(followed: Followed) -> list[str]:
    return list(followed.bounds or ())
