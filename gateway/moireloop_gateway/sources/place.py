"""Where a campaign is: its folder, what its file says of it, and whether it runs (adapter)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_copy
from moireloop.session.lock import is_running
from moireloop_broker.folder import CampaignFolder

LOG_TAIL_BYTES: Final = 64 * 1024

SECRET: Final = frozenset({"redis", "network", "folder"})
"""Sections of the campaign file that are nobody's business outside."""


@dataclass(frozen=True)
class Place:
    """One campaign's folder, under the key that it has in addresses."""

    key: str
    folder: CampaignFolder

    def runs(self) -> bool:
        """Whether a session of it runs now."""
        with contextlib.suppress(OSError):
            return is_running(self.folder)
        return False

    def campaign(self) -> Campaign:
        """The campaign as it was last started or resumed. Raises CampaignFileError."""
        return load_copy(self.folder)

    def services(self) -> list[str]:
        """Services that have a log file."""
        with contextlib.suppress(OSError):
            return sorted(path.stem for path in self.folder.logs.glob("*.log"))
        return []

    def log_tail(self, service: str) -> str | None:
        """The last LOG_TAIL_BYTES of a service's log; None where it has none."""
        if service not in self.services():
            return None
        with self.folder.log_of(service).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
        return text if size <= LOG_TAIL_BYTES else text.partition("\n")[2]


def settings_of(campaign: Campaign) -> dict[str, Any]:
    """The settings of a campaign as JSON has them, without what is secret."""
    settings: dict[str, Any] = campaign.model_dump(mode="json", exclude=set(SECRET))
    return settings


def campaign_folders(given: Path) -> Iterator[CampaignFolder]:
    """The campaigns of a folder: itself, or those one or two levels below it."""
    if _is_campaign(given):
        yield CampaignFolder(given)
        return
    for pattern in ("*/campaign.toml", "*/*/campaign.toml"):
        for copy in sorted(given.glob(pattern)):
            if _is_campaign(copy.parent) and not _is_campaign(copy.parent.parent):
                yield CampaignFolder(copy.parent)


def _is_campaign(root: Path) -> bool:
    """Whether this is a campaign's folder, and not one in which somebody keeps a campaign file of the same name."""
    folder = CampaignFolder(root)
    return folder.was_started and folder.runs.is_dir()
