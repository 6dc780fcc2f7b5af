"""Which folder a campaign file belongs to, and which file the copy in a folder was made of (adapter).

Nothing here reads a section of the file, so that what only asks for the folder is quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from moireloop.campaign_file.errors import CampaignFileError, as_lines
from moireloop.campaign_file.reading import document_of, text_of
from moireloop_broker.archive.older_versions import without_section
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import Problem, shown

ORIGIN_MARK: Final = "# copied from "


def folder_of_unchanged(path: Path) -> CampaignFolder | None:
    """The folder of a campaign file that is as it was when the campaign was started; None for any other file.

    Such a file was checked then. The folder and the copy in it count as unchanged files, too.
    """
    if CampaignFolder(path).was_started:
        return CampaignFolder(path)
    try:
        text = text_of(path)
        if is_copy_in_its_folder(path, text):
            return CampaignFolder(path.absolute().parent)
        folder = CampaignFolder(Path(str(with_folder(path, document_of(text, path))["folder"])))
        copy = text_of(folder.campaign_copy)
    except (CampaignFileError, OSError, ValueError):
        return None
    return folder if mark_of(copy) and without_mark(copy).rstrip("\n") == without_mark(text).rstrip("\n") else None


def is_copy_in_its_folder(path: Path, text: str) -> bool:
    """Whether a file is the copy that a campaign keeps in its folder: that folder is the campaign's, not one beside."""
    folder = CampaignFolder(path.parent)
    return path.name == folder.campaign_copy.name and folder.runs.is_dir() and mark_of(text) is not None


def mark_of(text: str) -> str | None:
    """The last line of a copy, which says where it was copied from; None where there is none."""
    last = text.rstrip("\n").rpartition("\n")[2]
    return last if last.startswith(ORIGIN_MARK) else None


def without_mark(text: str) -> str:
    """The text without its last line, and without what an archive has put before that."""
    mark = mark_of(text)
    return text if mark is None else without_section(text.rstrip("\n").removesuffix(mark))


def origin_of(path: Path, text: str) -> Path:
    """The campaign file that this one is a copy of; else the file itself. Relative paths in it are relative to that.

    Copies of earlier versions name it by an absolute path, which a moved folder outlives: a file of its name beside
    the folder is meant then.
    """
    mark = mark_of(text)
    if mark is None:
        return path.absolute()
    try:
        origin = Path(str(json.loads(mark.removeprefix(ORIGIN_MARK))))
    except ValueError:
        return path.absolute()
    folder = path.absolute().parent.resolve()
    if not origin.is_absolute():
        return (folder / origin).resolve()
    beside = folder.parent / origin.name
    return beside if beside.is_file() else origin


def with_folder(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The document with an absolute folder; a relative one is relative to the file."""
    folder = document.get("folder", f"{path.stem}.campaign")
    if not isinstance(folder, str):
        return document
    return document | {"folder": str(absolute_folder(folder, path.absolute().parent, path))}


def absolute_folder(folder: str, beside: Path, name: Path | str) -> Path:
    """The folder that a campaign names, absolute. Raises CampaignFileError, whose lines begin with `name`."""
    try:
        if not folder:
            raise ValueError("it is empty")
        place = (beside / Path(folder).expanduser()).resolve()
        str(place).encode("utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeEncodeError) else error
        text = f"expected a path, got {shown(folder)}: {reason}"
        raise CampaignFileError(as_lines(str(name), [Problem("folder", text)])) from error
    return place
