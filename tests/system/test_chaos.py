"""Pauses, lost writes, broken surroundings and random kills: the guarantees hold, or a clear error ends it."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from moireloop.session.lock import is_running
from moireloop_broker.connection import read_connection
from moireloop_broker.contract.events import Result, ServiceChanged
from moireloop_broker.folder import CampaignFolder
from tests.helpers.held_still import held_still
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

Make = Callable[..., RunningCampaign]
SERVICES = (
    ("moireloop_analyzer",),
    ("moireloop_optimizer",),
    ("-m moireloop_broker",),
    ("-server",),
    ("moireloop_worker.pool.service",),
)

VICTIMS = (*SERVICES, ("--name worker-0", "mpi4py"), ("hydra",))


def found(running: RunningCampaign, *words: str) -> psutil.Process:
    return wait_until(lambda: running.find(*words), f"a process with {words}")


def test_resume_waits_until_the_services_of_a_killed_session_are_gone(campaign: Make) -> None:
    """A service that is slow to die keeps the next session from starting, so that the two never mix."""
    running = campaign(results=10)
    running.start()
    running.wait_for_results(2)
    slow = found(running, "moireloop_analyzer")
    assert running.process is not None
    with held_still(slow.pid):
        running.process.kill()
        running.process.wait(10)
        wait_until(lambda: [p.pid for p in running.descendants()] == [slow.pid], "all but the slow service are gone")
        running.start("resume")
        wait_until(lambda: is_running(CampaignFolder(running.folder)), "the next session has the folder")
        time.sleep(1.5)
        assert running.find("-m moireloop_broker") is None
    code, output = running.end()
    assert code == 0, output
    running.assert_exactly_one_result_each(10)


def test_interrupted_while_redis_is_away_it_drains_afterwards(campaign: Make) -> None:
    """A Ctrl-C that cannot be written to Redis at once is not forgotten."""
    running = campaign(results=60)
    running.start()
    running.wait_for_results(2)
    broker = found(running, "-m moireloop_broker")
    broker.suspend()
    running.kill("-server")
    assert running.process is not None
    running.process.send_signal(signal.SIGINT)
    wait_until(lambda: "draining" in running.output.read_text(), "the command says that it drains")
    broker.resume()
    code, output = running.end()
    assert code == 0, output
    assert "drained with" in output


def test_redis_that_loses_its_last_writes_loses_no_candidate(campaign: Make) -> None:
    """kill -9 while Redis had answered before it wrote: whoever followed the log forgets what is gone."""
    running = campaign(results=40)
    running.start()
    running.wait_for_results(6)
    broker = found(running, "-m moireloop_broker")
    broker.suspend()
    redis_pid = running.kill("-server")
    wait_until(lambda: not psutil.pid_exists(redis_pid) or _is_zombie(redis_pid), "Redis is dead")
    (log,) = (running.folder / "redis").rglob("*.incr.aof")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 20_000)
    broker.resume()
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(40)
    assert len([event for event in events if isinstance(event, Result)]) == 40


def test_redis_that_lost_everything_ends_the_campaign_with_an_error(campaign: Make) -> None:
    """An emptied server is not waited for."""
    running = campaign(results=60)
    running.start()
    running.wait_for_results(2)
    with read_connection(running.folder).open_redis() as client:
        client.flushall()
    code, output = running.end()
    assert code == 1, output
    assert "moireloop: " in output
    assert "lost the campaign" in output


def test_workers_that_cannot_start_end_the_campaign_with_their_last_words(
    campaign: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LAMMPS that cannot be loaded is an error after a few tries, and no endless waiting."""
    broken = tmp_path / "site" / "lammps"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('liblammps.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    running = campaign(results=4)
    running.start()
    code, output = running.end(60)
    assert code == 1, output
    assert "liblammps.so: cannot open" in output


def test_campaign_runs_in_a_folder_of_any_name(tmp_path: Path) -> None:
    """Redis, MPI and LAMMPS take a folder with spaces, quotes, stars and letters beyond ASCII."""
    folder = tmp_path / 'odd "name" it\'s *é% $x'
    folder.mkdir()
    running = RunningCampaign(folder, results=4, steps=(300, 300))
    try:
        running.start()
        code, output = running.end()
        assert code == 0, output
        events = running.assert_exactly_one_result_each(4)
        assert not [event for event in events if isinstance(event, Result) and event.outcome == "failed"]
    finally:
        running.close()


def test_kills_at_random_moments(campaign: Make) -> None:
    """kill -9 of services, workers, the command and everything, one after another, with `resume` where it takes one."""
    chance = random.Random(7)
    running = campaign(results=30)
    running.start()
    wait_until(lambda: all(running.find(*words) for words in SERVICES), "all services are there")
    for kind in chance.sample(["service"] * 6 + ["command", "everything"], 8):
        time.sleep(chance.uniform(0.2, 1.5))
        assert running.process is not None
        if running.process.poll() is not None:
            break
        if kind == "service":
            victim = running.find(*chance.choice(VICTIMS))
            with contextlib.suppress(psutil.NoSuchProcess, AttributeError):
                victim.kill()  # type: ignore[union-attr]
            continue
        if kind == "command":
            running.descendants()
            running.process.kill()
            running.process.wait(10)
        else:
            running.kill_everything()
        running.start("resume")
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(30)
    assert [event for event in events if isinstance(event, ServiceChanged) and event.state == "crashed"]


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True
