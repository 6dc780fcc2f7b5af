"""Tries each analyzer that a campaign names on a small bilayer, in a process of its own (adapter)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Final

from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.processes.exits import exit_reason
from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command

START_S: Final = 180.0
"""For imports, and for kernels that are compiled once per installation."""


def analysis_warnings(settings: AnalyzerSettings) -> list[str]:
    """A line for each analyzer that fails on a small bilayer of MoS2, where it may work on the campaign's own."""
    found = ((name, _why_it_fails(name, settings.analysis_s)) for name in settings.analyses)
    return [f"warning: analyzer {name!r} fails on a small bilayer: {reason}" for name, reason in found if reason]


def _why_it_fails(name: str, limit_s: float) -> str | None:
    command = [sys.executable, "-m", "moireloop_analyzer.plugins.trial", name, str(limit_s)]
    try:
        trial = subprocess.run(  # noqa: S603
            lifeline_command(command, signal.SIGKILL, parent=ANY_PARENT),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_S + limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it was not done within {START_S + limit_s:g} s"
    if trial.returncode == -signal.SIGALRM:
        return f"it was not done within {limit_s:g} s"
    if trial.returncode != 0:
        return f"its process was lost: {exit_reason(trial.returncode)}"
    reason: str | None = json.loads(trial.stdout.splitlines()[-1])
    return None if reason is None else " ".join(reason.split())
