"""The pool's supervisor as a process, with workers under it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until
from tests.integration.worker.conftest import StartPool
from tests.integration.worker.worker_campaign import (
    LONG_BEAD,
    SMALL_BEAD,
    Campaign,
    alive,
    family,
    ranks_of,
)

Make = Callable[..., Campaign]


def test_pool_runs_candidates_and_ends_cleanly(make_campaign: Make, start_pool: StartPool) -> None:
    """Two workers share the work; SIGTERM ends the pool with 0 and leaves no process."""
    campaign = make_campaign(SMALL_BEAD, count=2)
    for number in range(8):
        campaign.propose(f"c{number}")
    pool = start_pool(campaign)
    finished = campaign.wait_for("run_finished/1", 8)
    assert {event.report.worker for event in finished} <= {"worker-0", "worker-1"}
    pids = family(pool.pid)
    pool.terminate()
    assert pool.wait(20) == 0
    wait_until(lambda: not alive(pids), "all workers are gone")


def test_killed_workers_candidate_is_given_back_at_once(make_campaign: Make, start_pool: StartPool) -> None:
    """kill -9 of a rank: long before its lease of a minute ends, the candidate runs again as attempt 2."""
    campaign = make_campaign(LONG_BEAD, lease_s=60.0)
    campaign.propose("c0")
    pool = start_pool(campaign)
    campaign.wait_for("run_leased/1")
    os.kill(wait_until(lambda: ranks_of(pool.pid), "a rank runs")[0], signal.SIGKILL)
    leased = campaign.wait_for("run_leased/1", 2)
    assert [(event.attempt, event.worker) for event in leased] == [(1, "worker-0"), (2, "worker-0")]
    (failed,) = campaign.events("run_failed/1")
    assert failed.charged
    assert re.fullmatch(r"worker-0 is gone: rank died \(pid \d+ on \S+\): killed by SIGKILL", failed.reason)


def test_killed_pool_leaves_no_worker_and_its_successor_goes_on(make_campaign: Make, start_pool: StartPool) -> None:
    """kill -9 of the pool takes its workers along; the next pool gives back what they held, uncharged."""
    campaign = make_campaign(LONG_BEAD, ranks=2, lease_s=60.0)
    campaign.propose("c0")
    pool = start_pool(campaign)
    campaign.wait_for("run_leased/1")
    pids = family(pool.pid)
    pool.kill()
    pool.wait()
    wait_until(lambda: not alive(pids), "all workers are gone")
    start_pool(campaign)
    leased = campaign.wait_for("run_leased/1", 2)
    assert leased[1].attempt == 2
    assert [event.charged for event in campaign.events("run_failed/1")] == [False]


@pytest.mark.parametrize("ranks", [1, 2])
def test_no_rank_outlives_the_launchers_process(make_campaign: Make, tmp_path: Path, ranks: int) -> None:
    """kill -9 of whatever process started a worker takes mpiexec and all ranks with it."""
    campaign = make_campaign(LONG_BEAD, ranks=ranks)
    campaign.propose("c0")
    folder = tmp_path / "starter"
    arguments = json.dumps([campaign.worker_command, ranks, str(folder)])
    script = Path(__file__).parent / "starter.py"
    with subprocess.Popen([sys.executable, str(script), arguments]) as starter:
        campaign.wait_for("run_leased/1")
        pids = family(starter.pid)
        assert len(ranks_of(starter.pid)) == ranks
        starter.kill()
    wait_until(lambda: not alive(pids), "all processes are gone")


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
def test_no_process_is_left_when_the_starter_dies_early(make_campaign: Make, tmp_path: Path, delay_s: float) -> None:
    """Killed at any moment of the start, the starter leaves nothing behind."""
    campaign = make_campaign(SMALL_BEAD, ranks=2)
    folder = tmp_path / "starter"
    arguments = json.dumps([campaign.worker_command, 2, str(folder)])
    script = Path(__file__).parent / "starter.py"
    with subprocess.Popen([sys.executable, str(script), arguments]) as starter:
        wait_until(lambda: len(family(starter.pid)) > 1, "mpiexec is being started")
        time.sleep(delay_s)
        pids = family(starter.pid)
        starter.kill()
    mark = str(campaign.file).encode()
    wait_until(lambda: not alive(pids) and not processes_with(mark), "all processes are gone")


def processes_with(mark: bytes) -> list[int]:
    """Processes with these bytes in their command lines, but the test's own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark in words:
                found.append(int(entry.name))
    return found
