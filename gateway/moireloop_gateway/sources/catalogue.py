"""The campaigns that the gateway was given, each followed from the first time that somebody looks (adapter)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from moireloop.campaign_file.looking import load_to_look
from moireloop_broker.folder import CampaignFolder
from moireloop_gateway.sources.followed import Followed
from moireloop_gateway.sources.place import Place, campaign_folders

MOST_FOLLOWED: Final = 12


class NothingToShow(ValueError):
    """What was given holds no campaign that was ever started; the text says what was looked at."""


class Catalogue:
    """Campaigns by their keys. Folders of many are looked through again whenever the list is asked for."""

    def __init__(self, given: Sequence[Path]) -> None:
        self._given = [path.absolute() for path in given]
        self._keys: dict[Path, str] = {}
        self._followed: OrderedDict[str, Followed] = OrderedDict()

    def places(self) -> list[Place]:
        """Every campaign that is there now, in the order in which they were given."""
        found: dict[Path, Place] = {}
        for given in self._given:
            for folder in _folders(given):
                root = folder.root.resolve()
                if root not in found:
                    found[root] = Place(self._key(root), CampaignFolder(root))
        return list(found.values())

    def _key(self, root: Path) -> str:
        if root not in self._keys:
            plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", root.name.removesuffix(".campaign")) or "campaign"
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
    """Nothing where each of what was given has a campaign that was started. Raises NothingToShow, CampaignFileError."""
    for path in given:
        if path.is_dir() and not any(campaign_folders(path)):
            raise NothingToShow(f"{path}: expected a campaign's folder, or a folder of such, and found none in it")
        if not path.is_dir():
            campaign, _ = load_to_look(path)
            if not CampaignFolder(campaign.folder).was_started:
                raise NothingToShow(
                    f"{path}: campaign {campaign.name!r} was never started in {campaign.folder}; "
                    f"use `moireloop run {path}`"
                )


def _folders(given: Path) -> list[CampaignFolder]:
    if given.is_dir():
        return list(campaign_folders(given))
    campaign, _ = load_to_look(given)
    return [CampaignFolder(campaign.folder)]
