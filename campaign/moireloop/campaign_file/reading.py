"""The text of a campaign file, read once and whole, and its tables (adapter)."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from moireloop.campaign_file.bounds import LARGEST_FILE_BYTES, excess
from moireloop.campaign_file.errors import CampaignFileError, as_lines
from moireloop_broker.problems import Problem, not_utf8


def text_of(path: Path) -> str:
    """The text of a file, without a byte order mark. Nothing waits for a pipe or a device.

    Raises:
        CampaignFileError: it is not a file of UTF-8 text, is larger than LARGEST_FILE_BYTES, or cannot be read.
    """
    if not str(path.absolute()).isascii():
        _refuse_unless_utf8(path)
    content = _content(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, text = not_utf8(error)
        raise refused(path, f"line {line}: {text}") from error


def document_of(text: str, name: Path | str) -> dict[str, Any]:
    """The tables of a TOML text. Raises CampaignFileError, whose lines begin with `name`."""
    if (problem := excess(text)) is not None:
        raise refused(name, problem.text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise refused(name, f"expected TOML: {error}{_mark_in(text)}") from error
    except ValueError as error:
        raise refused(name, "expected TOML: a number with too many digits") from error


def _mark_in(text: str) -> str:
    """What no editor shows: a byte order mark, with its line, or null bytes; empty where there is neither."""
    if "\0" in text:
        return "; it has null bytes, as UTF-16 has: save it as UTF-8"
    before, mark, _ = text.partition("\ufeff")
    if not mark:
        return ""
    line = before.count("\n") + 1
    return f"; a byte order mark (U+FEFF) is in line {line}: remove it"


def refused(name: Path | str, text: str) -> CampaignFileError:
    """The error of a file as a whole."""
    return CampaignFileError(as_lines(str(name), [Problem("", text)]))


def _refuse_unless_utf8(path: Path) -> None:
    """Services and files of the campaign are given its paths as UTF-8 text."""
    try:
        str(path.absolute()).encode("utf-8")
    except UnicodeEncodeError as error:
        name = os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")
        raise CampaignFileError(as_lines(name, [Problem("", "expected a path of UTF-8 text; rename it")])) from error


def _content(path: Path) -> bytes:
    try:
        _refuse_other_kinds(path, path.stat())
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(file, "rb") as opened:
            _refuse_other_kinds(path, os.fstat(file))
            content = opened.read(LARGEST_FILE_BYTES + 1)
    except CampaignFileError:
        raise
    except FileNotFoundError as error:
        raise refused(path, "no such file") from error
    except OSError as error:
        raise refused(path, f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise refused(path, f"expected a path, got {str(path)!r}: {error}") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise refused(path, f"expected at most {LARGEST_FILE_BYTES} bytes, got more")
    return content


def _refuse_other_kinds(path: Path, status: os.stat_result) -> None:
    """What can be opened only for a while, or never ends, is no campaign file. Looked at before and after opening."""
    if stat.S_ISDIR(status.st_mode):
        raise refused(path, "expected a campaign file, got a folder")
    if not stat.S_ISREG(status.st_mode):
        raise refused(path, "expected a campaign file, got a device, socket or pipe")
    if status.st_size > LARGEST_FILE_BYTES:
        raise refused(path, f"expected at most {LARGEST_FILE_BYTES} bytes, got {status.st_size}")
