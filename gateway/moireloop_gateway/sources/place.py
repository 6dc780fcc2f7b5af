"""Where a campaign is: its folder, what its file says of it, and whether it runs (adapter)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import load_copy
from moireloop.session.lock import is_running
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.folder import CampaignFolder

if TYPE_CHECKING:
    from moireloop.client.client import CampaignClient

LOG_TAIL_BYTES: Final = 64 * 1024

SECRET: Final = frozenset({"redis", "network", "folder"})
"""Sections of the campaign file that are not shown to callers."""


@dataclass(frozen=True)
class Outline:
    """What a campaign searches: by its file or, where that is not here, by its own word.

    `growth` is the section of the campaign file, None where that is not here; `settings` is what may be shown of it.
    """

    name: str
    targets: tuple[Target, ...]
    space: SearchSpace
    budget: BudgetSettings
    settings: dict[str, Any]
    growth: Any = None


class Source(Protocol):
    """Where the gateway has one campaign from.

    `folder` is None where it is on another machine, and `absent` then says what cannot be shown, else it is empty.
    `steers` is whether the campaign would carry out a request.
    """

    @property
    def key(self) -> str:
        """The campaign's name in addresses."""

    @property
    def folder(self) -> CampaignFolder | None:
        """The campaign's folder, where it is here."""

    @property
    def absent(self) -> str:
        """What cannot be shown, and why."""

    @property
    def steers(self) -> bool:
        """Whether requests may change the campaign."""

    @property
    def where(self) -> str:
        """The folder, or the endpoint, for people."""

    @property
    def connection_file(self) -> Path:
        """By which its services are reached."""

    def runs(self) -> bool:
        """Whether a session of it may run now."""

    def learn(self, client: CampaignClient) -> None:
        """Take in the campaign's description. Raises NotRunning."""

    def outline(self) -> Outline:
        """What the campaign searches. Raises CampaignFileError, OSError, NotRunning."""

    def services(self) -> list[str]:
        """Services that have a log file here."""

    def log_tail(self, service: str) -> str | None:
        """The end of a service's log; None where it has none here."""


@dataclass(frozen=True)
class Place:
    """One campaign's folder, under the key that it has in addresses."""

    key: str
    folder: CampaignFolder

    absent = ""
    steers = True

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.folder.root)

    @property
    def connection_file(self) -> Path:
        """The file that leads to its services."""
        return self.folder.connection_file

    def learn(self, client: CampaignClient) -> None:
        """Nothing: the folder has the campaign file."""

    def runs(self) -> bool:
        """Whether a session of it runs now."""
        with contextlib.suppress(OSError):
            return is_running(self.folder)
        return False

    def outline(self) -> Outline:
        """The campaign as it was last started or resumed. Raises CampaignFileError."""
        kept = load_copy(self.folder)
        return Outline(kept.name, kept.targets, kept.space, kept.budget, settings_of(kept), kept.growth)

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
    if is_campaign(given):
        yield CampaignFolder(given)
        return
    for pattern in ("*/campaign.toml", "*/*/campaign.toml"):
        for copy in sorted(given.glob(pattern)):
            if is_campaign(copy.parent) and not is_campaign(copy.parent.parent):
                yield CampaignFolder(copy.parent)


def is_campaign(root: Path) -> bool:
    """Whether this is a campaign's folder, and not one in which a user keeps a campaign file of the same name."""
    folder = CampaignFolder(root)
    return folder.was_started and folder.runs.is_dir()
