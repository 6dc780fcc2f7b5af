"""Which folders the gateway takes for campaigns."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moireloop_broker.folder import CampaignFolder
from moireloop_gateway.serve import Listening, serve
from moireloop_gateway.sources.catalogue import Catalogue, NothingToShow, leads_elsewhere
from moireloop_gateway.sources.place import campaign_folders
from tests.helpers.stopped_campaigns import campaign_file


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


def test_patience_is_reported_and_ends(tmp_path: Path) -> None:
    """A gateway that starts before its campaign says what it waits for, once, and gives up with the same words."""
    said: list[str] = []
    with pytest.raises(NothingToShow, match="found neither"):
        serve([tmp_path], Listening(port=0, patience=0.2), said.append, said.append)
    assert len(said) == 1
    assert said[0].startswith("waiting, at most 0 s: ")


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("{}", 0o644, "expected mode 0600"),
        ("{nonsense", 0o600, "is not a connection file"),
        (' {"campaign": "x"}', 0o600, "is not a connection file"),
    ],
)
def test_file_that_is_not_a_grant_is_refused_in_one_line(tmp_path: Path, text: str, mode: int, message: str) -> None:
    """Nothing is served."""
    file = tmp_path / "grant.json"
    file.write_text(text)
    file.chmod(mode)
    said: list[str] = []
    with pytest.raises(NothingToShow, match=message) as refused:
        serve([file], Listening(port=0), said.append, said.append)
    assert len(str(refused.value).splitlines()) == 1


def test_connection_file_in_a_campaigns_folder_is_that_folder(tmp_path: Path) -> None:
    """Where the folder is here, all of it is shown."""
    root = started(tmp_path / "one.campaign")
    (root / "connection.json").write_text("{}")
    assert not leads_elsewhere(root / "connection.json")
    assert [place.folder and place.folder.root for place in Catalogue([root / "connection.json"]).places()] == [root]


def test_campaign_whose_file_is_moved_away_stays_in_the_list(tmp_path: Path) -> None:
    """The list and the metrics go on with the folder that the file had named."""
    file = campaign_file(tmp_path / "here")
    root = started(tmp_path / "here" / "tiny.campaign")
    catalogue = Catalogue([file])
    assert [place.where for place in catalogue.places()] == [str(root)]
    file.rename(tmp_path / "elsewhere.toml")
    shutil.move(root, tmp_path / "away")
    assert [(place.where, place.runs(), place.services()) for place in catalogue.places()] == [(str(root), False, [])]
