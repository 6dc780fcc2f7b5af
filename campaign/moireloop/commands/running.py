"""`moireloop run` and `moireloop resume`: one session of a campaign, from its checks to its figures (main)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.changes import changes_on_resume
from moireloop.campaign_file.load import Purpose, keep_copy, load_campaign, load_copy, refuse_unreachable
from moireloop.session.lock import locked, refuse_if_held
from moireloop.session.opening import forget_session, refuse_taken_name
from moireloop.terminal.console import console
from moireloop.terminal.session_view import conduct
from moireloop_broker.folder import CampaignFolder
from moireloop_optimizer.generators.check import keep_strategy
from moireloop_worker.lammps.restarts import remove_restart_files_of
from moireloop_worker.models.script_files import keep_script


def run(path: Path, *, fresh: bool = False) -> int:
    """Start a campaign and stay until it ends."""
    with _held(path, "fresh" if fresh else "run") as campaign:
        if fresh:
            forget_session(CampaignFolder(campaign.folder))
            CampaignFolder(campaign.folder).clear()
            CampaignFolder(campaign.folder).create()
            refuse_taken_name(campaign)
        folder = CampaignFolder(campaign.folder)
        keep_script(campaign.growth, campaign.frames.every_steps, folder)
        keep_strategy(campaign.optimizer, folder)
        keep_copy(path, folder)
        return _conduct(campaign, resumed=False)


def resume(path: Path) -> int:
    """Go on with a campaign that was stopped or killed, also with changed bounds, budget or targets."""
    with _held(path, "resume") as campaign:
        for change in [
            *changes_on_resume(load_copy(CampaignFolder(campaign.folder)), campaign),
            *filter(None, [keep_strategy(campaign.optimizer, CampaignFolder(campaign.folder))]),
        ]:
            console.print(f"changed {change}", highlight=False, markup=False)
        keep_copy(path, CampaignFolder(campaign.folder))
        return _conduct(campaign, resumed=CampaignFolder(campaign.folder).connection_file.exists())


@contextmanager
def _held(path: Path, purpose: Purpose) -> Iterator[Campaign]:
    """The campaign of a file, its folder locked. Checked again under the lock: another may have been faster."""
    with contextlib.suppress(OSError):
        refuse_if_held(CampaignFolder(load_campaign(path, "look").folder))
    campaign = load_campaign(path, purpose)
    refuse_unreachable(campaign, path)
    if purpose == "run":
        refuse_taken_name(campaign)
    CampaignFolder(campaign.folder).create()
    with locked(CampaignFolder(campaign.folder)):
        yield load_campaign(path, purpose)


def _conduct(campaign: Campaign, *, resumed: bool) -> int:
    """The session, then its figures, tables and files. Those who draw are imported when there is something to draw."""
    session = conduct(campaign, console, resumed=resumed)
    from moireloop.commands.drawing import draw
    from moireloop.commands.tabling import show_results

    drawn = draw(campaign, session.history, session.all_series)
    show_results(campaign, session.history, session.all_series)
    for result in session.history.results:
        remove_restart_files_of(CampaignFolder(campaign.folder).runs, result.candidate.candidate_id)
    for figure in drawn:
        console.print(f"figure   {figure}", highlight=False, soft_wrap=True)
    console.print(f"ended    {session.reason}", highlight=False, soft_wrap=True)
    return session.exit_code
