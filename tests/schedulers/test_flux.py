"""What only Flux does: time limits of jobs, drained nodes, dead shells and brokers, nested instances, ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.flux import Flux, said
from tests.helpers.rank_processes import ranks_with
from tests.helpers.schedulers import Held
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import LONG_BEAD, SMALL_BEAD, Campaign
from tests.schedulers.conftest import StartPool

Make = Callable[..., Campaign]
UNPINNED = {"o.cpu-affinity": "off"}
ONE = {"lease_s": 60.0, "launcher": "flux", "launcher_options": UNPINNED}


@pytest.fixture
def held(flux: Flux) -> Iterator[Held]:
    """An instance of both nodes."""
    with flux.allocation() as allocation:
        yield allocation


def test_time_limit_costs_no_attempt_and_the_next_worker_goes_on(
    held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """A limit set in mid-run ends a worker that did not look out for it; its restart file carries the run on."""
    campaign = make_campaign({**SMALL_BEAD, "anneal_steps": 40_000_000}, **ONE, restart_s=0.2)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    folder = campaign.folder / "runs" / "c0"
    wait_until(lambda: any((folder / "attempt-1").glob("restart.*.json")), "there is a restart file")
    job, begun_s = said(held.environment, "flux", "jobs", "-n", "-o", "{id} {t_run}").split()
    said(held.environment, "flux", "update", job, f"duration={time.time() - float(begun_s) + 15:.0f}s")
    (failed,) = campaign.wait_for("run_failed/1")
    assert not failed.charged
    assert failed.reason.endswith("Flux: timeout: resource allocation expired")
    log = folder / "attempt-2" / "input.lammps"
    wait_until(lambda: log.exists() and "read_restart" in log.read_text(), "attempt 2 goes on from the restart file")


def test_drained_node_leaves_a_worker_waiting_until_it_is_back(
    held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """That is no fault of the worker, and no attempt to start it is counted."""
    said(held.environment, "flux", "resource", "drain", "0-1", "test")
    campaign = make_campaign(SMALL_BEAD, **ONE)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    wait_until(lambda: [w.phase for w in campaign.state.status().workers] == ["waiting"], "the worker waits")
    said(held.environment, "flux", "resource", "undrain", "0-1")
    campaign.wait_for("run_finished/1")


def test_killed_job_shell_leaves_no_rank(held: Held, make_campaign: Make, start_pool: StartPool) -> None:
    """kill -9 of Flux's shell: its rank ends too, the attempt is charged like a killed rank's, another begins."""
    campaign = make_campaign(LONG_BEAD, **ONE)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    campaign.wait_for("run_leased/1")
    (rank,) = ranks_with(str(campaign.file))
    shell = parent_of(rank)
    assert b"flux-shell" in Path(f"/proc/{shell}/cmdline").read_bytes()
    os.kill(shell, signal.SIGKILL)
    (failed,) = campaign.wait_for("run_failed/1")
    assert failed.charged
    assert "Flux's shell of the worker: killed by SIGKILL" in failed.reason
    wait_until(lambda: rank not in ranks_with(str(campaign.file)), "the rank is gone")
    assert campaign.wait_for("run_leased/1", 2)[1].attempt == 2


def test_instance_that_is_gone_costs_no_attempt_and_leaves_no_rank(
    flux: Flux, held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """kill -9 of the broker that the pool talks to: its workers are lost, and their candidates given back uncharged."""
    campaign = make_campaign(LONG_BEAD, **ONE)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    campaign.wait_for("run_leased/1")
    flux.lose(held, held.nodes[0])
    (failed,) = campaign.wait_for("run_failed/1")
    assert not failed.charged
    assert "broker is gone" in failed.reason
    wait_until(lambda: not ranks_with(str(campaign.file)), "the rank is gone")


def test_two_jobs_feed_one_campaign(held: Held, make_campaign: Make) -> None:
    """Two nested instances of one node each join; each candidate comes to one result, and both jobs did some."""
    campaign = make_campaign({**SMALL_BEAD, "anneal_steps": 3000}, **{**ONE, "count": 0})
    campaign.state.service_changed("pool", "started")
    moireloop = str(Path(sys.executable).with_name("moireloop"))
    join = [moireloop, "join", str(campaign.file), "--workers", "1", "--launcher", "flux"]
    jobs = [
        subprocess.Popen(["flux", "alloc", "-N1", "-n1", *join, "--name", name], env=dict(held.environment))
        for name in ("left", "right")
    ]
    try:
        wait_until(lambda: [w.phase for w in campaign.state.status().workers] == ["up", "up"], "both are up", 90)
        for number in range(8):
            campaign.propose(f"c{number}")
        finished = campaign.wait_for("run_finished/1", 8)
    finally:
        for job in jobs:
            job.terminate()
        said(held.environment, "flux", "cancel", "--all")
        for job in jobs:
            job.wait(30)
    assert {event.report.worker for event in finished} == {"left-worker-0", "right-worker-0"}
    assert sorted(event.candidate_id for event in finished) == [f"c{number}" for number in range(8)]
    wait_until(lambda: not ranks_with(str(campaign.file)), "no rank is left")


def test_end_of_a_job_is_known_and_an_instance_without_end_has_none(held: Held) -> None:
    """Asked in a nested instance with a time limit, and in one without."""
    ask = "import time; from moireloop_worker.flux.instance import FluxInstance; e = FluxInstance().ends_s(); "
    ask += "print(None if e is None else e - time.time())"
    limited = said(held.environment, "flux", "alloc", "-N1", "-n1", "-t5m", sys.executable, "-c", ask)
    assert 200 < float(limited.split()[-1]) <= 300
    assert "None" in said(held.environment, "flux", "alloc", "-N1", "-n1", sys.executable, "-c", ask)


def test_what_its_job_holds_is_not_available_to_workers(held: Held) -> None:
    """`moireloop run` as a job of the instance takes a core away from the workers."""
    ask = "from moireloop_worker.flux.survey import survey; print(survey().shown)"
    assert "2 nodes of 1 core and 2 GPUs" in said(held.environment, sys.executable, "-c", ask)
    within = said(held.environment, "flux", "run", "-N1", "-n1", "-g2", sys.executable, "-c", ask)
    assert within.strip() == "Flux instance: 1 node of 1 core and 2 GPUs"


def parent_of(pid: int) -> int:
    """The process that started another."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
