"""Job scripts: a campaign in one allocation after another, until its budget is done (pure)."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Scheduler = Literal["slurm", "flux"]

SCHEDULERS: Final[tuple[Scheduler, ...]] = ("slurm", "flux")

SHARE: Final = 1 / 12
"""Of the time of a job, that the signal of the scheduler comes before its end at most."""

SHORTEST_LEAD_S: Final = 5

WORD: Final = re.compile(r"[A-Za-z0-9_.,:@/=+%-]{1,200}")


class WrongJob(ValueError):
    """A job script cannot be made from these options; the text says what was expected and what came."""


@dataclass(frozen=True)
class Job:
    """What a job script is made for.

    Args:
        campaign: name of the campaign, of letters, digits, "_", "." and "-".
        file: the campaign file, absolute.
        command: the words that start moireloop.
        ranks: of all workers together; 0 where whole nodes are asked for.
        cores: of each rank.
        gpus: of each rank.
        time_s: of one job, in seconds.
        reserve_s: so long before the end of a job the workers give back.
        nodes: how many; None where the scheduler may choose.
        account: account that is charged (Flux: the bank).
        queue: the queue (Slurm: the partition).
        chain: how many jobs there may be in a row; 0 for as many as it takes.
        resubmit: Slurm: submit the script again, instead of requeueing the same job.
    """

    campaign: str
    file: Path
    command: tuple[str, ...]
    ranks: int
    cores: int
    gpus: int
    time_s: int
    reserve_s: float
    nodes: int | None = None
    account: str | None = None
    queue: str | None = None
    chain: int = 0
    resubmit: bool = False


def job_script(scheduler: Scheduler, job: Job) -> str:
    """The text of a job script for bash. Raises WrongJob."""
    _refuse(scheduler, job)
    script = _slurm(job) if scheduler == "slurm" else _flux(job)
    return "\n".join(script) + "\n"


def lead_s(job: Job) -> int:
    """How long before the end of a job the scheduler's signal is to come: after moireloop gives back by itself."""
    return max(SHORTEST_LEAD_S, math.floor(min(job.reserve_s / 2, job.time_s * SHARE)))


def _refuse(scheduler: Scheduler, job: Job) -> None:
    for name, value in (("--account", job.account), ("--queue", job.queue)):
        if value is not None and not WORD.fullmatch(value):
            raise WrongJob(f"{name}: expected a word of letters, digits and _.,:@/=+%-, got {value!r}")
    if "\n" in str(job.file) or '"' in str(job.file):
        raise WrongJob(f"expected a campaign file without quotes and line breaks in its path, got {str(job.file)!r}")
    if not job.ranks and job.nodes is None:
        raise WrongJob("--nodes: expected a number of nodes, since workers.count names no number of workers")
    if job.resubmit and scheduler != "slurm":
        raise WrongJob("--resubmit: expected only with --scheduler slurm; a Flux script is always submitted again")


def _slurm(job: Job) -> list[str]:
    options = [
        f"job-name=moireloop-{job.campaign}",
        f"time={_clock(job.time_s)}",
        *([f"nodes={job.nodes}"] if job.nodes is not None else []),
        *([f"ntasks={job.ranks}", f"cpus-per-task={job.cores}"] if job.ranks else ["exclusive"]),
        *([f"gpus-per-task={job.gpus}"] if job.gpus else []),
        *([f"account={job.account}"] if job.account is not None else []),
        *([f"partition={job.queue}"] if job.queue is not None else []),
        f'output="{job.file.with_suffix("")}-%j.out"',
        "open-mode=append",
        *([] if job.resubmit else ["requeue"]),
        f"signal=B:USR1@{lead_s(job)}",
    ]
    number = '"${MOIRELOOP_JOB:-1}"' if job.resubmit else "$(( ${SLURM_RESTART_COUNT:-0} + 1 ))"
    if job.resubmit:
        again = 'sbatch --export="ALL,MOIRELOOP_JOB=$(( number + 1 ))" "$0"'
    else:
        again = 'scontrol requeue "$SLURM_JOB_ID"'
    return [
        *_head(job, "sbatch"),
        *(f"#SBATCH --{option}" for option in options),
        *_body(job, number, again),
    ]


def _flux(job: Job) -> list[str]:
    options = [
        f"job-name=moireloop-{job.campaign}",
        f"time-limit={job.time_s}s",
        *([f"nodes={job.nodes}"] if job.nodes is not None else []),
        *([f"nslots={job.ranks}", f"cores-per-slot={job.cores}"] if job.ranks else ["exclusive"]),
        *([f"gpus-per-slot={job.gpus}"] if job.gpus else []),
        *([f"bank={job.account}"] if job.account is not None else []),
        *([f"queue={job.queue}"] if job.queue is not None else []),
        f'output="{job.file.with_suffix("")}-{{{{id}}}}.out"',
    ]
    again = 'MOIRELOOP_JOB=$(( number + 1 )) flux --parent batch "$0"'
    return [
        *_head(job, "flux batch"),
        *(f"# flux: --{option}" for option in options),
        *_body(job, '"${MOIRELOOP_JOB:-1}"', again),
    ]


def _head(job: Job, submit: str) -> list[str]:
    return [
        "#!/bin/bash",
        f"# The campaign {job.campaign}, in one job after another until its budget is done: {submit} THIS_FILE",
    ]


def _body(job: Job, number: str, again: str) -> list[str]:
    """The commands. Who sent SIGTERM has cancelled the job or preempts it, and knows best whether it runs again."""
    return [
        "",
        f"campaign={shlex.quote(str(job.file))}",
        f"jobs={job.chain}  # largest number of jobs in a row; 0: no limit",
        f"number={number}",
        "",
        "run='' early='' cancelled='' code=''",
        'forward() { signalled=1; early=$1; [ -z "$run" ] || kill -s "$1" "$run" 2>/dev/null; }',
        "trap 'forward USR1' USR1",
        "trap 'forward ALRM' ALRM",
        "trap 'cancelled=1; forward TERM' TERM",
        f'{shlex.join(job.command)} run "$campaign" --or-resume &',
        "run=$!",
        '[ -z "$early" ] || kill -s "$early" "$run" 2>/dev/null  # it came before there was anything to pass it on to',
        'while [ -z "$code" ]; do',
        "    signalled=''",
        '    wait "$run"',
        "    status=$?",
        '    [ -n "$signalled" ] || code=$status',
        "done",
        "",
        "# 75: everything was given back, and there is more to do",
        'if [ "$code" -eq 75 ] && [ -z "$cancelled" ]; then',
        '    if [ "$jobs" -eq 0 ] || [ "$number" -lt "$jobs" ]; then',
        f"        {again}",
        "    fi",
        "fi",
        'exit "$code"',
    ]


def _clock(seconds: int) -> str:
    """Seconds as Slurm has them."""
    hours, rest = divmod(seconds, 3600)
    days, hours = divmod(hours, 24)
    clock = f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock
