"""The campaign of a file that was started before, for the commands that look at one (adapter)."""

from __future__ import annotations

from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_copy
from moireloop.campaign_file.looking import load_to_look
from moireloop.campaign_file.renamed import renamed_hint
from moireloop.session.history import History
from moireloop.terminal.console import complain
from moireloop_broker.folder import CampaignFolder


class NeverStarted(ValueError):
    """There is nothing to look at, since the campaign was never started."""


def started(path: Path) -> Campaign:
    """The campaign that a file describes, of which a folder is there. Raises NeverStarted, CampaignFileError."""
    campaign, excuse = load_to_look(path)
    if excuse is not None:
        complain(excuse)
    if not CampaignFolder(campaign.folder).was_started:
        raise NeverStarted(
            f"{path}: campaign {campaign.name!r} was never started in {campaign.folder}; use `moireloop run {path}`"
            + renamed_hint(path, campaign.name)
        )
    return campaign


def as_steered(campaign: Campaign, history: History) -> Campaign:
    """The campaign as requests of controllers have made it. What the file says otherwise than the copy stands."""
    now = campaign.after(history.steered)
    if now == campaign:
        return campaign
    copy = load_copy(CampaignFolder(campaign.folder))
    edited = {
        name: getattr(campaign, name)
        for name in ("targets", "space", "budget")
        if getattr(campaign, name) != getattr(copy, name)
    }
    return now.model_copy(update=edited)
