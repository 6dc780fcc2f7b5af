"""The watch over pools: which join, fall silent, come back and leave, and whose fault a silence is (adapter)."""

from __future__ import annotations

import time
from typing import Final, cast

import redis

from moireloop_broker.contract.control import PoolStatus
from moireloop_broker.contract.pool_names import MAIN, SERVICE_PREFIX, pool_of
from moireloop_broker.membership.pools import SILENT_S, pools_of, server_s
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.lease_watch import Verdict

LOOK_EVERY_S: Final = 1.0

LOST_S: Final = 10.0
"""After so long a silence the log reports a pool as lost; it may come back."""

FORGOTTEN_S: Final = 3600.0


class PoolWatch:
    """Watches the statuses of pools; for one thread at a time."""

    def __init__(self, client: redis.Redis, keys: Keys, campaign: CampaignState) -> None:
        self._client = client
        self._keys = keys
        self._campaign = campaign
        self._known: dict[str, bool] | None = None
        self._looked_s = float("-inf")

    def look(self) -> None:
        """Write into the log which pools came, fell silent, came back or left since the last look."""
        if time.monotonic() - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = time.monotonic()
        now_s = server_s(self._client)
        pools = {name: pool for name, pool in pools_of(self._client, self._keys).items() if name != MAIN}
        known = self._lost_before() if self._known is None else self._known
        self._known = {name: self._log_loss(pool, known.get(name), now_s) for name, pool in pools.items()}
        for name in known.keys() - pools.keys():
            self._campaign.service_changed(SERVICE_PREFIX + name, "stopped")

    def judge(self, worker: str, expired_s: float) -> Verdict | None:
        """Whose fault it is that a worker does not renew its lease; None while that shows yet.

        A pool that was heard of since its worker's lease ran out lives: it is the worker's. A pool that is silent too
        has gone with its host or its allocation, and is not charged.

        Args:
            worker: its name.
            expired_s: when its lease ran out, by the server's clock.
        """
        pool = pools_of(self._client, self._keys).get(pool_of(worker))
        if pool is None:
            return Verdict(pool_of(worker) == MAIN, "")
        if pool.seen_s > expired_s:
            return Verdict(True, "")
        if server_s(self._client) - pool.seen_s <= SILENT_S:
            return None
        return Verdict(False, f"lost with its pool {pool.pool} on {pool.host}, which is silent too")

    def _lost_before(self) -> dict[str, bool]:
        """The pools that an earlier broker of this session knew, and whether they were lost."""
        services = cast("dict[bytes, bytes]", self._client.hgetall(self._keys.services))
        named = {name.decode(): state for name, state in services.items() if state in (b"started", b"crashed")}
        return {
            name.removeprefix(SERVICE_PREFIX): s == b"crashed"
            for name, s in named.items()
            if name.startswith(SERVICE_PREFIX)
        }

    def _log_loss(self, pool: PoolStatus, was_lost: bool | None, now_s: float) -> bool:
        """Take in a pool's news; returns whether it is lost now."""
        silent_s = now_s - pool.seen_s
        is_lost = silent_s > LOST_S
        if is_lost and was_lost is False:
            reason = f"lost: silent for {silent_s:.0f} s; it ran on {pool.host}"
            self._campaign.service_changed(SERVICE_PREFIX + pool.pool, "crashed", reason)
        elif not is_lost and was_lost is not False:
            self._campaign.service_changed(SERVICE_PREFIX + pool.pool, "started")
        if silent_s > FORGOTTEN_S:
            self._client.hdel(self._keys.pools, pool.pool)
        return is_lost
