"""`moireloop watch`: live progress of a campaign (main)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from rich.console import RenderableType

from moireloop.campaign_file.campaign import Campaign
from moireloop.client.client import CampaignClient, NotRunning
from moireloop.commands.started import as_steered, started
from moireloop.results.summary import Summaries, Summary
from moireloop.session.digest import read_digest
from moireloop.session.history import History
from moireloop.session.live import connected, note_new, recent_history
from moireloop.session.lock import is_running
from moireloop.session.progress import Progress, progress_of
from moireloop.terminal.console import console
from moireloop.terminal.picture import failure_lines, line, picture
from moireloop.terminal.progress_view import ProgressView
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.message import START
from moireloop_broker.folder import CampaignFolder

WATCH_EVERY_S: Final = 0.5


def watch(path: Path) -> int:
    """Follow a campaign that runs in another terminal until it ends."""
    campaign = started(path)
    history, since = None, START
    summaries = Summaries()
    if not is_running(CampaignFolder(campaign.folder)):
        console.print("the campaign is not running")
        return 0
    with connected(CampaignFolder(campaign.folder)) as client, ProgressView(console) as view:
        while is_running(CampaignFolder(campaign.folder)):
            try:
                now = client.status()
                if history is None:
                    history, since = recent_history(client, CampaignFolder(campaign.folder), now.last_id)
                else:
                    since = note_new(client, history, since)
            except NotRunning:
                continue
            view.show(_progress(campaign, now, history, summaries), time.monotonic())
            time.sleep(WATCH_EVERY_S)
    console.print("the campaign is not running")
    return 0


def _progress(campaign: Campaign, now: Status, history: History, summaries: Summaries) -> Progress:
    campaign = as_steered(campaign, history)
    summary = _later_digest(campaign, history) or summaries.look(
        history.results, campaign.targets, history.resumed_at_s, time.monotonic(), history.withheld
    )
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
        outside_counts=campaign.budget.outside_counts,
        summary=summary,
        seen=history.outcomes,
        uncounted=history.counted_outside,
    )


def _later_digest(campaign: Campaign, history: History) -> Summary | None:
    """The newest summary in the folder, of a campaign whose history begins with one; None of a short campaign."""
    if history.summary is None:
        return None
    digest = read_digest(CampaignFolder(campaign.folder))
    return digest.history.summary if digest is not None else history.summary


def live_picture(campaign: Campaign, client: CampaignClient) -> RenderableType:
    """What the terminal shows of a campaign that runs now. Raises NotRunning."""
    now = client.status()
    history, _ = recent_history(client, CampaignFolder(campaign.folder), now.last_id)
    progress = _progress(campaign, now, history, Summaries())
    return picture(progress) if console.is_terminal else "\n".join([line(progress), *failure_lines(progress)[:-1]])
