"""Whole campaigns in jobs of a real scheduler: from their start as a user's script to exactly one result for each."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop import NotRunning, connect
from moireloop_broker.connection import NoConnectionFile, read_connection
from moireloop_broker.contract.events import Result, RunFailed, RunFinished
from moireloop_broker.state.campaign_state import frame_endpoints
from tests.helpers.kernels import compiled_kernels
from tests.helpers.slurm import Slurm
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

__all__ = ["compiled_kernels"]

Make = Callable[..., RunningCampaign]

PREPARED = 1000
"""The preparation of a run has fewer steps, which are reported in the same way."""


@pytest.fixture
def campaign(tmp_path: Path, compiled_kernels: None) -> Iterator[Make]:
    """Make a campaign: `campaign(workers={"count": 1}, results=4, steps=(500, 500))`."""
    made: list[RunningCampaign] = []

    def make(workers: str, **options: object) -> RunningCampaign:
        running = RunningCampaign(tmp_path, **options)  # type: ignore[arg-type]
        text = running.file.read_text(encoding="utf-8")
        for old, new in (("count = 2", workers), ("oversubscribe = true", ""), ("initial = 4", "initial = 1")):
            text = text.replace(old, new)
        running.file.write_text(text, encoding="utf-8")
        made.append(running)
        return running

    yield make
    for running in made:
        running.close()


def script(folder: Path, name: str, *lines: str) -> Path:
    """A batch script."""
    file = folder / name
    file.write_text("\n".join(["#!/bin/bash", *lines, ""]), encoding="utf-8")
    file.chmod(0o755)
    return file


def test_two_jobs_feed_one_campaign(slurm: Slurm, campaign: Make, tmp_path: Path) -> None:
    """The campaign has no own workers; one pool from each job does, and the jobs end with it.

    One job starts an analyzer too, by the scheduler, beside its workers.
    """
    running = campaign("count = 0", results=6, steps=(5000, 5000))
    running.start()
    wait_until(lambda: steered(running, pause=True), "the campaign is paused", 100)
    join = f"exec {sys.executable} -m moireloop join {running.folder} --workers all"
    analyzer = f"srun --overlap --ntasks=1 {sys.executable} -m moireloop service analyzer {running.folder} &"
    scripts = [script(tmp_path, "job0.sh", analyzer, join), script(tmp_path, "job1.sh", join)]
    jobs = [slurm.submit(file, 1) for file in scripts]
    wait_until(lambda: workers_now(running) == 2, "both pools have their worker", 100)
    wait_until(lambda: analyzers_now(running) == 2, "the job's analyzer is there beside the campaign's own", 100)
    assert steered(running, pause=False)
    code, output = running.end()
    said = "\n".join((tmp_path / f"job{number}.sh.out").read_text() for number in range(2))
    assert code == 0, output + said
    events = running.assert_exactly_one_result_each(6)
    workers = {event.report.worker for event in events if isinstance(event, RunFinished)}
    assert all(any(f"-{job}-worker-0" in worker for worker in workers) for job in jobs), (workers, said)
    wait_until(lambda: all(slurm.is_over(job) for job in jobs), "both jobs end", 30)


def steered(campaign: RunningCampaign, *, pause: bool) -> bool:
    """Pause the campaign, or have it go on; False where nothing responds."""
    try:
        with connect(campaign.folder, timeout_s=10) as client:
            client.pause() if pause else client.resume()
    except (NotRunning, NoConnectionFile):
        return False
    return True


def workers_now(campaign: RunningCampaign) -> int:
    """How many workers are there; none where nothing responds."""
    try:
        with connect(campaign.folder, timeout_s=2) as client:
            return sum(worker.phase == "up" for worker in client.status().workers)
    except (NotRunning, NoConnectionFile):
        return 0


def analyzers_now(campaign: RunningCampaign) -> int:
    """How many analyzers have announced where they receive frames."""
    connection = read_connection(campaign.folder / "connection.json")
    with contextlib.closing(connection.open_redis()) as client:
        return len(frame_endpoints(client, connection.keys))


def running_now(campaign: RunningCampaign) -> int:
    """How many candidates run; none where nothing responds."""
    try:
        with connect(campaign.folder, timeout_s=2) as client:
            return client.status().counts["running"]
    except (NotRunning, NoConnectionFile):
        return 0


def steps_now(campaign: RunningCampaign) -> int:
    """How far the farthest run has come; nowhere where nothing responds."""
    try:
        with connect(campaign.folder, timeout_s=2) as client:
            return max([worker.step for worker in client.status().workers], default=0)
    except (NotRunning, NoConnectionFile):
        return 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_run_outlives_a_preemption_and_the_end_of_its_time(slurm: Slurm, campaign: Make, tmp_path: Path) -> None:
    """The script of `moireloop job`: preempted and requeued by Slurm, then notified of its end and requeued by itself.

    The one candidate is never charged, goes on from restart files, and comes to its one result.
    """
    running = campaign("count = 1", results=1, steps=(60_000, 60_000))
    wanted = ["job", str(running.file), "--scheduler", "slurm", "--time", "00:05:00"]
    text = subprocess.run(
        [sys.executable, "-m", "moireloop", *wanted], capture_output=True, text=True, check=True
    ).stdout
    file = script(tmp_path, "chain.sh", *text.splitlines()[1:])
    job = slurm.submit(file, 1, "--partition=low")
    said = file.with_name("chain.sh.out")
    wait_until(lambda: running_now(running) == 1 or slurm.is_over(job), "the candidate runs", 100)
    assert not slurm.is_over(job), said.read_text()
    with slurm.allocation("--partition=high", "--time=1"):
        wait_until(lambda: slurm.job_state(job) == "PENDING", "the job is preempted")
    slurm.begins_again(job)
    wait_until(lambda: running_now(running) == 1 or slurm.is_over(job), "the candidate runs again", 100)
    slurm.command("scancel", "--signal=USR1", "--batch", job)
    slurm.begins_again(job)
    wait_until(lambda: slurm.is_over(job), "the job is over", 300)
    assert "gave everything back: SIGUSR1 says to give everything back" in said.read_text(), said.read_text()
    events = running.assert_exactly_one_result_each(1)
    failures = [event for event in events if isinstance(event, RunFailed)]
    assert len(failures) == 2, said.read_text()
    assert not any(event.charged for event in failures)
    (result,) = [event for event in events if isinstance(event, Result)]
    assert result.report is not None
    assert result.report.resumed_from_step > 0


@pytest.mark.long
@pytest.mark.timeout(600)
def test_job_gives_back_before_its_time_limit_and_the_next_one_goes_on(
    slurm: Slurm, campaign: Make, tmp_path: Path
) -> None:
    """A limit of one minute, the shortest that Slurm has, is foreseen: no step is lost, nothing is charged."""
    running = campaign("count = 1", results=1, steps=(400_000, 400_000))
    run = f"{sys.executable} -m moireloop run {running.file} --or-resume; echo ended with $?"
    file = script(tmp_path, "limited.sh", run)
    said = file.with_name("limited.sh.out")
    job = slurm.submit(file, 1, "--time=1")
    wait_until(lambda: slurm.is_over(job), "the first job is over", 200)
    assert "ended with 75" in said.read_text(), said.read_text()
    assert "gave everything back: the allocation of the workers ends, with 0 of 1 results" in said.read_text()
    assert slurm.job_state(job) == "COMPLETED"
    second = slurm.submit(file, 1)
    wait_until(lambda: slurm.is_over(second), "the second job is over", 300)
    events = running.assert_exactly_one_result_each(1)
    (failed,) = [event for event in events if isinstance(event, RunFailed)]
    (result,) = [event for event in events if isinstance(event, Result)]
    assert not failed.charged
    assert result.report is not None
    assert failed.reason == f"worker-0 ended at step {result.report.resumed_from_step} and gave the candidate back"


def test_plain_script_loses_no_step_at_scancel(slurm: Slurm, campaign: Make, tmp_path: Path) -> None:
    """Slurm ends the shell of the script at once, and all else soon after; the run has left its last step by then."""
    running = campaign("count = 1", results=4, steps=(200_000, 200_000))
    job = slurm.submit(script(tmp_path, "plain.sh", f"{sys.executable} -m moireloop run {running.file} --or-resume"), 1)
    wait_until(lambda: steps_now(running) > PREPARED or slurm.is_over(job), "the run has made a step", 110)
    reached = steps_now(running)
    slurm.command("scancel", job)
    wait_until(lambda: slurm.is_over(job), "the job is over", 60)
    files = list(running.folder.glob("runs/*/attempt-1/restart.*.json"))
    assert max(int(file.name.split(".")[1]) for file in files) >= reached
