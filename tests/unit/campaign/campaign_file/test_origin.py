"""Whose folder a campaign file means, found without reading its sections."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from moireloop.campaign_file.load import keep_copy, load_copy, read_campaign
from moireloop.campaign_file.origin import folder_of_unchanged
from moireloop_broker.archive.older_versions import mark_copy
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
def test_changed_file_is_checked_again(text: str, file: Path) -> None:
    """Whatever was put before what it was: also what is no TOML, and a folder that is none."""
    file.write_text(text + file.read_text())
    assert folder_of_unchanged(file) is None
    file.write_bytes(b"\xff")
    assert folder_of_unchanged(file) is None
    file.unlink()
    assert folder_of_unchanged(file) is None


def test_copy_of_an_archived_campaign_has_the_section_archive(file: Path) -> None:
    """It is the same campaign, and its file counts as unchanged; versions that know no archive refuse the section."""
    folder = CampaignFolder(file.with_suffix(".campaign"))
    before, text = load_copy(folder), folder.campaign_copy.read_text()
    mark_copy(folder)
    marked = folder.campaign_copy.read_text()
    assert tomllib.loads(marked) == tomllib.loads(text) | {"archive": {}}
    assert load_copy(folder) == before
    assert [folder_of_unchanged(path) for path in (file, folder.root, folder.campaign_copy)] == [folder] * 3
    mark_copy(folder)
    assert folder.campaign_copy.read_text() == marked
    keep_copy(read_campaign(folder.campaign_copy), folder)
    assert folder.campaign_copy.read_text() == text


def test_section_archive_stays_as_long_as_there_is_an_archive(file: Path) -> None:
    """Also when the campaign is continued by its file, which has none; a section of the file's own is left alone."""
    folder = CampaignFolder(file.with_suffix(".campaign"))
    folder.archive.mkdir()
    (folder.archive / "1-0_2-0.parquet").write_bytes(b"")
    for path in (file, folder.campaign_copy, file):
        keep_copy(read_campaign(path), folder)
        assert "archive" in tomllib.loads(folder.campaign_copy.read_text())
        assert folder_of_unchanged(file) == folder
    file.write_text(f"{file.read_text()}\n[archive]\nkept_events = 5000\n")
    keep_copy(read_campaign(file), folder)
    assert load_copy(folder).archive.kept_events == 5000


def test_file_of_another_campaign_is_to_be_checked(file: Path, tmp_path: Path) -> None:
    """One that names the folder of a campaign that it does not describe."""
    other = tmp_path / "other.toml"
    other.write_text(
        f"folder = {str(file.with_suffix('.campaign'))!r}\n"
        + campaign_text("other", {"workers": {"count": 1, "oversubscribe": True}}, results=4)
    )
    assert folder_of_unchanged(other) is None
