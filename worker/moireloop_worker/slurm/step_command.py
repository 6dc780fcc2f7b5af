"""The command line of one worker's step, and its environment (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from moireloop_worker.launchers.allocation import Shape

OURS: Final = {
    "nodes": "workers.nodes",
    "ntasks": "workers.ranks",
    "cpus-per-task": "workers.cores",
    "gpus-per-task": "workers.gpus",
    **dict.fromkeys(
        ("exact", "kill-on-bad-exit", "wait", "job-name", "output", "error", "input", "open-mode", "chdir", "jobid"),
        None,
    ),
    **dict.fromkeys(("pty", "multi-prog", "bcast", "label", "unbuffered", "quiet", "test-only", "help", "usage"), None),
    **dict.fromkeys(("version", "no-allocate", "het-group", "disable-status", "verbose", "immediate", "export"), None),
}
"""Options of srun that moireloop sets itself, and the setting that they follow; and those that make no worker."""

KEPT: Final = (
    "SLURM_CONF", "SLURM_CPU_BIND", "SLURM_GPU_BIND", "SLURM_MEM_BIND", "SLURM_JOBID", "SLURM_JOB_ID", "SLURM_JWT",
    "SLURM_CLUSTER_NAME", "SLURM_MPI_TYPE", "SLURM_NETWORK", "SLURM_WORKING_CLUSTER",
)  # fmt: skip
"""What srun may read of its environment. The rest is of the batch script, such as its number of tasks, and misleads."""

WAIT_S: Final = 60


def why_refused(options: Mapping[str, str]) -> str | None:
    """What is wrong with options before srun is asked, in words; None where nothing is."""
    for name in options:
        if name in OURS:
            instead = f"; use {OURS[name]}" if OURS[name] else ""
            return f"expected no {name}, which moireloop sets itself{instead}"
        if len(name) == 1:
            return f"expected the long names of srun's options, such as constraint, got {name!r}"
    return None


def option_words(options: Mapping[str, str]) -> list[str]:
    """Options as words of a command line; a single MPI plug-in is asked for unless they name one."""
    chosen = {"mpi": "pmi2", **options}
    return [f"--{name}={value}" if value else f"--{name}" for name, value in chosen.items()]


def step_command(
    shape: Shape, options: Mapping[str, str], job_name: str, folder: str, log_file: str, command: Sequence[str]
) -> list[str]:
    """The command line that starts one worker as a step, all of whose output goes into its log file.

    A rank that dies is seen by what srun says, and the step is then killed at once. `--kill-on-bad-exit=1` would first
    ask the other ranks, which wait for the dead one, and take KillWait seconds. `--wait` is for a pool that is stuck,
    and `--verbose` says when the step has its place.

    Args:
        folder: where the worker starts.
        log_file: absolute.
    """
    log_pattern = log_file.replace("%", "%%")
    return [
        "srun",
        "--verbose",
        f"--nodes={shape.nodes}",
        f"--ntasks={shape.ranks}",
        f"--cpus-per-task={shape.cores}",
        *_gpu_words(shape.gpus, options),
        "--exact",
        "--kill-on-bad-exit=0",
        f"--wait={WAIT_S}",
        "--input=none",
        f"--output={log_pattern}",
        f"--error={log_pattern}",
        "--open-mode=append",
        f"--chdir={folder}",
        f"--job-name={job_name}",
        *option_words(options),
        *command,
    ]


def _gpu_words(gpus: int, options: Mapping[str, str]) -> list[str]:
    """The GPUs of each rank. Without a word of them a step would take all that the job asked for, and the next wait."""
    if gpus:
        return [f"--gpus-per-task={gpus}"]
    return [] if any(name.startswith(("gpus", "gres", "tres")) for name in options) else ["--gres=none"]


def trial_command(options: Mapping[str, str]) -> list[str]:
    """The command line that tries options on one rank that does nothing, beside whatever runs in the job."""
    return [
        "srun",
        "--nodes=1",
        "--ntasks=1",
        "--overlap",
        "--immediate=3",
        *_gpu_words(0, options),
        *option_words(options),
        "true",
    ]


def step_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for srun: of Slurm's variables it has those that are KEPT."""
    foreign = ("SLURM_", "SRUN_", "SBATCH_", "SALLOC_")
    return {name: value for name, value in environment.items() if not name.startswith(foreign) or name in KEPT}
