"""The campaign of a file that was started before, for the commands that look at one (adapter)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_copy
from moireloop.campaign_file.looking import load_to_look
from moireloop.campaign_file.renamed import renamed_hint
from moireloop.session.history import History
from moireloop.session.live import connected
from moireloop.session.lock import is_running
from moireloop.terminal.console import complain
from moireloop_broker.folder import CampaignFolder, Role

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient


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


def client_or_folder(path: Path, *, timeout_s: float = 10.0) -> CampaignClient | CampaignFolder:
    """A client by a connection file or of a campaign that runs, else the folder of one that does not.

    Args:
        path: connection file, campaign file or folder.
        timeout_s: how long a client by a connection file waits for a reply.

    Raises:
        NotRunning: the campaign is still starting.
        CampaignFileError, NeverStarted, NoConnectionFile: there is no such campaign.
    """
    from moireloop.client.client import connect

    if path.suffix == ".json":
        return connect(path, timeout_s=timeout_s)
    folder = CampaignFolder(started(path).folder)
    return connected(folder) if is_running(folder) else folder


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


def connection_file(path: Path, role: Role | None, *, waits: bool) -> Path:
    """The connection file of a role that a path stands for: itself, or in the folder of a campaign or a campaign file.

    Args:
        path: what the user gave.
        role: whose keys are wanted; None for all of them.
        waits: whether the campaign need not have been started yet.

    Raises:
        CampaignFileError: there is no such campaign file.
        NeverStarted: there is no campaign, and no command waits for it.
    """
    if path.is_dir():
        folder = CampaignFolder(path.resolve())
        if not (waits or folder.was_started or folder.connection_file.exists()):
            raise NeverStarted(f"{path}: expected a campaign's folder, with a connection file in it; it has none")
        return _of_role(folder, role)
    if path.name == CampaignFolder(path.parent).connection_file.name:
        return _of_role(CampaignFolder(path.absolute().parent), role)
    if path.suffix == ".json":
        return path.absolute()
    campaign = load_to_look(path)[0] if waits else started(path)
    return _of_role(CampaignFolder(campaign.folder.absolute()), role)


def _of_role(folder: CampaignFolder, role: Role | None) -> Path:
    """The role's file; sessions of earlier versions have one for all."""
    if role is None:
        return folder.connection_file
    own = folder.connection_of(role)
    return own if own.exists() or not folder.connection_file.exists() else folder.connection_file
