"""The pool gives back before its allocation ends, and at a notice of the scheduler; nothing is charged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from moireloop_broker.contract.control import LONGEST_HAND_BACK_MS
from moireloop_broker.processes.exits import EXIT_GO_ON
from tests.helpers.waiting import wait_until
from tests.integration.worker.conftest import StartPool
from tests.integration.worker.worker_campaign import LONG_BEAD, SMALL_BEAD, Campaign, alive, family, ranks_of

Make = Callable[..., Campaign]

ENOUGH_S = (12.0, 60.0)
"""For a worker to start and to take a candidate; the longer time where the machine is too busy for the shorter one."""


def ended_at_its_end(campaign: Campaign, until_s: float) -> int:
    """The exit code of a pool whose allocation ends after this many seconds; it leaves no process."""
    until = ["--until-s", repr(time.time() + until_s)]
    command = [sys.executable, "-m", "moireloop_worker.pool.service", "--connection", str(campaign.file), *until]
    with subprocess.Popen(command) as pool:
        wait_until(lambda: len(family(pool.pid)) > 1 or pool.poll() is not None, "a worker is started")
        pids = family(pool.pid)
        code = pool.wait(90)
    assert not alive(pids)
    return code


def steps_lost(campaign: Campaign, candidate_id: str) -> int:
    """Between the step at which an attempt was given back and the step of the restart file that it left."""
    (failed,) = campaign.events("run_failed/1")
    given_back = int(failed.reason.partition("at step ")[2].split()[0])
    files = sorted((campaign.folder / "runs" / candidate_id / "attempt-1").glob("restart*"))
    return given_back - max((int("".join(filter(str.isdigit, file.name)) or 0) for file in files), default=0)


def test_pool_gives_back_before_its_end(make_campaign: Make) -> None:
    """With exit code 75, uncharged, to the front of the queue; the time that it took is kept for the next reserve."""
    campaign = make_campaign(LONG_BEAD, reserve_s=1.0, lease_s=60.0)
    for number in range(2):
        campaign.propose(f"c{number}")
    for enough_s in ENOUGH_S:
        if not campaign.events("run_leased/1"):
            assert ended_at_its_end(campaign, enough_s) == EXIT_GO_ON
    assert [event.charged for event in campaign.events("run_failed/1")] == [False]
    assert steps_lost(campaign, "c0") == 0
    assert int(campaign.state.status().counters[LONGEST_HAND_BACK_MS]) > 0
    again = campaign.queue.take("next", 0)
    assert again is not None
    assert (again.candidate.candidate_id, again.attempt) == ("c0", 2)


def test_notice_to_pool_and_workers_is_not_a_death(make_campaign: Make, start_pool: StartPool) -> None:
    """Schedulers send SIGUSR1 and SIGALRM to every process of a job; elsewhere than in one nothing comes of it."""
    campaign = make_campaign(LONG_BEAD, on_term="drain", ranks=2, lease_s=60.0)
    campaign.propose("c0")
    pool = start_pool(campaign)
    campaign.wait_for("run_leased/1")
    starters = family(pool.pid) - {pool.pid} - set(ranks_of(pool.pid))
    for pid in (pool.pid, *starters):
        os.kill(pid, signal.SIGUSR1)
        os.kill(pid, signal.SIGALRM)
    before = step_of(campaign)
    wait_until(lambda: step_of(campaign) > before, "the run goes on")
    assert alive(starters) == starters
    assert pool.poll() is None
    pool.terminate()
    assert pool.wait(20) == 0


def step_of(campaign: Campaign) -> int:
    """The step that the worker reported last."""
    said = campaign.queue.watch.worker_status("worker-0")
    return 0 if said is None else said.step


def test_notice_makes_the_pool_give_back(make_campaign: Make, start_pool: StartPool) -> None:
    """Where the settings say so, as they do by default in an allocation: at once, and with exit code 75."""
    campaign = make_campaign(LONG_BEAD, on_term="hand_back", lease_s=60.0)
    campaign.propose("c0")
    pool = start_pool(campaign)
    wait_until(lambda: step_of(campaign) > 0, "the run has made a step")
    pool.send_signal(signal.SIGALRM)
    assert pool.wait(20) == EXIT_GO_ON
    assert [event.charged for event in campaign.events("run_failed/1")] == [False]
    assert steps_lost(campaign, "c0") == 0


def test_runs_on_scratch_are_copied_back(make_campaign: Make, start_pool: StartPool, tmp_path: Path) -> None:
    """Their files are on the node while they run, and in the campaign's folder when they are given back or end.

    kill -9 leaves nothing there but what was brought back before, and the next worker clears the node.
    """
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    campaign = make_campaign(LONG_BEAD, scratch=str(scratch), restart_s=0.5, ranks=2, lease_s=60.0)
    runs = campaign.folder / "runs" / "c0"
    campaign.propose("c0")
    pool = start_pool(campaign)
    wait_until(lambda: any(scratch.glob("*/c0/attempt-1/restart.*.json")), "a restart file on the node")
    assert not runs.exists()
    pool.terminate()
    assert pool.wait(20) == 0
    assert steps_lost(campaign, "c0") == 0
    assert {"input.lammps", "log.lammps"} < {file.name for file in (runs / "attempt-1").iterdir()}
    assert list(scratch.iterdir()) == []

    pool = start_pool(campaign)
    wait_until(
        lambda: any("read_restart" in file.read_text() for file in scratch.glob("*/c0/attempt-2/input.lammps")),
        "attempt 2 goes on from the restart file",
    )
    pool.kill()
    pool.wait()
    (left,) = scratch.iterdir()
    start_pool(campaign)
    campaign.wait_for("run_leased/1", 3)
    assert not left.exists()
    assert not (runs / "attempt-2").exists()


def test_results_of_runs_on_scratch_are_in_the_campaigns_folder(make_campaign: Make, start_pool: StartPool) -> None:
    """Final structures too, and no restart file; a variable names the folder."""
    campaign = make_campaign(SMALL_BEAD, scratch="$TMPDIR/.")
    campaign.propose("c0")
    with tempfile.TemporaryDirectory() as node, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", node)
        pool = start_pool(campaign)
        campaign.wait_for("run_finished/1")
        files = {file.name for file in (campaign.folder / "runs" / "c0" / "attempt-1").iterdir()}
        assert files == {"input.lammps", "log.lammps", "final.data", "final.extxyz"}
        pool.terminate()
        assert pool.wait(20) == 0
        assert [path.name for path in Path(node).glob("moireloop-run-*")] == []
