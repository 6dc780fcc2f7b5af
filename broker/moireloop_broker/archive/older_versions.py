"""What keeps versions that know no archive from continuing a campaign whose older events are in one (adapter).

They would see the newest events alone. But they refuse a section of the campaign file that they do not know, so the
copy of the file in the folder gets the section `[archive]` before the first event leaves Redis.
"""

from __future__ import annotations

import contextlib
import tomllib
from typing import Final

from moireloop_broker.folder import CampaignFolder

SECTION: Final = "[archive]  # older events are in the folder archive, which versions before it do not read"


def mark_copy(folder: CampaignFolder) -> None:
    """Give the copy of the campaign file the section, if there is a copy and it has none. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        text = folder.campaign_copy.read_text(encoding="utf-8")
        if (marked := with_section(text)) != text:
            folder.keep_campaign_file(marked)


def has_parts(folder: CampaignFolder) -> bool:
    """Whether events of the campaign's log are in files."""
    return any(not path.name.startswith(".") for path in folder.archive.glob("*.parquet"))


def with_section(text: str) -> str:
    """The text of a campaign file with the section, before a comment in its last line; as it is where it has one."""
    try:
        if "archive" in tomllib.loads(text):
            return text
    except tomllib.TOMLDecodeError:
        return text
    head, _, last = text.rstrip("\n").rpartition("\n")
    before, after = (head, f"{last}\n") if last.startswith("#") else (text.rstrip("\n"), "")
    return f"{before}\n{SECTION}\n{after}"


def without_section(text: str) -> str:
    """The text of a campaign file as it was before it got the section at its end."""
    whole = text.rstrip("\n")
    return whole.removesuffix(SECTION) if whole.endswith(f"\n{SECTION}") else text
