"""The campaign's settings, section by section, for its services (adapter)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import redis

from moireloop_broker.files import write_synced
from moireloop_broker.state.keys import Keys

SETTINGS_FILE_NAME = "settings.json"


def read_settings(client: redis.Redis, keys: Keys, section: str) -> Any:
    """One section of the campaign's settings.

    Raises:
        LookupError: the campaign has no such section.
    """
    stored = cast("bytes | None", client.hget(keys.settings, section))
    if stored is None:
        raise LookupError(f"expected settings of section {section!r} of the campaign, got none")
    return json.loads(stored)


def read_settings_file(folder: Path) -> dict[str, Any]:
    """All sections of the campaign's settings, as the conductor left them in the campaign's folder."""
    sections: dict[str, Any] = json.loads((folder / SETTINGS_FILE_NAME).read_text(encoding="utf-8"))
    return sections


def write_settings_file(folder: Path, sections: dict[str, Any]) -> None:
    """Leave the campaign's settings for the broker, which puts them into Redis when it starts."""
    write_synced(folder / SETTINGS_FILE_NAME, json.dumps(sections, indent=2) + "\n")


def write_settings(client: redis.Redis, keys: Keys, sections: dict[str, Any]) -> None:
    """Put the campaign's settings into Redis for its services, all sections at once."""
    client.hset(keys.settings, mapping={name: json.dumps(value) for name, value in sections.items()})
