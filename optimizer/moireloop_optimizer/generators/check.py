"""Checks the strategy that a campaign names, in a process that may crash, and keeps its file (adapter)."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_broker.files import replaced_whole
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import Problem
from moireloop_broker.processes.exits import exit_reason, last_words
from moireloop_broker.processes.trial import Trial, TrialOverdue, try_out
from moireloop_optimizer.settings import OptimizerSettings
from moireloop_optimizer.strategy_names import generator_place, is_own

IMPORT_S: Final = 120.0


def generator_problems(optimizer: OptimizerSettings, space: SearchSpace, target: Target) -> list[Problem]:
    """Problems with loading and constructing the generator for the first target; built-in ones are not tried."""
    if is_own(optimizer.strategy):
        return []
    limit_s = IMPORT_S + optimizer.suggest_s
    command = [sys.executable, "-B", "-m", "moireloop_optimizer.generators.trial"]
    stdin = _trial(optimizer, space, target)
    try:
        return _problems(try_out(command, f"trial of {optimizer.strategy}", start_s=limit_s, stdin=stdin))
    except TrialOverdue:
        return [_problem("strategy", f"expected a generator that can be constructed, got none within {limit_s:g} s")]


def _problems(trial: Trial) -> list[Problem]:
    """The problems that a finished trial reports."""
    with contextlib.suppress(ValueError, IndexError):
        if trial.code == 0:
            found: list[str] | None = json.loads(trial.said.splitlines()[-1])
            return [] if found is None else [_problem(*found)]
    words = last_words(trial.words) if trial.code >= 0 else ""
    text = f"expected a generator that can be constructed, got none: its trial {exit_reason(trial.code)} {words}"
    return [_problem("strategy", text.rstrip())]


def keep_strategy(optimizer: OptimizerSettings, folder: CampaignFolder) -> str | None:
    """Copy the file of a user's strategy into the campaign's folder; the copy is what runs.

    Returns:
        What changed, if the folder had a file of this name with other content; else None.
    """
    place = generator_place(optimizer.strategy)
    if place.file is None:
        return None
    kept = _copy_of(folder, place.file)
    before = kept.read_bytes() if kept.is_file() else None
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with replaced_whole(kept) as copy:
        shutil.copyfile(place.file, copy)
    is_changed = before is not None and before != kept.read_bytes()
    return f"optimizer.strategy: other content of {place.file.name}" if is_changed else None


def optimizer_section(optimizer: OptimizerSettings, folder: CampaignFolder) -> dict[str, Any]:
    """The section [optimizer] for the optimizer: it names the copy, since the original may be edited or removed."""
    section = optimizer.model_dump(mode="json")
    place = generator_place(optimizer.strategy)
    if place.file is None:
        return section
    return {**section, "strategy": f"{_copy_of(folder, place.file)}:{place.name}"}


def _copy_of(folder: CampaignFolder, file: Path) -> Path:
    return folder.strategy.absolute() / file.name


def _trial(optimizer: OptimizerSettings, space: SearchSpace, target: Target) -> bytes:
    trial = {
        "strategy": optimizer.strategy,
        "options": optimizer.options,
        "space": space.model_dump(),
        "target": target.model_dump(),
        "seed": optimizer.seed,
    }
    return json.dumps(trial).encode()


def _problem(key: str, text: str) -> Problem:
    return Problem(f"optimizer.{key}", text)
