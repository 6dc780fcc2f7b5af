"""Where the campaign may be whose file was renamed (adapter)."""

from __future__ import annotations

import contextlib
from pathlib import Path

from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.reading import document_of, text_of
from moireloop_broker.folder import CampaignFolder


def renamed_hint(path: Path, name: str) -> str:
    """A sentence about a folder beside a campaign file that holds a campaign of this name; nothing where none does."""
    for folder in sorted(path.absolute().parent.glob("*.campaign")):
        copy = CampaignFolder(folder).campaign_copy
        with contextlib.suppress(OSError, CampaignFileError):
            if document_of(text_of(copy), copy).get("name") == name:
                return (
                    f". {folder} holds a campaign of this name; was the file renamed? Then set folder = {folder.name!r}"
                )
    return ""
