"""`moireloop job`: prints a job script that runs a campaign in one allocation after another (main)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from moireloop.campaign_file.load import load_campaign
from moireloop.scheduling.job_script import Job, Scheduler, WrongJob, job_script
from moireloop_worker.launchers.walltime import remaining_s
from moireloop_worker.settings import ALL


def job(
    path: Path,
    *,
    scheduler: Scheduler,
    time: str = "01:00:00",
    nodes: int | None = None,
    account: str | None = None,
    queue: str | None = None,
    chain: int = 0,
    resubmit: bool = False,
) -> int:
    """Print a job script that runs a campaign in one allocation after another."""
    campaign = load_campaign(path, "look")
    workers, time_s = campaign.workers, remaining_s(time)
    if time_s is None or time_s < 1:
        raise WrongJob(f"--time: expected the time of one job as [[D-]HH:]MM:SS, got {time!r}")
    if nodes is not None and nodes < 1:
        raise WrongJob(f"--nodes: expected 1 or more, got {nodes}")
    if chain < 0:
        raise WrongJob(f"--chain: expected a number of jobs, or 0 for as many as it takes, got {chain}")
    wanted = Job(
        campaign=campaign.name,
        file=path.absolute(),
        command=_command(),
        ranks=0 if workers.count == ALL else workers.number * workers.ranks,
        cores=workers.cores or campaign.lammps.threads,
        gpus=workers.gpus,
        time_s=round(time_s),
        reserve_s=workers.reserve_s,
        nodes=nodes,
        account=account,
        queue=queue,
        chain=chain,
        resubmit=resubmit,
    )
    sys.stdout.write(job_script(scheduler, wanted))
    return 0


def _command() -> tuple[str, ...]:
    """What starts this installation of moireloop, wherever the job begins."""
    beside = shutil.which("moireloop", path=str(Path(sys.executable).parent))
    return (beside,) if beside is not None else (sys.executable, "-m", "moireloop")
