"""Campaigns whose pools and services come and go by themselves, as processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop import NotRunning, connect
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import ServiceChanged
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `moireloop WORDS...`, its output in NAME.txt; what a failed test leaves is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(name: str, *words: str | Path) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{name}.txt").open("ab") as output:
            command = [sys.executable, "-m", "moireloop", *map(str, words)]
            started.append(subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def status_of(running: RunningCampaign) -> Status | None:
    """The status as an outside program gets it; None while nothing answers."""
    try:
        with connect(running.folder / "connection.json", timeout_s=2) as client:
            return client.status()
    except (NotRunning, NoConnectionFile):
        return None


def has_pool(running: RunningCampaign, pool: str) -> bool:
    """Whether a pool of this name has joined."""
    status = status_of(running)
    return status is not None and any(one.pool == pool for one in status.pools)


@pytest.mark.timeout(400)
def test_joined_pool_goes_on_after_conductor_and_main_pool_were_killed(
    campaign: Callable[..., RunningCampaign], start: Start, tmp_path: Path
) -> None:
    """Nothing of the session outlives its conductor, a pool that was stopped neither; the resume has the joined one."""
    running = campaign(results=24)
    running.file.write_text(running.file.read_text().replace("count = 2", "count = 1"))
    running.start()
    running.wait_for_results(1, 150)
    # Else the campaign is complete before the pool has joined, on a fast machine.
    with connect(running.folder / "connection.json") as client:
        client.pause()
    joined = start("side", "join", running.file, "--name", "side", "--workers", "1")
    wait_until(lambda: has_pool(running, "side"), "the pool has joined", 120)
    pool = wait_until(lambda: running.find("moireloop_worker.pool.service"), "the main pool")
    pool.send_signal(signal.SIGSTOP)
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    wait_until(lambda: not running.descendants(), "nothing of the session is left")
    running.start("resume")
    code, output = running.end(200)
    assert code == 0, output
    assert joined.wait(90) == 0
    said = (tmp_path / "side.txt").read_text()
    assert said.count("pool side has joined short: 1 worker, launcher local") == 2
    running.assert_exactly_one_result_each(24)


@pytest.mark.timeout(400)
def test_services_that_start_by_themselves(
    campaign: Callable[..., RunningCampaign], start: Start, tmp_path: Path
) -> None:
    """They wait for the campaign; one that is killed and comes again goes on; all end with the campaign."""
    running = campaign(results=6)
    kinds = ("broker", "analyzer", "optimizer", "workers")
    services = {kind: start(kind, "service", kind, running.file, "--patience", "120") for kind in kinds}
    wait_until(lambda: all("waiting, at most" in (tmp_path / f"{k}.txt").read_text() for k in kinds), "all wait", 120)
    running.start("run", "--services", "elsewhere")
    running.wait_for_results(2, 150)
    with connect(running.folder / "connection.json") as client:
        client.pause()
        services["optimizer"].kill()
        services["optimizer"].wait()
        services["optimizer"] = start("again", "service", "optimizer", running.file)
        wait_until(lambda: "optimizer works for" in (tmp_path / "again.txt").read_text(), "another optimizer", 120)
        client.resume()
    code, output = running.end(200)
    assert code == 0, output
    assert "waiting for: broker" in output
    assert {kind: service.wait(60) for kind, service in services.items()} == dict.fromkeys(kinds, 0)
    events = running.assert_exactly_one_result_each(6)
    told = [event for event in events if isinstance(event, ServiceChanged)]
    assert {"broker", "optimizer"} <= {event.service for event in told if event.state == "started"}
    assert any(event.service.startswith("analyzer-") for event in told)
