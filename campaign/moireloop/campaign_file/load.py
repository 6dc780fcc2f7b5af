"""The campaign file: read once, checked whole, and compared with the one that a campaign was started with (adapter)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.changes import changes_on_resume
from moireloop.campaign_file.checks import (
    cores_of_this_machine,
    folder_problems,
    reach_problems,
    section_problems,
    trial_problems,
)
from moireloop.campaign_file.errors import CampaignFileError, Location, as_lines, dotted, problems_of
from moireloop.campaign_file.origin import ORIGIN_MARK, is_copy_in_its_folder, origin_of, with_folder, without_mark
from moireloop.campaign_file.reading import document_of, refused, text_of
from moireloop.campaign_file.renamed import renamed_hint
from moireloop_broker.archive.older_versions import has_parts, with_section
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import Problem
from moireloop_worker.models.script_files import changed_script_problems

Purpose = Literal["run", "fresh", "resume", "validate", "look"]
"""`run`: nothing was started yet; `resume`: it was; `fresh`, `validate`: either; `look`: ask nothing of the machine."""


@dataclass(frozen=True)
class CampaignFile:
    """A campaign and the text that describes it: what is checked is what is kept, whatever happens to the file.

    Attributes:
        name: what the lines of an error begin with.
        path: what a person gives to another command: the file, or the copy in the campaign's folder.
        origin: what the copy in the folder says that it was copied from; relative paths are relative to its folder.
        is_beside: whether the campaign has a separate folder, in which the file does not lie.
    """

    name: str
    path: Path
    text: str
    campaign: Campaign
    origin: Path
    is_beside: bool = True

    @property
    def folder(self) -> CampaignFolder:
        """The campaign's folder."""
        return CampaignFolder(self.campaign.folder)


def read_campaign(path: Path) -> CampaignFile:
    """The campaign that a file describes, each section checked for itself. Raises CampaignFileError."""
    text = text_of(path)
    document = document_of(text, path)
    is_copy = is_copy_in_its_folder(path, text)
    placed = document | {"folder": str(path.absolute().parent)} if is_copy else with_folder(path, document)
    origin = origin_of(path, text)
    return CampaignFile(str(path), path, text, parsed(placed, path, beside=origin.parent), origin, not is_copy)


def campaign_of_text(text: str, name: str, folder: Path) -> CampaignFile:
    """The campaign that a text describes which lies in no file, its paths absolute. Raises CampaignFileError.

    Args:
        text: TOML.
        name: what the lines of an error begin with.
        folder: the campaign's folder, absolute.
    """
    campaign = parsed(document_of(text, name) | {"folder": str(folder)}, name, beside=folder.parent)
    copy = CampaignFolder(folder).campaign_copy
    return CampaignFile(name, copy, text, campaign, folder.parent / name, is_beside=False)


def load_campaign(path: Path, purpose: Purpose = "validate", *, cores: int | None = None) -> Campaign:
    """The campaign that a file describes, checked whole.

    Args:
        path: the TOML file.
        purpose: what the file is loaded for; it decides how much is checked of the machine and the folder.
        cores: cores that the workers may use; by default this process's cores.

    Raises:
        CampaignFileError: the file cannot be used for this purpose.
    """
    file = read_campaign(path)
    if purpose != "look":
        check(file, purpose, cores=cores)
    return file.campaign


def check(file: CampaignFile, purpose: Purpose, *, cores: int | None = None) -> None:
    """Nothing when a campaign can be used: its sections fit each other, machine and folder; trials come last.

    Raises:
        CampaignFileError: it cannot be used for this purpose.
    """
    problems = [
        *section_problems(file.campaign, cores_of_this_machine() if cores is None else cores),
        *_place_problems(file, purpose),
    ]
    _refuse(file, problems or trial_problems(file.campaign))


def check_folder(file: CampaignFile, purpose: Purpose) -> None:
    """Nothing when the folder can be used; to be asked again once it is locked. Raises CampaignFileError."""
    _refuse(file, _place_problems(file, purpose))


def refuse_unreachable(file: CampaignFile) -> None:
    """Nothing when the sockets can listen where the file says, and the Redis server that it names responds.

    Raises:
        CampaignFileError: network.host is not an address of this machine, or redis.url does not respond.
    """
    _refuse(file, reach_problems(file.campaign))


