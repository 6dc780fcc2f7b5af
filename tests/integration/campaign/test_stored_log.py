"""How the gateway reads the log of a campaign that does not run, page by page: one server, and nothing left of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from moireloop_broker.connection import read_connection
from moireloop_broker.contract.events import CampaignChanged
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.service.stored_redis import stored_redis
from moireloop_gateway.access import Tokens
from moireloop_gateway.sources.catalogue import Catalogue
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.sources.stored import StoredLog, Unreadable, stored_events
from moireloop_gateway.web.events import event_stream
from moireloop_gateway.web.gateway import Gateway
from tests.helpers.gateways import start_gateway
from tests.helpers.stopped_campaigns import campaign_file, contents, running_server, stopped
from tests.helpers.waiting import wait_until

PATIENCE_S = 100

LONG_S = 1000.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CampaignFolder:
    """A campaign of two results that does not run."""
    return stopped(campaign_file(tmp_path_factory.mktemp("stored")), 2)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of private servers for which a server was started, one after the other."""
    started: list[Path] = []

    @contextmanager
    def counted(of: Path) -> Iterator[Any]:
        started.append(of)
        with stored_redis(of) as client:
            yield client

    monkeypatch.setattr("moireloop.session.records.stored_redis", counted)
    return started


def in_loop(called: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Call in an event loop, within PATIENCE_S."""
    asyncio.run(asyncio.wait_for(called(), PATIENCE_S))


def servers_of(pid: int) -> list[psutil.Process]:
    """The servers that a process has started and that are there still."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "redis" in child.name() or "valkey" in child.name():
                found.append(child)
    return found


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or waits to be noticed by its parent."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_whole_log_is_read_from_one_server(
    folder: CampaignFolder, starts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is started to follow the campaign, and one for the listeners, whatever number of pages they read."""
    monkeypatch.setattr(Followed.page, "__defaults__", (2,))
    monkeypatch.setattr(StoredLog.__init__, "__defaults__", (LONG_S,))
    expected = [log_id for log_id, _ in stored_events(folder, "0-0")]
    starts.clear()
    before = contents(folder.root)

    async def listens() -> None:
        gateway = Gateway(Catalogue([folder.root]), Tokens.new(), "0")
        campaign = gateway.catalogue.follow("tiny")
        assert campaign is not None
        try:
            for _ in range(2):
                text = b""
                async for part in event_stream(campaign, "0-0", frozenset()):
                    text += part
                    if f"id: {expected[-1]}\n".encode() in text:
                        break
                ids = [line[4:].decode() for line in text.splitlines() if line.startswith(b"id: ")]
                assert ids == expected
            assert len((await campaign.page("0-0", 1)).entries) == 1
        finally:
            gateway.catalogue.close()

    in_loop(listens)
    assert len(expected) > 4
    assert starts.count(folder.redis) == 2
    assert contents(folder.root) == before


def test_pages_are_the_log(folder: CampaignFolder) -> None:
    """From any id on, as many entries as asked for, and whether they are the last."""
    whole = [log_id for log_id, _ in stored_events(folder, "0-0")]

    async def looks() -> None:
        stored = StoredLog(folder, LONG_S)
        try:
            for size, first in itertools.product((1, 2, len(whole), len(whole) + 5), (0, 1, len(whole))):
                since = whole[first - 1] if first else "1-0"
                page = await stored.page(since, size)
                expected = whole[first : first + size]
                assert [entry.id for entry in page.entries] == expected
                assert page.last_id == (expected[-1] if expected else since)
                assert page.complete == (first + size >= len(whole))
        finally:
            stored.close()

    in_loop(looks)


def test_server_that_nobody_reads_from_ends(folder: CampaignFolder, starts: list[Path]) -> None:
    """After a while, also if who asked has left, and when the campaign is let go of; the next page starts one."""
    here = psutil.Process().pid
    others = servers_of(here)

    def are_there() -> bool:
        return any(server not in others for server in servers_of(here))

    async def looks() -> None:
        stored = StoredLog(folder, idle_s=0.05)
        try:
            for number in (1, 2):
                await stored.page("0-0", 1)
                await asyncio.to_thread(wait_until, lambda: not are_there(), "the server ends")
                assert starts.count(folder.redis) == number
            left = asyncio.create_task(stored.page("0-0", 1))
            await asyncio.to_thread(wait_until, lambda: starts.count(folder.redis) == 3, "a server for a page")
            left.cancel()
            await asyncio.to_thread(wait_until, lambda: not are_there(), "the server of who left ends")
        finally:
            stored.close()
        kept = StoredLog(folder, LONG_S)
        await kept.page("0-0", 1)
        assert are_there()
        kept.close()
        await asyncio.to_thread(wait_until, lambda: not are_there(), "the server of a closed reader ends")

    in_loop(looks)


def continued(file: Path) -> str:
    """Run a campaign on until it has one more event; its id."""
    with running_server(file, 0) as (folder, _):
        connection = read_connection(folder.connection_file)
        with contextlib.closing(connection.open_redis()) as client:
            return connection.event_log(client).append(CampaignChanged(state="draining", at_s=1.0))


def test_campaign_that_went_on_is_read_again(tmp_path: Path, starts: list[Path]) -> None:
    """A server with older data is no use; one that lost its data says so in a line, and the reader recovers."""
    file = campaign_file(tmp_path)
    folder = stopped(file, 1)

    async def looks() -> None:
        stored = StoredLog(folder, LONG_S)
        try:
            before = await stored.page("0-0", 1000)
            added = continued(file)
            after = await stored.page(before.last_id, 1000)
            assert after.last_id == added
            assert starts.count(folder.redis) == 2
            hidden = folder.redis.rename(folder.root / "elsewhere")
            with pytest.raises(Unreadable, match="empty or gone"):
                await stored.page("0-0", 1)
            hidden.rename(folder.redis)
            assert (await stored.page("0-0", 1000)).last_id == after.last_id
        finally:
            stored.close()

    in_loop(looks)


def test_killed_gateway_leaves_no_server(folder: CampaignFolder, tmp_path: Path) -> None:
    """After kill -9 while it has one."""
    before = contents(folder.root)
    running = start_gateway(tmp_path / "tokens.json", folder.root)
    try:

        def reading() -> list[psutil.Process]:
            assert running.looking.ask("/api/v1/campaigns/tiny/log?limit=1").code == 200
            return servers_of(running.process.pid)

        (server,) = wait_until(reading, "a server that reads")
    finally:
        running.kill()
    wait_until(lambda: has_ended(server), "the server ends")
    assert contents(folder.root) == before
