"""The campaign of a file that was started before, for the commands that look at one (adapter)."""

from __future__ import annotations

from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.looking import load_to_look
from moireloop.campaign_file.renamed import renamed_hint
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
