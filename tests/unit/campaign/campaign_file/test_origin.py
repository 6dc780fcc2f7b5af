"""Whose folder a campaign file means, told without reading its sections."""

from __future__ import annotations

from pathlib import Path

import pytest

from moireloop.campaign_file.load import keep_copy, read_campaign
from moireloop.campaign_file.origin import folder_of_unchanged
from moireloop_broker.folder import CampaignFolder
from tests.helpers.campaign_files import campaign_text


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a campaign that was started."""
    path = tmp_path / "search.toml"
    path.write_text(campaign_text("search", {"workers": {"count": 1, "oversubscribe": True}}, results=4))
    started = read_campaign(path)
    started.folder.create()
    keep_copy(started, started.folder)
    return path


def test_unchanged_file_leads_to_its_folder(file: Path) -> None:
    """So do the folder itself and the copy in it, and all of them after they were moved together."""
    folder = CampaignFolder(file.with_suffix(".campaign"))
    assert [folder_of_unchanged(path) for path in (file, folder.root, folder.campaign_copy)] == [folder] * 3
    moved = file.parent.rename(file.parent.with_name("moved"))
    assert folder_of_unchanged(moved / file.name) == CampaignFolder(moved / folder.root.name)


@pytest.mark.parametrize("text", ["name = ", "folder = 3\n", 'folder = "\\u0000"\n', "# another line\n"])
def test_file_that_was_changed_is_to_be_checked_anew(text: str, file: Path) -> None:
    """Whatever was put before what it was: also what is no TOML, and a folder that is none."""
    file.write_text(text + file.read_text())
    assert folder_of_unchanged(file) is None
    file.write_bytes(b"\xff")
    assert folder_of_unchanged(file) is None
    file.unlink()
    assert folder_of_unchanged(file) is None


def test_file_of_another_campaign_is_to_be_checked(file: Path, tmp_path: Path) -> None:
    """One that names the folder of a campaign that it does not describe."""
    other = tmp_path / "other.toml"
    other.write_text(
        f"folder = {str(file.with_suffix('.campaign'))!r}\n"
        + campaign_text("other", {"workers": {"count": 1, "oversubscribe": True}}, results=4)
    )
    assert folder_of_unchanged(other) is None
