"""Tries the generator that a campaign names as its strategy, in a process that it may bring down (adapter)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from moireloop_broker.problems import Problem
from moireloop_broker.processes.exits import exit_reason, last_words
from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from moireloop_optimizer.generators.source import why_unknown
from moireloop_optimizer.strategy_names import is_own

if TYPE_CHECKING:
    from moireloop.campaign_file.campaign import Campaign

IMPORT_S: Final = 120.0


def strategy_name_problems(campaign: Campaign) -> list[Problem]:
    """A strategy that nobody knows, and options for one that takes none. Nothing is imported."""
    optimizer = campaign.optimizer
    found = []
    if (reason := why_unknown(optimizer.strategy)) is not None:
        found.append(Problem("optimizer.strategy", reason))
    elif is_own(optimizer.strategy) and optimizer.options:
        names = ", ".join(optimizer.options)
        text = f"expected none, since strategy {optimizer.strategy!r} takes none, got {names}"
        found.append(Problem("optimizer.options", text))
    return found


def generator_problems(campaign: Campaign) -> list[Problem]:
    """Whether the generator can be loaded and made, as it will be for the first target; ours are not tried."""
    if is_own(campaign.optimizer.strategy):
        return []
    limit_s = IMPORT_S + campaign.optimizer.suggest_s
    try:
        trial = subprocess.run(  # noqa: S603
            lifeline_command(
                [sys.executable, "-B", "-m", "moireloop_optimizer.generators.trial"], signal.SIGKILL, parent=ANY_PARENT
            ),
            input=_trial(campaign),
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [_problem("strategy", f"expected a generator that can be made, got none within {limit_s:g} s")]
    if trial.returncode != 0:
        words = last_words(trial.stderr) if trial.returncode > 0 else ""
        text = f"expected a generator that can be made, got none: its trial {exit_reason(trial.returncode)} {words}"
        return [_problem("strategy", text.rstrip())]
    found: list[str] | None = json.loads(trial.stdout.splitlines()[-1])
    return [] if found is None else [_problem(*found)]


def _trial(campaign: Campaign) -> bytes:
    trial = {
        "strategy": campaign.optimizer.strategy,
        "options": campaign.optimizer.options,
        "space": campaign.space.model_dump(),
        "target": campaign.targets[0].model_dump(),
        "seed": campaign.optimizer.seed,
    }
    return json.dumps(trial).encode()


def _problem(key: str, text: str) -> Problem:
    return Problem(f"optimizer.{key}", text)
