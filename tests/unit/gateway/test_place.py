"""Which folders the gateway takes for campaigns."""

from __future__ import annotations

from pathlib import Path

import pytest

from moireloop_broker.folder import CampaignFolder
from moireloop_gateway.serve import Listening, serve
from moireloop_gateway.sources.catalogue import NothingToShow
from moireloop_gateway.sources.place import campaign_folders


def started(root: Path) -> Path:
    """A campaign's folder with the copy of its file."""
    folder = CampaignFolder(root)
    root.mkdir(parents=True)
    folder.create()
    folder.campaign_copy.write_text("", encoding="utf-8")
    return root


def test_campaign_file_of_the_same_name_makes_no_campaign_of_its_folder(tmp_path: Path) -> None:
    """`campaign.toml` lies beside `campaign.campaign`, as in the containers' volume: the latter is the campaign."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "campaign.toml").write_text("", encoding="utf-8")
    assert list(campaign_folders(volume)) == []
    one = started(volume / "campaign.campaign")
    assert [folder.root for folder in campaign_folders(volume)] == [one]
    assert [folder.root for folder in campaign_folders(tmp_path)] == [one]
    assert [folder.root for folder in campaign_folders(one)] == [one]


def test_patience_is_told_and_ends(tmp_path: Path) -> None:
    """A gateway that starts before its campaign says what it waits for, once, and gives up with the same words."""
    said: list[str] = []
    with pytest.raises(NothingToShow, match="found none in it"):
        serve([tmp_path], Listening(port=0, patience=0.2), said.append, said.append)
    assert len(said) == 1
    assert said[0].startswith("waiting, at most 0 s: ")
