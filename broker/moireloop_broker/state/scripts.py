"""The atomic state changes: Lua scripts that change a candidate's state and write its event in one step (adapter).

Every script may run twice with the same arguments, as after a lost connection, and then changes nothing more. Only an
observation of an attempt that nobody began, which has no series, is then published again.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import redis


@cache
def _source(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Scripts:
    """The scripts in `lua/`, by name, on one Redis connection."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._loaded: dict[str, Any] = {}

    def run(self, name: str, keys: list[str], args: list[str | bytes | int | float]) -> Any:
        """Run `lua/<name>.lua`; a server that has lost the script is given it again."""
        if name not in self._loaded:
            self._loaded[name] = self._client.register_script(_source(name))
        return self._loaded[name](keys=keys, args=args)
