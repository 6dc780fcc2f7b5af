"""Where the analyzers take frames, as they announced it (adapter)."""

from __future__ import annotations

from typing import cast

import redis

from moireloop_broker.state.keys import Keys


def frame_endpoints(client: redis.Redis, keys: Keys) -> frozenset[str]:
    """Where the analyzers alive receive frames."""
    return frozenset(endpoint.decode() for endpoint in cast("list[bytes]", client.hvals(keys.endpoints)))
