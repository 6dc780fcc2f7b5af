"""The file of a user's own strategy, kept in the campaign's folder: the copy is what runs (adapter)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moireloop_broker.files import replaced_whole
from moireloop_broker.folder import CampaignFolder
from moireloop_optimizer.strategy_names import generator_place

if TYPE_CHECKING:
    from moireloop.campaign_file.campaign import Campaign


def keep_strategy(campaign: Campaign) -> str | None:
    """Copy the file into the campaign's folder, so that nothing changes under a running campaign.

    Returns:
        What changed, where the folder held a file of this name with other content.
    """
    place = generator_place(campaign.optimizer.strategy)
    if place.file is None:
        return None
    kept = _kept(CampaignFolder(campaign.folder), place.file)
    before = kept.read_bytes() if kept.is_file() else None
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with replaced_whole(kept) as copy:
        shutil.copyfile(place.file, copy)
    is_changed = before is not None and before != kept.read_bytes()
    return f"optimizer.strategy: other content of {place.file.name}" if is_changed else None


def optimizer_section(campaign: Campaign) -> dict[str, Any]:
    """The section [optimizer] as the optimizer is told it: with the copy of the file, which may be edited or gone."""
    section = campaign.optimizer.model_dump(mode="json")
    place = generator_place(campaign.optimizer.strategy)
    if place.file is None:
        return section
    return {**section, "strategy": f"{_kept(CampaignFolder(campaign.folder), place.file)}:{place.name}"}


def _kept(folder: CampaignFolder, file: Path) -> Path:
    return folder.strategy.absolute() / file.name
