"""What only Slurm has: the end of a job that is moved, one of its commands that does not respond."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moireloop_worker.launchers.launcher import CannotLaunch, Launch
from moireloop_worker.slurm import job as slurm_job
from moireloop_worker.slurm.launcher import SlurmLauncher
from tests.helpers.schedulers import Held
from tests.helpers.slurm import Slurm
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import SMALL_BEAD, Campaign
from tests.schedulers.conftest import StartPool

Make = Callable[..., Campaign]


def enter(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def launcher(folder: Path) -> SlurmLauncher:
    return SlurmLauncher(Launch((sys.executable, "-c", "pass"), 1, folder / "logs", "c"))


def test_end_of_a_job_is_known_and_asked_again(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job without a limit has no end; one that gets an end has it at the next question, which nobody waits for."""
    monkeypatch.setattr(slurm_job, "ASK_AGAIN_S", 0.1)
    with slurm.allocation() as held:
        enter(monkeypatch, dict(held.environment))
        found = launcher(tmp_path)
        assert found.ends_s() is None
        before_s = time.time()
        slurm.end_in(held.environment["SLURM_JOB_ID"], 300)
        wait_until(lambda: found.ends_s() is not None, "the end is known")
        ends_s = found.ends_s()
        assert ends_s is not None
        assert abs(ends_s - before_s - 300) < 30
        begun_s = time.monotonic()
        found.ends_s()
        assert time.monotonic() - begun_s < 10


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SLURM_JOB_ID", "999999", "Slurm does not respond: scontrol: slurm_load_jobs error: Invalid job id specified"),
        ("SLURM_JOB_ID", "", "expected a Slurm job around this process"),
        ("PATH", "/nowhere", "expected srun on the PATH within Slurm job 7, got none"),
    ],
)
def test_invalid_job_is_reported_in_one_line(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    """A job that is over, none at all, and a machine without srun."""
    enter(monkeypatch, {**slurm.environment, "SLURM_JOB_ID": "7", name: value})
    with pytest.raises(CannotLaunch) as raised:
        SlurmLauncher.survey()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture
def held(slurm: Slurm) -> Iterator[Held]:
    """A job with both nodes."""
    with slurm.allocation() as allocation:
        yield allocation


def test_ranks_that_do_not_find_each_other_form_no_worker(
    held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """With `--mpi=none`, Slurm's usual default, each rank would be a worker; they end, and the status says why."""
    options = {"mpi": "none"}
    campaign = make_campaign(SMALL_BEAD, ranks=2, nodes=2, launcher="slurm", launcher_options=options)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    faults = wait_until(lambda: [one.fault for one in campaign.state.status().workers if one.fault], "a fault", 60)
    assert "expected 2 MPI ranks, got 1: the launcher and this MPI library do not speak the same PMI" in faults[0]
    assert campaign.events("run_leased/1") == []


@pytest.mark.long
@pytest.mark.timeout(240)
def test_worker_that_reaches_a_time_limit_is_lost(held: Held, make_campaign: Make, start_pool: StartPool) -> None:
    """A step's own limit, of which the pool knows nothing: Slurm ends it, and that costs no attempt."""
    endless = {**SMALL_BEAD, "anneal_steps": 90_000_000}
    campaign = make_campaign(endless, lease_s=300.0, launcher="slurm", launcher_options={"time": "1"}, restart_s=5.0)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    wait_until(lambda: campaign.events("run_failed/1"), "Slurm ends the step", 200)
    (failed,) = campaign.events("run_failed/1")
    assert not failed.charged
    assert re.search("TIME LIMIT|gave the candidate back", failed.reason)
    assert campaign.wait_for("run_leased/1", 2)[1].attempt == 2
