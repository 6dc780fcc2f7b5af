"""Where frames go: analyzers that are silent for long are forgotten, until they announce themselves again (adapter)."""

from __future__ import annotations

import time
from typing import Final

import redis

from moireloop_broker.membership.heartbeats import beats_of
from moireloop_broker.membership.pools import server_s
from moireloop_broker.state.keys import Keys

LOOK_EVERY_S: Final = 5.0

FORGOTTEN_S: Final = 60.0


class EndpointWatch:
    """Forgets endpoints of analyzers that were killed and do not come again; for one thread at a time."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._looked_s = float("-inf")

    def look(self) -> list[str]:
        """Forget who has said nothing for FORGOTTEN_S; returns their names. An analyzer that never said anything stays.

        Raises redis.RedisError.
        """
        if time.monotonic() - self._looked_s < LOOK_EVERY_S:
            return []
        self._looked_s = time.monotonic()
        now_s, beats = server_s(self._client), beats_of(self._client, self._keys)
        announced = {name.decode() for name in self._client.hkeys(self._keys.endpoints)}  # type: ignore[union-attr]
        silent = [name for name in sorted(announced & beats.keys()) if now_s - beats[name].seen_s > FORGOTTEN_S]
        if silent:
            self._client.hdel(self._keys.endpoints, *silent)
        return silent
