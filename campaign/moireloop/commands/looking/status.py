"""`moireloop status`: one look at how a campaign stands (main).

A campaign that is not running is looked at without what draws and ranks and, where its file is as it was when it was
started, without checking that again, so that the answer comes at once.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from moireloop.campaign_file.origin import folder_of_unchanged
from moireloop.results.analyses import failed_analyses
from moireloop.results.early_ends import early_ends
from moireloop.session.live import look
from moireloop.terminal.console import console
from moireloop.terminal.failures import failure_line
from moireloop_broker.contract.events import BUDGET_OUTCOMES
from moireloop_broker.folder import CampaignFolder

if TYPE_CHECKING:
    from rich.console import RenderableType

    from moireloop.campaign_file.campaign import Campaign
    from moireloop.client.client import CampaignClient


def status(path: Path) -> int:
    """Print the state of a campaign, running or not."""
    folder = folder_of_unchanged(path) or CampaignFolder(_campaign(path).folder)
    shown = look(folder, lambda client: _live_picture(_campaign(path), client), _stored_line)
    console.print(shown, soft_wrap=True)
    return 0


@cache
def _campaign(path: Path) -> Campaign:
    from moireloop.commands.started import started

    return started(path)


def _live_picture(campaign: Campaign, client: CampaignClient) -> RenderableType:
    from moireloop.commands.looking.watch import live_picture

    return live_picture(campaign, client)


def _stored_line(folder: CampaignFolder) -> str:
    from moireloop.session.records import stored_status

    stored, history = stored_status(folder)
    done = sum(stored.counts[outcome] for outcome in BUDGET_OUTCOMES)
    counts = ", ".join(f"{count} {name}" for name, count in stored.counts.items() if count)
    parts = [f"{stored.campaign} is not running", f"state {stored.state}, {done} results", counts or "nothing yet"]
    kept = history.summary
    early = early_ends(history.results, history.withheld) if kept is None else kept.early
    analyses = failed_analyses(history.results) if kept is None else kept.failed_analyses
    summary = "; ".join([*parts, *([str(early)] if early else [])])
    failures = [failure_line(failed, time.time()) for failed in history.last_failures]
    passed_over = [history.passed_over_line] if history.passed_over_line else []
    return "\n".join([summary, *failures, *analyses, *passed_over])
