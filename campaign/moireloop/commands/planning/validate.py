"""`moireloop validate`: checks a campaign file whole, and starts nothing (main)."""

from __future__ import annotations

from pathlib import Path

from moireloop.campaign_file.load import load_campaign
from moireloop.cells.lines import warnings
from moireloop.terminal.console import console
from moireloop_analyzer.checks import early_end_warnings
from moireloop_analyzer.plugins.check import analysis_warnings
from moireloop_worker.models import crystal_of
from moireloop_worker.models.script_files import script_lines


def validate(path: Path) -> int:
    """Check a campaign file; start nothing."""
    campaign = load_campaign(path, "validate")
    console.print(f"{path}: campaign {campaign.name!r} is valid", soft_wrap=True)
    lines = script_lines(campaign.growth, campaign.frames.every_steps)
    reach = warnings(crystal_of(campaign.growth), campaign.space, campaign.targets)
    early = early_end_warnings(campaign.early_end, campaign.budget.results)
    for line in (*lines, *analysis_warnings(campaign.analyzers), *reach, *early):
        console.print(line, soft_wrap=True)
    return 0