def load_copy(folder: CampaignFolder) -> Campaign:
    """The campaign that was last started or resumed in a folder. Raises CampaignFileError."""
    path = folder.campaign_copy
    text = text_of(path)
    document = document_of(text, path) | {"folder": str(folder.root.absolute())}
    return parsed(document, path, beside=origin_of(path, text).parent)


def keep_copy(file: CampaignFile, folder: CampaignFolder) -> None:
    """Keep a copy of the campaign file in the folder, with a last line that says where it was copied from.

    Where the folder lies beside the file, or below, that path is relative to the folder, so that both may be moved.
    """
    text, origin = without_mark(file.text).rstrip("\n"), file.origin
    place, root, shown = origin.parent.resolve(), folder.root.resolve(), str(origin)
    if root.is_relative_to(place):
        shown = os.path.relpath(place / origin.name, root)
    copy = f"{text}\n{ORIGIN_MARK}{json.dumps(shown)}\n"
    folder.keep_campaign_file(with_section(copy) if has_parts(folder) else copy)


def parsed(document: Mapping[str, Any], name: Path | str, *, beside: Path) -> Campaign:
    """The campaign in a document that names its folder. Checked as JSON: "2" is no number, a list may fill a tuple.

    Args:
        document: tables and values, as TOML has them.
        name: what the lines of an error begin with.
        beside: the folder that relative paths of files are relative to.

    Raises:
        CampaignFileError: a section is wrong.
    """
    try:
        return Campaign.model_validate_json(json_of(document, name), strict=True, context={"beside": beside})
    except ValidationError as error:
        problems = problems_of(error.errors(include_url=False), document, Campaign)
        raise CampaignFileError(as_lines(str(name), problems)) from None


def json_of(document: Mapping[str, Any], name: Path | str) -> str:
    """A document as JSON. Raises CampaignFileError for numbers that are infinite or have too many digits."""
    infinite = [Problem(key, f"expected a finite number, got {value}") for key, value in _infinite(document)]
    if infinite:
        raise CampaignFileError(as_lines(str(name), infinite))
    try:
        return json.dumps(document, default=str)
    except (ValueError, RecursionError) as error:
        raise refused(name, "expected TOML: a number with too many digits") from error


def _refuse(file: CampaignFile, problems: list[Problem]) -> None:
    if problems:
        raise CampaignFileError(as_lines(file.name, problems))


def _place_problems(file: CampaignFile, purpose: Purpose) -> list[Problem]:
    try:
        return _folder_problems(file) or _history_problems(file, purpose)
    except OSError as error:
        return [Problem("folder", f"expected a folder that can be used, got {file.folder.root}: {error.strerror}")]


def _folder_problems(file: CampaignFile) -> list[Problem]:
    return folder_problems(file.folder, file.path if file.is_beside else None)


def _history_problems(file: CampaignFile, purpose: Purpose) -> list[Problem]:
    folder, campaign = file.folder, file.campaign
    if not folder.was_started:
        return _nothing_to_resume(file) if purpose == "resume" else []
    try:
        old = load_copy(folder)
    except CampaignFileError as error:
        return [Problem("folder", f"holds a campaign whose file cannot be read: {error}")]
    if old.name != campaign.name:
        text = f"expected a folder for campaign {campaign.name!r}, got {folder.root}, which holds campaign {old.name!r}"
        return [Problem("folder", text)]
    if purpose == "run":
        text = (
            f"campaign {old.name!r} was already started in {folder.root}; continue with "
            f"`moireloop resume {file.path}`, or remove its results and start again with "
            f"`moireloop run --fresh {file.path}`"
        )
        return [Problem("folder", text)]
    if purpose == "resume":
        return _resume_problems(old, campaign)
    return []


def _resume_problems(old: Campaign, new: Campaign) -> list[Problem]:
    try:
        changes_on_resume(old, new)
    except CampaignFileError as error:
        key, _, text = str(error).partition(": ")
        return [Problem(key, text)]
    return changed_script_problems(new.growth, new.frames.every_steps, CampaignFolder(new.folder))


def _nothing_to_resume(file: CampaignFile) -> list[Problem]:
    text = f"expected a campaign that was started, got {file.folder.root}, where none was"
    if not file.path.exists():
        return [Problem("folder", f"{text}; leave out resume=True")]
    hint = renamed_hint(file.path, file.campaign.name)
    return [Problem("folder", f"{text}; use `moireloop run {file.path}`{hint}")]


def _infinite(value: Any, location: Location = ()) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield dotted(location), value
    elif isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _infinite(inside, (*location, name))
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _infinite(inside, (*location, number))
