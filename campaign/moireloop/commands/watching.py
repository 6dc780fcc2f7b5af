"""`moireloop status` and `moireloop watch`: how a campaign stands (main)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from rich.console import RenderableType

from moireloop.campaign_file.campaign import Campaign
from moireloop.client.client import CampaignClient, NotRunning
from moireloop.commands.started import started
from moireloop.results.analyses import failed_analyses
from moireloop.results.results import early_ends
from moireloop.session.history import TOPICS, History
from moireloop.session.live import connected, live_history, look
from moireloop.session.lock import holder_of
from moireloop.session.progress import Progress, progress_of
from moireloop.terminal.console import console
from moireloop.terminal.picture import failure_line, failure_lines, line, picture
from moireloop.terminal.progress_view import ProgressView
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import BUDGET_OUTCOMES
from moireloop_broker.folder import CampaignFolder

WATCH_EVERY_S: Final = 0.5


def status(path: Path) -> int:
    """One look at a campaign, whether it runs or not."""
    campaign = started(path)
    console.print(
        look(CampaignFolder(campaign.folder), lambda client: _picture(campaign, client), _stored_line),
        soft_wrap=True,
    )
    return 0


def watch(path: Path) -> int:
    """Live progress of a campaign that another terminal runs, until it ends."""
    campaign = started(path)
    history, since = History(), "0-0"
    if holder_of(CampaignFolder(campaign.folder)) is None:
        console.print("the campaign does not run")
        return 0
    with connected(CampaignFolder(campaign.folder)) as client, ProgressView(console) as view:
        while holder_of(CampaignFolder(campaign.folder)) is not None:
            try:
                fresh = client.events(TOPICS, since)
                now = client.status()
            except NotRunning:
                continue
            for entry in fresh:
                history.note(entry.message)
            since = fresh[-1].id if fresh else since
            view.show(_progress(campaign, now, history), time.monotonic())
            time.sleep(WATCH_EVERY_S)
    console.print("the campaign does not run")
    return 0


def _progress(campaign: Campaign, now: Status, history: History) -> Progress:
    return progress_of(
        now,
        history.results,
        campaign.targets,
        budget_results=campaign.budget.results,
        started_s=history.session_starts_s[-1] if history.session_starts_s else time.time(),
        now_s=time.time(),
        wall_time_s=campaign.budget.wall_time_s,
        resumed_at_s=history.resumed_at_s,
        last_crash=history.last_crash,
        last_failures=history.last_failures,
    )


def _picture(campaign: Campaign, client: CampaignClient) -> RenderableType:
    progress = _progress(campaign, client.status(), live_history(client))
    return picture(progress) if console.is_terminal else "\n".join([line(progress), *failure_lines(progress)[:-1]])


def _stored_line(folder: CampaignFolder) -> str:
    from moireloop.session.records import stored_status

    stored, history = stored_status(folder)
    done = sum(stored.counts[outcome] for outcome in BUDGET_OUTCOMES)
    counts = ", ".join(f"{count} {name}" for name, count in stored.counts.items() if count)
    parts = [f"{stored.campaign} does not run", f"state {stored.state}, {done} results", counts or "nothing yet"]
    early = early_ends(history.results)
    summary = "; ".join([*parts, *([str(early)] if early else [])])
    failures = [failure_line(failed, time.time()) for failed in history.last_failures]
    passed_over = [history.passed_over_line] if history.passed_over_line else []
    return "\n".join([summary, *failures, *failed_analyses(history.results), *passed_over])
