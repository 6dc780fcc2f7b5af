"""Tries each analyzer that a campaign names on a small bilayer, in its own process (adapter)."""

from __future__ import annotations

import json
import sys
from typing import Final

from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.processes.exits import exit_reason
from moireloop_broker.processes.trial import TrialOverdue, try_out

START_S: Final = 180.0
"""For imports, and for kernels that are compiled once per installation."""


def analysis_warnings(settings: AnalyzerSettings) -> list[str]:
    """A line for each analyzer that fails on a small bilayer of MoS2, where it may work on the campaign's own."""
    reasons = ((name, _why_it_fails(name, settings.analysis_s)) for name in settings.analyses)
    return [f"warning: analyzer {name!r} fails on a small bilayer: {reason}" for name, reason in reasons if reason]


def _why_it_fails(name: str, limit_s: float) -> str | None:
    command = [sys.executable, "-m", "moireloop_analyzer.plugins.trial", name]
    try:
        trial = try_out(command, f"trial of analyzer {name}", start_s=START_S, limit_s=limit_s)
    except TrialOverdue as error:
        return str(error)
    if trial.code != 0:
        return f"its process was lost: {exit_reason(trial.code)}"
    try:
        reason: str | None = json.loads(trial.said.splitlines()[-1])
    except (ValueError, IndexError):
        return "its process ended before it was done"
    return None if reason is None else " ".join(reason.split())
