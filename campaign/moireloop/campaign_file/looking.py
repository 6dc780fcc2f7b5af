"""The campaign to look at, also while its file is being edited or is gone: the folder has a copy (adapter)."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.load import load_campaign, load_copy
from moireloop.campaign_file.reading import text_of
from moireloop_broker.folder import CampaignFolder


def load_to_look(path: Path) -> tuple[Campaign, str | None]:
    """The campaign of a file or, while that cannot be used, of the copy in the campaign's folder.

    Args:
        path: the campaign file, or the campaign's folder.

    Returns:
        The campaign, and why the file itself was not used.

    Raises:
        CampaignFileError: the file cannot be used, and there is no folder with a copy of it.
    """
    if CampaignFolder(path).was_started:
        return load_copy(CampaignFolder(path)), None
    try:
        return load_campaign(path, "look"), None
    except CampaignFileError as error:
        folder = CampaignFolder(_supposed_folder(path))
        if path.is_dir() or not folder.was_started:
            raise
        return load_copy(folder), f"using the copy in {folder.root}, since {str(error).splitlines()[0]}"


def _supposed_folder(path: Path) -> Path:
    """The campaign's folder by a file that cannot be read as TOML, or that is gone."""
    given = ""
    with contextlib.suppress(CampaignFileError):
        head = re.split(r"(?m)^\s*\[", text_of(path))[0]
        match = re.search(r"""(?m)^\s*folder\s*=\s*(["'])(.+?)\1""", head)
        given = match[2] if match else ""
    try:
        return (path.absolute().parent / Path(given or f"{path.stem}.campaign").expanduser()).resolve()
    except (OSError, ValueError, RuntimeError):
        return path.absolute().parent / f"{path.stem}.campaign"
