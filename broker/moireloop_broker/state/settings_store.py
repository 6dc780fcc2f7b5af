"""The campaign's settings, section by section, which services read as models (adapter)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import redis
from pydantic import TypeAdapter, ValidationError

from moireloop_broker.files import write_synced
from moireloop_broker.problems import shown
from moireloop_broker.state.keys import Keys

SETTINGS_FILE_NAME = "settings.json"

SESSION: Final = "session"
"""The section that differs from one session to the next."""

T = TypeVar("T")


class SettingsUnusable(LookupError):
    """A section of the campaign's settings is missing or not as it should be; the text names section and key."""


class Sections:
    """The stored settings of a campaign: JSON by section, parsed when a section is read."""

    def __init__(self, stored: Mapping[str, str | bytes]) -> None:
        self._stored = dict(stored)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def section(self, name: str, kind: type[T]) -> T:
        """One section as a model, or as any other type that pydantic validates.

        Raises:
            SettingsUnusable: there is no such section, or it is not valid.
        """
        try:
            return TypeAdapter(kind).validate_json(self._text(name))
        except ValidationError as error:
            raise _unusable(name, error) from error

    def parsed(self, name: str, parse: Callable[[dict[str, object]], T]) -> T:
        """One section as a function makes it of the section's table. Raises SettingsUnusable."""
        table = self.section(name, cast("type[dict[str, object]]", dict))
        try:
            return parse(table)
        except ValidationError as error:
            raise _unusable(name, error) from error

    def plain(self, name: str) -> Any:
        """One section as JSON has it. Raises SettingsUnusable."""
        try:
            return json.loads(self._text(name))
        except ValueError as error:
            raise SettingsUnusable(f"{name}: expected JSON, got {shown(self._text(name))}: {error}") from error

    def _text(self, name: str) -> str | bytes:
        if name not in self._stored:
            raise SettingsUnusable(f"expected settings of section {name!r} of the campaign, got none")
        return self._stored[name]


def read_settings(client: redis.Redis, keys: Keys) -> Sections:
    """The campaign's settings that are in Redis."""
    stored = cast("dict[bytes, bytes]", client.hgetall(keys.settings))
    return Sections({name.decode(): text for name, text in stored.items()})


def read_settings_file(folder: Path) -> dict[str, Any]:
    """All sections of the campaign's settings, as the conductor left them in the campaign's folder."""
    sections: dict[str, Any] = json.loads((folder / SETTINGS_FILE_NAME).read_text(encoding="utf-8"))
    return sections


def write_settings_file(folder: Path, sections: dict[str, Any]) -> None:
    """Leave the campaign's settings for the broker, which puts them into Redis when it starts."""
    write_synced(folder / SETTINGS_FILE_NAME, json.dumps(sections, indent=2) + "\n")


def write_settings(client: redis.Redis, keys: Keys, sections: dict[str, Any]) -> Sections:
    """Put the campaign's settings into Redis for its services, all sections at once.

    The present session's settings stay, since requests may have changed them: a restarted broker continues with them.
    """
    stored = {name: json.dumps(value) for name, value in sections.items()}
    if SESSION in stored and client.hget(keys.settings, SESSION) == stored[SESSION].encode():
        return read_settings(client, keys)
    client.hset(keys.settings, mapping=cast("dict[Any, Any]", stored))
    return Sections(stored)


def change_settings(client: redis.Redis, keys: Keys, sections: dict[str, Any]) -> None:
    """Put single sections into Redis; the others stay."""
    stored = {name: json.dumps(value) for name, value in sections.items()}
    client.hset(keys.settings, mapping=cast("dict[Any, Any]", stored))


def _unusable(name: str, error: ValidationError) -> SettingsUnusable:
    """The first thing that is wrong, by section and key."""
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, (name, *first["loc"])))
    return SettingsUnusable(f"{key}: {first['msg']}, got {shown(first['input'])}")
