"""The Slurm job around this process: what it holds, when it ends, and steps that were left in it (adapter)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from typing import Final

from moireloop_worker.launchers.allocation import Allocation
from moireloop_worker.launchers.launcher import CannotLaunch
from moireloop_worker.slurm.job_facts import allocation_of, end_of, state_of, steps_of

PATIENCE_S: Final = 30.0
"""Slurm's commands give up themselves after twice MessageTimeout, which is 10 s by default."""

ASK_AGAIN_S: Final = 30.0

EPOCH: Final = {"SLURM_TIME_FORMAT": "%s"}


def job_id() -> str:
    """The id of the job around this process. Raises CannotLaunch."""
    number = os.environ.get("SLURM_JOB_ID", "")
    if not number:
        raise CannotLaunch("expected a Slurm job around this process (sbatch, salloc), got no SLURM_JOB_ID")
    if shutil.which("srun") is None:
        raise CannotLaunch(f"expected srun on the PATH within Slurm job {number}, got none")
    return number


def survey() -> Allocation:
    """The nodes of the job around this process. Raises CannotLaunch."""
    number = job_id()
    said = _output_of("scontrol", "--oneliner", "--details", "show", "job", number)
    try:
        allocation = allocation_of(said)
    except ValueError as error:
        raise CannotLaunch(f"expected scontrol to list the nodes of Slurm job {number}: {error}") from error
    if allocation is None:
        raise CannotLaunch(f"expected Slurm job {number} to run, got {state_of(said) or said[:200]!r}")
    return allocation


def end_steps(prefix: str) -> list[str]:
    """Cancel the steps of this job whose names begin so; returns their ids. Raises CannotLaunch."""
    number = job_id()
    steps = steps_of(_output_of("squeue", "--noheader", "--steps", f"--jobs={number}", "--format=%i %j"), prefix)
    if steps:
        _output_of("scancel", "--signal=KILL", *steps)
    return steps


def _output_of(*words: str) -> str:
    """What a command of Slurm's says. Raises CannotLaunch."""
    try:
        done = subprocess.run(  # noqa: S603
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S
        )
    except FileNotFoundError as error:
        raise CannotLaunch(f"expected {words[0]} on the PATH, got none") from error
    except subprocess.TimeoutExpired as error:
        raise CannotLaunch(f"Slurm does not respond: {words[0]} printed nothing for {PATIENCE_S:g} s") from error
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise CannotLaunch(f"Slurm does not respond: {words[0]}: {reason}")
    return done.stdout


class JobEnd:
    """When the job ends, queried again now and then in the background, since it may change."""

    def __init__(self, number: str) -> None:
        self._command: Sequence[str] = ("squeue", "--noheader", f"--jobs={number}", "--format=%e")
        self._ends_s: float | None = None
        self._asked_s: float | None = None
        self._asking: subprocess.Popen[str] | None = None

    def ends_s(self, patience_s: float = 0.0) -> float | None:
        """Seconds since the epoch, as far as is known; None without an end. It waits no longer than `patience_s`."""
        now_s = time.monotonic()
        if self._asking is None and (self._asked_s is None or now_s - self._asked_s >= ASK_AGAIN_S):
            self._ask(now_s)
        while self._asking is not None and not self._heard() and time.monotonic() - now_s < patience_s:
            time.sleep(0.01)
        return self._ends_s

    def _ask(self, now_s: float) -> None:
        self._asked_s = now_s
        environment = {**os.environ, **EPOCH}
        try:
            self._asking = subprocess.Popen(  # noqa: S603
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
            )
        except OSError:
            self._asking = None

    def _heard(self) -> bool:
        """Whether the question was answered; no answer leaves what was known."""
        asking = self._asking
        if asking is None or asking.poll() is None:
            return asking is None
        said = asking.communicate()[0]
        if asking.returncode == 0 and said.strip():
            self._ends_s = end_of(said)
        self._asking = None
        return True

    def close(self) -> None:
        """End a question that is still open."""
        if self._asking is not None:
            self._asking.kill()
            self._asking.communicate()
            self._asking = None
