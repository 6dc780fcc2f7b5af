"""Whether srun takes the options that a campaign file passes on: asked of srun itself (adapter)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from moireloop_worker.slurm import step_command

PATIENCE_S: Final = 20.0

NOISE: Final = re.compile(r"^(srun: )?(error|fatal|slurmstepd[^:]*): *", re.IGNORECASE)

NOT_OF_OPTIONS: Final = ("nodes are busy", "temporarily", "Invalid job id", "timed out", "Unable to contact", "Expired")
"""What srun says if something other than the options is wrong; the workers' own starts then show it."""


def why_refused(options: Mapping[str, str]) -> str | None:
    """What is wrong with options, in words; None where srun takes them.

    In a job a step of one rank that does nothing is tried with them; elsewhere srun only reads them.
    """
    refusal = step_command.why_refused(options)
    if refusal is not None or shutil.which("srun") is None:
        return refusal
    words = ["srun", *step_command.option_words(options), "--version"]
    refusal = _complaint(words, options)
    if refusal is None and os.environ.get("SLURM_JOB_ID"):
        refusal = _complaint(step_command.trial_command(options), options)
    return refusal


def _complaint(words: Sequence[str], options: Mapping[str, str]) -> str | None:
    """What srun complains of when it is started with these words; None where it does not, or of something else."""
    try:
        done = subprocess.run(  # noqa: S603
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            env=step_command.step_environment(os.environ),
        )
    except subprocess.TimeoutExpired:
        return None
    said = [NOISE.sub("", line).removeprefix("srun: ").strip() for line in done.stderr.splitlines()]
    complaint = "; ".join(line for line in said if line and not line.startswith("Try "))
    if done.returncode == 0 or not complaint or any(words in complaint for words in NOT_OF_OPTIONS):
        return None
    shown = " ".join(step_command.option_words(options))
    return f"expected options that srun takes, got {shown}: {complaint[:300]}"
