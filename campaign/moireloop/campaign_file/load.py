"""The campaign file: read, checked whole, and compared with the one that a campaign was started with (adapter)."""

from __future__ import annotations

import json
import math
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.changes import changes_on_resume
from moireloop.campaign_file.checks import (
    cores_of_this_machine,
    cross_problems,
    early_end_problems,
    folder_problems,
    lammps_problems,
    machine_problems,
    reach_problems,
)
from moireloop.campaign_file.errors import CampaignFileError, Location, as_lines, dotted, problems_of
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import Problem, shown
from moireloop_optimizer.generators.check import generator_problems
from moireloop_worker.models.script_files import changed_script_problems

LARGEST_FILE_BYTES: Final = 1_000_000

ORIGIN_MARK: Final = "# copied from "

Purpose = Literal["run", "fresh", "resume", "validate", "look"]
"""`run`: nothing was started yet; `resume`: it was; `fresh`, `validate`: either; `look`: ask nothing of the machine."""


def load_campaign(path: Path, purpose: Purpose = "validate", *, cores: int | None = None) -> Campaign:
    """The campaign that a file describes, checked whole.

    Args:
        path: the TOML file.
        purpose: what is to be done with it, which decides how much is asked of the machine and the folder.
        cores: cores that the workers may use; by default those of this process.

    Raises:
        CampaignFileError: the file cannot be used for this purpose.
    """
    campaign = _parsed(path, _document(path))
    if purpose == "look":
        return campaign
    problems = [
        *cross_problems(campaign),
        *machine_problems(campaign, cores_of_this_machine() if cores is None else cores),
        *_place_problems(campaign, path, purpose),
    ]
    problems = problems or early_end_problems(campaign) or lammps_problems(campaign)
    problems = problems or generator_problems(campaign.optimizer, campaign.space, campaign.targets[0])
    if problems:
        raise CampaignFileError(as_lines(str(path), problems))
    return campaign


def refuse_unreachable(campaign: Campaign, path: Path) -> None:
    """Nothing when the sockets can listen where the file says, and the Redis server that it names answers.

    Raises:
        CampaignFileError: network.host is no address of this machine, or redis.url does not answer.
    """
    if problems := reach_problems(campaign):
        raise CampaignFileError(as_lines(str(path), problems))


def load_copy(folder: CampaignFolder) -> Campaign:
    """The campaign that was last started or resumed in a folder. Raises CampaignFileError."""
    path = folder.campaign_copy
    return _parsed(path, _document(path) | {"folder": str(folder.root.absolute())})


def _document(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises CampaignFileError."""
    content = _content(path)
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _refused(
            path, f"expected UTF-8 text, got the byte 0x{error.object[error.start]:02x} in line {line}"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, f"expected TOML: {error}") from error
    except (RecursionError, ValueError) as error:
        raise _refused(path, "expected TOML: nested too deeply, or a number of too many digits") from error


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _refused(path, "expected a campaign file, got a folder")
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "expected a campaign file, got a device, socket or pipe")
        if status.st_size > LARGEST_FILE_BYTES:
            raise _refused(path, f"expected at most {LARGEST_FILE_BYTES} bytes, got {status.st_size}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _refused(path, "no such file") from error
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror or error}") from error


def _parsed(path: Path, document: dict[str, Any]) -> Campaign:
    """The campaign in a document. Checked as JSON, so that "2" is no number and a list may fill a tuple."""
    infinite = [Problem(key, f"expected a finite number, got {value}") for key, value in _infinite(document)]
    if infinite:
        raise CampaignFileError(as_lines(str(path), infinite))
    placed = _with_folder(path, document)
    try:
        text = json.dumps(placed, default=str)
        return Campaign.model_validate_json(text, strict=True, context={"beside": _origin(path).parent})
    except ValidationError as error:
        found = problems_of(error.errors(include_url=False), placed, Campaign)
        raise CampaignFileError(as_lines(str(path), found)) from None
    except (ValueError, RecursionError) as error:
        raise _refused(path, "expected TOML: nested too deeply, or a number of too many digits") from error


def keep_copy(campaign_file: Path, folder: CampaignFolder) -> None:
    """Keep a copy of the campaign file in the folder, with a last line that says where it was copied from."""
    text = campaign_file.read_text(encoding="utf-8").rstrip("\n")
    folder.keep_campaign_file(f"{text}\n{ORIGIN_MARK}{json.dumps(str(campaign_file.absolute()))}\n")


def _origin(path: Path) -> Path:
    """The campaign file that this one is a copy of; else the file itself. Relative paths in it are relative to that."""
    last = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].decode("utf-8")
    return Path(json.loads(last.removeprefix(ORIGIN_MARK))) if last.startswith(ORIGIN_MARK) else path.absolute()


def _with_folder(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The document with an absolute folder; a relative one is relative to the file."""
    folder = document.get("folder", f"{path.stem}.campaign")
    if not isinstance(folder, str):
        return document
    try:
        if not folder:
            raise ValueError("it is empty")
        place = (path.absolute().parent / Path(folder).expanduser()).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        text = f"expected a path, got {shown(folder)}: {error}"
        raise CampaignFileError(as_lines(str(path), [Problem("folder", text)])) from error
    return document | {"folder": str(place)}


def _place_problems(campaign: Campaign, path: Path, purpose: Purpose) -> list[Problem]:
    try:
        return folder_problems(CampaignFolder(campaign.folder), path) or _history_problems(campaign, path, purpose)
    except OSError as error:
        return [Problem("folder", f"expected a folder that can be used, got {campaign.folder}: {error.strerror}")]


def _history_problems(campaign: Campaign, path: Path, purpose: Purpose) -> list[Problem]:
    folder = CampaignFolder(campaign.folder)
    if not folder.was_started:
        return _nothing_to_resume(folder, path) if purpose == "resume" else []
    try:
        old = load_copy(folder)
    except CampaignFileError as error:
        return [Problem("folder", f"holds a campaign whose file cannot be read: {error}")]
    if old.name != campaign.name:
        text = f"expected a folder for campaign {campaign.name!r}, got {folder.root}, which holds campaign {old.name!r}"
        return [Problem("folder", text)]
    if purpose == "run":
        text = (
            f"campaign {old.name!r} was already started in {folder.root}; go on with `moireloop resume {path}`, "
            f"or remove its results and begin again with `moireloop run --fresh {path}`"
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


def _nothing_to_resume(folder: CampaignFolder, path: Path) -> list[Problem]:
    text = f"expected a campaign that was started, got {folder.root}, where none was; use `moireloop run {path}`"
    return [Problem("folder", text)]


def _infinite(value: Any, location: Location = ()) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield dotted(location), value
    elif isinstance(value, Mapping):
        for name, inside in value.items():
            yield from _infinite(inside, (*location, name))
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _infinite(inside, (*location, number))


def _refused(path: Path, text: str) -> CampaignFileError:
    return CampaignFileError(as_lines(str(path), [Problem("", text)]))
