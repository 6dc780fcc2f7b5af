"""Whole workers that are lost in the middle of a run, and those that go on with it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from moireloop_broker.contract.control import RESTARTS_PASSED_OVER
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_worker.launchers.launcher import Launch
from moireloop_worker.launchers.local import LocalLauncher, LocalWorker
from tests.helpers.waiting import wait_until
from tests.integration.worker.lammps_files import thermo_of
from tests.integration.worker.worker_campaign import SMALL_BEAD, Campaign, alive, family, ranks_of

Make = Callable[..., Campaign]
Start = Callable[..., LocalWorker]

MEDIUM_BEAD = {**SMALL_BEAD, "anneal_steps": 8_000, "quench_steps": 30_000}
STEPS = 38_000


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers, each under its own name; at the end all their processes are gone."""
    started: list[tuple[LocalWorker, set[int]]] = []

    def launch(campaign: Campaign) -> LocalWorker:
        name = f"worker-{len(started)}"
        worker = LocalLauncher(Launch(tuple(campaign.worker_command), 1, campaign.folder / "logs")).start(name)
        wait_until(lambda: len(ranks_of(worker.pid)) == 1, "its rank runs")
        started.append((worker, family(worker.pid)))
        return worker

    yield launch
    for worker, pids in started:
        worker.kill()
        wait_until(worker.poll, "mpiexec ended")
        wait_until(lambda pids=pids: not alive(pids), "all processes are gone")  # type: ignore[misc]


def attempt(campaign: Campaign, number: int) -> Path:
    return campaign.folder / "runs" / "c0" / f"attempt-{number}"


def kept(folder: Path) -> list[int]:
    """The steps of the restart files in a folder, oldest first."""
    return sorted(json.loads(path.read_text())["step"] for path in folder.glob("restart.*.json"))


def assert_schedule_joined(campaign: Campaign, resumed_from: int) -> None:
    """The logs of two attempts, the first one up to where the second one went on, have no gap and no way back."""
    before = [step for step, _ in thermo_of(attempt(campaign, 1) / "log.lammps") if step <= resumed_from]
    after = [step for step, _ in thermo_of(attempt(campaign, 2) / "log.lammps")]
    assert before[0] == 0
    assert after[0] == resumed_from
    assert after[-1] == STEPS
    assert all(earlier <= later for earlier, later in pairwise(before + after))


def test_killed_run_goes_on_elsewhere(make_campaign: Make, start: Start) -> None:
    """kill -9 in the quench: another worker goes on from the last restart file, and the result says so."""
    campaign = make_campaign(MEDIUM_BEAD, restart_s=0.1)
    campaign.propose("c0")
    victim = start(campaign)
    wait_until(lambda: kept(attempt(campaign, 1))[-1:] > [10_000], "a restart file in the quench")
    os.kill(ranks_of(victim.pid)[0], signal.SIGKILL)
    wait_until(victim.poll, "the worker ended")
    newest = kept(attempt(campaign, 1))[-1]
    campaign.queue.release_worker("worker-0", "killed", charged=True)
    start(campaign)
    (event,) = campaign.wait_for("run_finished/1")
    report = event.report
    assert (event.attempt, report.steps, report.resumed_from_step) == (2, STEPS, newest)
    assert report.provenance["resumed_from"] == "attempt-1"
    assert report.provenance["run_seed"] != ""
    assert_schedule_joined(campaign, newest)
    wait_until(lambda: not list((campaign.folder / "runs").rglob("restart*")), "the restart files are removed")


def test_worker_asked_to_end_loses_nothing(make_campaign: Make, start: Start) -> None:
    """SIGTERM: a restart file, not due for long, is written at the very step at which the candidate is given back."""
    campaign = make_campaign(MEDIUM_BEAD)
    campaign.propose("c0")
    first = start(campaign)
    wait_until(lambda: (attempt(campaign, 1) / "log.lammps").exists(), "the run has begun")
    first.hand_back()
    (failed,) = campaign.wait_for("run_failed/1")
    (step,) = kept(attempt(campaign, 1))
    assert failed.reason == f"worker-0 ended at step {step} and gave the candidate back"
    start(campaign)
    (event,) = campaign.wait_for("run_finished/1")
    assert (event.report.steps, event.report.resumed_from_step) == (STEPS, step)
    assert_schedule_joined(campaign, step)


def test_attempt_after_a_lammps_error_starts_over(make_campaign: Make, start: Start) -> None:
    """LAMMPS gives up an attempt that went on from a restart file: that file is not tried a second time."""
    campaign = make_campaign(MEDIUM_BEAD)
    campaign.propose("c0")
    first = start(campaign)
    wait_until(lambda: (attempt(campaign, 1) / "log.lammps").exists(), "the run has begun")
    first.hand_back()
    campaign.wait_for("run_failed/1")
    (file,) = attempt(campaign, 1).glob("restart.*.json")
    file.with_suffix("").write_bytes(b"no restart file of LAMMPS")
    fields = json.loads(file.read_text())
    digest = hashlib.sha256(b"no restart file of LAMMPS").hexdigest()
    file.write_text(json.dumps({**fields, "sha256": digest}), encoding="utf-8")
    start(campaign)
    (event,) = campaign.wait_for("run_finished/1")
    failed = campaign.events("run_failed/1")[1]
    assert "read_restart" in failed.reason
    assert (event.attempt, event.report.steps, event.report.resumed_from_step) == (3, STEPS, 0)


def test_restart_file_that_is_passed_over_is_counted(make_campaign: Make, start: Start) -> None:
    """It belongs to another plan: the run starts over, and whoever watches the campaign sees why."""
    campaign = make_campaign(MEDIUM_BEAD)
    campaign.propose("c0")
    first = start(campaign)
    wait_until(lambda: (attempt(campaign, 1) / "log.lammps").exists(), "the run has begun")
    first.hand_back()
    campaign.wait_for("run_failed/1")
    (file,) = attempt(campaign, 1).glob("restart.*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "key": "that plan"}), encoding="utf-8")
    start(campaign)
    (event,) = campaign.wait_for("run_finished/1")
    assert (event.attempt, event.report.resumed_from_step) == (2, 0)
    connection = campaign.connection
    status = CampaignState(connection.open_redis(), connection.keys, connection.campaign).status()
    assert status.counters[f"{RESTARTS_PASSED_OVER}other_plan"] == 1


def test_preparation_goes_on_elsewhere(make_campaign: Make, start: Start) -> None:
    """kill -9 while the structure is melted: the next worker goes on with that, and then runs the candidate whole."""
    campaign = make_campaign({**SMALL_BEAD, "melt_steps": 40_000}, restart_s=0.1)
    campaign.propose("c0")
    victim = start(campaign)
    folder = campaign.folder / "prepared"
    wait_until(lambda: [s for f in folder.glob("*.restarts") for s in kept(f)][-1:] > [5_000], "a restart file")
    os.kill(ranks_of(victim.pid)[0], signal.SIGKILL)
    wait_until(victim.poll, "the worker ended")
    newest = max(s for f in folder.glob("*.restarts") for s in kept(f))
    campaign.queue.release_worker("worker-0", "killed", charged=True)
    start(campaign)
    (event,) = campaign.wait_for("run_finished/1")
    assert (event.report.steps, event.report.resumed_from_step) == (1000, 0)
    key = event.report.provenance["prepared"]
    assert f"restart.{newest}" in (folder / f"{key}.lammps").read_text()
    assert list((folder / f"{key}.restarts").iterdir()) == []
    steps = [step for step, _ in thermo_of(folder / f"{key}.log")]
    assert steps[-1] == 40_050
