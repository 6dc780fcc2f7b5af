"""Job scripts: what they ask of a scheduler, what bash makes of them, and which options are refused."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from moireloop.scheduling.job_script import SCHEDULERS, Job, Scheduler, WrongJob, job_script, lead_s
from tests.helpers.waiting import wait_until

JOB = Job(
    campaign="twist",
    file=Path("/scratch/my runs/twist.toml"),
    command=("/opt/env/bin/moireloop",),
    ranks=8,
    cores=2,
    gpus=1,
    time_s=93_784,
    reserve_s=60.0,
    nodes=2,
    account="m1234",
    queue="regular",
)


def options(text: str, mark: str) -> set[str]:
    return {line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)}


def test_slurm_script_asks_for_what_the_workers_need() -> None:
    """Tasks, cores and GPUs of [workers]; time, signal, requeue, and where the output goes."""
    assert options(job_script("slurm", JOB), "#SBATCH ") == {
        "--job-name=moireloop-twist", "--time=1-02:03:04", "--nodes=2", "--ntasks=8", "--cpus-per-task=2",
        "--gpus-per-task=1", "--account=m1234", "--partition=regular", '--output="/scratch/my runs/twist-%j.out"',
        "--open-mode=append", "--requeue", "--signal=B:USR1@30",
    }  # fmt: skip


def test_flux_script_asks_for_what_the_workers_need() -> None:
    """In Flux's words."""
    assert options(job_script("flux", JOB), "# flux: ") == {
        "--job-name=moireloop-twist", "--time-limit=93784s", "--nodes=2", "--nslots=8", "--cores-per-slot=2",
        "--gpus-per-slot=1", "--bank=m1234", "--queue=regular", '--output="/scratch/my runs/twist-{{id}}.out"',
    }  # fmt: skip


def test_signal_comes_after_moireloop_gives_back_by_itself() -> None:
    """It is there in case that the end is not known; short jobs get it late."""
    assert lead_s(replace(JOB, reserve_s=600.0)) == 300
    assert lead_s(replace(JOB, time_s=120)) == 10
    assert lead_s(replace(JOB, time_s=10)) == 5


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("job", [JOB, replace(JOB, ranks=0, gpus=0, account=None, queue=None, chain=3)])
def test_bash_understands_every_script(scheduler: Scheduler, job: Job) -> None:
    """Also where the path has blanks."""
    subprocess.run(["bash", "-n"], input=job_script(scheduler, job), text=True, check=True)


@pytest.mark.parametrize(
    ("job", "scheduler", "words"),
    [
        (replace(JOB, account="me; rm -rf /"), "slurm", "--account: expected a word"),
        (replace(JOB, queue="a b"), "flux", "--queue: expected a word"),
        (replace(JOB, file=Path('/a/b"c.toml')), "slurm", "without quotes"),
        (replace(JOB, file=Path("/a/b\n#SBATCH --exclusive")), "slurm", "line breaks"),
        (replace(JOB, ranks=0, nodes=None), "slurm", "--nodes: expected a number of nodes"),
        (replace(JOB, resubmit=True), "flux", "--resubmit"),
    ],
)
def test_what_would_be_another_script_is_refused(job: Job, scheduler: Scheduler, words: str) -> None:
    """With the option and what was expected."""
    with pytest.raises(WrongJob, match=words):
        job_script(scheduler, job)


class Batch:
    """A script run by bash, with a program in moireloop's place, and one instead of what asks for another job."""

    def __init__(self, folder: Path, program: str, **changes: object) -> None:
        for name, text in (("campaign", program), ("scontrol", 'echo "$@" >> "$0.said"')):
            (folder / name).write_text(f"#!/bin/bash\n{text}\n")
            (folder / name).chmod(0o700)
        self.said = folder / "scontrol.said"
        self.ready = folder / "ready"
        script = folder / "script.sh"
        job = replace(JOB, file=folder / "x.toml", command=(str(folder / "campaign"),))
        script.write_text(job_script("slurm", replace(job, **changes)))  # type: ignore[arg-type]
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}
        self.process = subprocess.Popen(["bash", str(script)], env=environment, cwd=folder)

    def end(self) -> tuple[int, bool]:
        """The exit code, and whether another job was asked for."""
        try:
            code = self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
        return code, self.said.exists() and self.said.read_text() == "requeue 17\n"


@pytest.mark.parametrize(("code", "again"), [(0, False), (75, True), (1, False), (130, False)])
def test_another_job_is_asked_for_at_75_alone(tmp_path: Path, code: int, again: bool) -> None:
    """The script ends with moireloop's exit code."""
    assert Batch(tmp_path, f"exit {code}").end() == (code, again)


def test_chain_ends_with_its_last_job(tmp_path: Path) -> None:
    """`--chain 1` is one job."""
    assert Batch(tmp_path, "exit 75", chain=1).end() == (75, False)


@pytest.mark.parametrize(("number", "again"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_signals_are_passed_on(tmp_path: Path, number: signal.Signals, again: bool) -> None:
    """The script waits until moireloop has given back. After SIGTERM, by scancel, no other job is asked for."""
    batch = Batch(tmp_path, f"trap 'sleep 0.3; exit 75' {number.name}; touch ready; while :; do sleep 0.05; done")
    wait_until(batch.ready.exists, "the program runs")
    batch.process.send_signal(number)
    assert batch.end() == (75, again)
