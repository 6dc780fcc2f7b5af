"""`moireloop validate`: checks a campaign file whole, and starts nothing (main)."""

from __future__ import annotations

from pathlib import Path

from moireloop.campaign_file.analysis_check import analysis_warnings
from moireloop.campaign_file.growth_script import script_lines
from moireloop.campaign_file.load import load_campaign
from moireloop.terminal.console import console


def validate(path: Path) -> int:
    """Check a campaign file whole, and start nothing."""
    campaign = load_campaign(path, "validate")
    console.print(f"{path}: campaign {campaign.name!r} is valid", highlight=False, soft_wrap=True)
    for told in (*script_lines(campaign), *analysis_warnings(campaign.analyzers)):
        console.print(told, highlight=False, markup=False, soft_wrap=True)
    return 0
