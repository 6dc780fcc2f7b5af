"""What the gateway says of a finished campaign while it reads its log."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from moireloop_broker.folder import CampaignFolder
from moireloop_gateway.access import Tokens
from moireloop_gateway.sources.catalogue import Catalogue
from moireloop_gateway.web.endpoints import results
from moireloop_gateway.web.events import event_stream
from moireloop_gateway.web.gateway import Gateway
from moireloop_gateway.web.guard import Refusal
from tests.helpers.stopped_campaigns import campaign_file, stopped

PATIENCE_S = 100


def results_request(query: str = "") -> Request:
    """A request for the results of the campaign."""
    scope = {"type": "http", "path_params": {"campaign": "tiny"}, "query_string": query.encode(), "headers": []}
    return Request(scope)


async def page(gateway: Gateway, query: str = "") -> dict[str, Any]:
    """Results in JSON."""
    found: dict[str, Any] = json.loads(bytes((await results.results(results_request(query), gateway)).body))
    return found


async def downloaded(gateway: Gateway, query: str) -> str:
    """Results as a file."""
    answer = cast("StreamingResponse", await results.results(results_request(query), gateway))
    assert "attachment" in answer.headers["content-disposition"]
    parts = [part async for part in answer.body_iterator]
    return "".join(part if isinstance(part, str) else bytes(part).decode() for part in parts)


def with_gateway(folder: Path, called: Callable[[Gateway], Awaitable[None]]) -> None:
    """Call with a gateway that nobody has looked at yet."""

    async def run() -> None:
        gateway = Gateway(Catalogue([folder]), Tokens.new(), "0")
        try:
            await asyncio.wait_for(called(gateway), PATIENCE_S)
        finally:
            gateway.catalogue.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """A campaign of two results that does not run."""
    return stopped(campaign_file(tmp_path_factory.mktemp("read")), 2)


def test_still_reading_is_told_from_no_results(folder: CampaignFolder) -> None:
    """The first page is not complete, though it has all that the gateway has; the log is read, and then it is."""

    async def looks(gateway: Gateway) -> None:
        first = await page(gateway)
        assert (first["total"], first["phase"], first["complete"], first["last_id"]) == (0, "reading", False, "0-0")
        followed = gateway.catalogue.followed[0]
        await followed.reading_over()
        whole = await page(gateway, f"after={first['last_id']}")
        assert (whole["total"], whole["phase"], whole["complete"]) == (2, "ended", True)
        assert whole["columns"]["candidate_id"] == ["c0", "c1"]
        part = await page(gateway, "limit=1")
        assert (part["total"], part["complete"], part["columns"]["candidate_id"]) == (2, False, ["c0"])

    with_gateway(folder.root, looks)


@pytest.mark.parametrize("query", ["format=csv", "download=true"])
def test_files_have_all_results(folder: CampaignFolder, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait until the log is read, and no largest number holds for them, as it does for a page."""
    monkeypatch.setattr(results, "MOST_RESULTS", 1)

    async def downloads(gateway: Gateway) -> None:
        text = await downloaded(gateway, query)
        part = await page(gateway)
        assert (part["complete"], part["columns"]["candidate_id"]) == (False, ["c0"])
        if query == "format=csv":
            assert [line["candidate_id"] for line in csv.DictReader(text.splitlines())] == ["c0", "c1"]
        else:
            whole = json.loads(text)
            assert (whole["total"], whole["complete"], whole["phase"]) == (2, True, "ended")
            assert whole["columns"]["candidate_id"] == ["c0", "c1"]

    with_gateway(folder.root, downloads)


def test_listener_is_told_when_reading_is_over(folder: CampaignFolder) -> None:
    """One that asked for what comes next gets that, and not the whole log event by event."""

    async def listens(gateway: Gateway) -> None:
        followed = gateway.catalogue.follow("tiny")
        assert followed is not None
        assert followed.phase == "reading"
        stream = event_stream(followed, None, frozenset())
        parts = [await anext(stream), await anext(stream)]
        assert parts[0].startswith(b"retry:")
        assert parts[1].startswith(b"event: gateway/1\n")
        assert b'"phase": "ended"' in parts[1]
        assert followed.picture.events > 0

    with_gateway(folder.root, listens)


def test_campaign_that_cannot_be_read_is_not_complete(tmp_path: Path) -> None:
    """Its phase says why there are no results, and there is no file, which would look whole."""
    lost = stopped(campaign_file(tmp_path), 1)
    for file in (lost.redis / "appendonlydir").iterdir():
        file.unlink()

    async def looks(gateway: Gateway) -> None:
        await page(gateway)
        await gateway.catalogue.followed[0].reading_over()
        found = await page(gateway)
        assert (found["total"], found["phase"], found["complete"]) == (0, "unreadable", False)
        for query in ("format=csv", "download=true"):
            with pytest.raises(Refusal, match="empty or gone"):
                await downloaded(gateway, query)

    with_gateway(lost.root, looks)
