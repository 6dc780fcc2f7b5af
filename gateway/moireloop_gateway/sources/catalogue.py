"""The campaigns that the gateway was given, each followed from the first time that a user looks (adapter)."""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.looking import load_to_look
from moireloop.client.connecting import connection_of
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.folder import CampaignFolder
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.sources.place import Place, Source, campaign_folders, is_campaign
from moireloop_gateway.sources.remote import RemotePlace

MOST_FOLLOWED: Final = 12


class NothingToShow(ValueError):
    """The given paths hold no campaign that was ever started; the text says what was looked at."""


class Catalogue:
    """Campaigns by their keys. Folders of many are looked through again whenever the list is asked for."""

    def __init__(self, given: Sequence[Path]) -> None:
        self._given = [path.absolute() for path in given]
        self._keys: dict[Path, str] = {}
        self._remote: dict[Path, RemotePlace] = {}
        self._known: dict[Path, list[CampaignFolder]] = {}
        self._followed: OrderedDict[str, Followed] = OrderedDict()

    def places(self) -> list[Source]:
        """Every campaign that is there now, in the order in which they were given."""
        found: dict[Path, Source] = {}
        for given in self._given:
            if leads_elsewhere(given):
                found[given] = self._remote_place(given)
                continue
            for folder in self._folders_now(given):
                root = folder.root.resolve()
                if root not in found:
                    found[root] = Place(self._key(root, root.name.removesuffix(".campaign")), CampaignFolder(root))
        return list(found.values())

    def _folders_now(self, given: Path) -> list[CampaignFolder]:
        """The campaigns of a given path; while it is moved away or unreadable, its earlier campaigns."""
        with contextlib.suppress(CampaignFileError, OSError):
            self._known[given] = _folders(given)
        return self._known.get(given, [])

    def _remote_place(self, file: Path) -> RemotePlace:
        if file not in self._remote:
            connection = connection_of(file)
            self._remote[file] = RemotePlace(self._key(file, connection.campaign), file, connection)
        return self._remote[file]

    def _key(self, root: Path, name: str) -> str:
        if root not in self._keys:
            plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name) or "campaign"
            taken, number, key = set(self._keys.values()), 2, plain
            while key in taken:
                key, number = f"{plain}-{number}", number + 1
            self._keys[root] = key
        return self._keys[root]

    def follow(self, key: str) -> Followed | None:
        """The campaign of a key, followed from now on; None where there is none. The longest unused one is let go."""
        if key in self._followed:
            self._followed.move_to_end(key)
            return self._followed[key]
        place = next((place for place in self.places() if place.key == key), None)
        if place is None:
            return None
        self._followed[key] = Followed(place)
        if len(self._followed) > MOST_FOLLOWED:
            self._followed.popitem(last=False)[1].close()
        return self._followed[key]

    @property
    def followed(self) -> list[Followed]:
        """Those that are followed now."""
        return list(self._followed.values())

    def close(self) -> None:
        """Let go of all."""
        for followed in self._followed.values():
            followed.close()
        self._followed.clear()


def refuse_nothing(given: Sequence[Path]) -> None:
    """Does nothing if each given path has a started campaign. Raises NothingToShow, CampaignFileError."""
    for path in given:
        if leads_elsewhere(path):
            _refuse_no_connection(path)
        elif path.is_dir() and not any(campaign_folders(path)):
            raise NothingToShow(f"{path}: expected a campaign's folder, or a folder that holds some, found neither")
        elif not path.is_dir():
            campaign, _ = load_to_look(path)
            if not CampaignFolder(campaign.folder).was_started:
                raise NothingToShow(
                    f"{path}: campaign {campaign.name!r} was never started in {campaign.folder}; "
                    f"use `moireloop run {path}`"
                )


def leads_elsewhere(path: Path) -> bool:
    """Whether this is a connection file, and not one that lies in a campaign's folder: then that is here."""
    if path.suffix == ".toml" or path.is_dir() or is_campaign(path.absolute().parent):
        return False
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False


def _refuse_no_connection(path: Path) -> None:
    try:
        connection_of(path)
    except NoConnectionFile as error:
        raise NothingToShow(str(error)) from error


def _folders(given: Path) -> list[CampaignFolder]:
    if given.is_dir():
        return list(campaign_folders(given))
    if given.suffix != ".toml" and is_campaign(given.parent):
        return [CampaignFolder(given.parent)]
    campaign, _ = load_to_look(given)
    return [CampaignFolder(campaign.folder)]
