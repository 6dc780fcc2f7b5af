"""Campaigns whose pools and services come and go by themselves, as separate processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop import NotRunning, connect
from moireloop import open as open_folder
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import RunFailed, ServiceChanged
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
    """The status as an outside program gets it; None while nothing responds."""
    try:
        with connect(running.folder / "connection.json", timeout_s=2) as client:
            return client.status()
    except (NotRunning, NoConnectionFile):
        return None


def has_pool(running: RunningCampaign, pool: str) -> bool:
    """Whether a pool of this name has joined."""
    status = status_of(running)
    return status is not None and any(one.pool == pool for one in status.pools)


def workers_of(running: RunningCampaign, pool: str) -> int | None:
    """How many workers a pool keeps; None where nothing responds."""
    status = status_of(running)
    return next((one.workers for one in status.pools if one.pool == pool), None) if status is not None else None


def step_of(running: RunningCampaign, worker: str) -> int:
    """How far the run of a worker has come; nowhere where it has none."""
    status = status_of(running)
    return max([one.step for one in status.workers if one.worker == worker], default=0) if status is not None else 0


def scaled(*words: str | Path) -> tuple[int, str]:
    """Exit code and output of `moireloop scale WORDS...`."""
    command = [sys.executable, "-m", "moireloop", "scale", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.timeout(400)
def test_joined_pools_grow_die_and_go_on_after_the_session_was_killed(
    campaign: Callable[..., RunningCampaign], start: Start, tmp_path: Path
) -> None:
    """One is scaled, one is killed by -9 and costs no attempt; the first one goes on in the next session.

    Nothing of a session outlives its conductor, a pool that was stopped neither.
    """
    running = campaign(results=12, steps=(5000, 5000))
    running.file.write_text(running.file.read_text().replace("count = 2", "count = 1"))
    running.start()
    running.wait_for_results(1, 150)
    # Else the campaign is complete before the pools have joined, on a fast machine.
    with connect(running.folder / "connection.json") as client:
        client.pause()
        joined = start("side", "join", running.file, "--name", "side", "--workers", "1")
        doomed = start("doomed", "join", running.file, "--name", "doomed", "--workers", "1")
        wait_until(lambda: has_pool(running, "side") and has_pool(running, "doomed"), "the pools have joined", 120)
        message = "pool side keeps 2 workers from now on; surplus workers give back their candidates\n"
        assert scaled(running.file, "2", "--pool", "side") == (0, message)
        wait_until(lambda: workers_of(running, "side") == 2, "the pool has grown", 60)
        assert scaled(running.folder, "1", "--pool", "side")[0] == 0
        code, words = scaled(running.file, "1", "--pool", "nobody")
        assert code != 0
        assert "expected a pool of this campaign (doomed, main, side), got 'nobody'" in words
        client.resume()
        wait_until(lambda: step_of(running, "doomed-worker-0"), "the pool that is to die works", 120)
        client.pause()
        doomed.kill()
        doomed.wait()
        wait_until(lambda: client.status().services.get("pool-doomed") == "crashed", "the pool is lost", 60)
        wait_until(lambda: client.status().counts["running"] == 0, "its candidate is given back", 60)
        wait_until(lambda: workers_of(running, "side") == 1, "the other pool has shrunk", 60)
        client.resume()
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
    events = running.assert_exactly_one_result_each(12)
    failures = [event for event in events if isinstance(event, RunFailed)]
    assert [event.reason for event in failures if event.worker == "doomed-worker-0"] != []
    assert not any(event.charged for event in failures)


@pytest.mark.timeout(400)
def test_services_that_start_by_themselves(
    campaign: Callable[..., RunningCampaign], start: Start, tmp_path: Path
) -> None:
    """They wait for the campaign; one that is killed and comes again goes on; all end with the session.

    The next one, resumed in the same way, has its own services. A pool that lingers works for both.
    """
    running = campaign(results=1000)
    kinds = ("broker", "analyzer", "optimizer", "workers")
    services = {kind: start(kind, "service", kind, running.file, "--patience", "120") for kind in kinds}
    late = start("late", "join", running.file, "--name", "late", "--workers", "1", "--linger", "200")
    wait_until(lambda: all("waiting, at most" in (tmp_path / f"{k}.txt").read_text() for k in kinds), "all wait", 120)
    running.start("run", "--services", "elsewhere")
    running.wait_for_results(2, 150)
    with connect(running.folder / "connection.json") as client:
        client.pause()
        services["optimizer"].kill()
        services["optimizer"].wait()
        services["optimizer"] = start("again", "service", "optimizer", running.file)
        wait_until(lambda: "optimizer works for" in (tmp_path / "again.txt").read_text(), "another optimizer", 120)
        client.stop("that is enough for today")
    code, output = running.end(200)
    assert code == 0, output
    assert "waiting for: broker" in output
    assert {kind: service.wait(60) for kind, service in services.items()} == dict.fromkeys(kinds, 0)

    results = len(open_folder(running.folder).results) + 2
    running.write(results=results)
    services = {kind: start(f"{kind}2", "service", kind, running.file) for kind in kinds[:-1]}
    running.start("resume", "--services", "elsewhere")
    code, output = running.end(200)
    assert code == 0, output
    assert {kind: service.wait(60) for kind, service in services.items()} == dict.fromkeys(kinds[:-1], 0)
    late.terminate()
    assert late.wait(60) == 0
    assert (tmp_path / "late.txt").read_text().count("pool late has joined short") == 2
    events = running.assert_exactly_one_result_each(results)
    changes = [event for event in events if isinstance(event, ServiceChanged)]
    assert {"broker", "optimizer"} <= {event.service for event in changes if event.state == "started"}
    assert any(event.service.startswith("analyzer-") for event in changes)
