"""Membership of a pool in its campaign: the pool claims its name and sends a heartbeat now and then (adapter)."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any, Final, cast

import redis

from moireloop_broker.contract.codec import pack, unpack_as
from moireloop_broker.contract.control import PoolStatus
from moireloop_broker.processes.exits import CannotServe
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.redis_client import server_s as server_s
from moireloop_broker.state.scripts.campaign import CampaignScripts

BEAT_S: Final = 1.0

SILENT_S: Final = 5.0
"""A pool that has said nothing for so long is taken for lost, and its name may be taken."""

LOOK_S: Final = 0.1

ROOM_EVERY_S: Final = 30.0
"""How often a pool surveys its allocation, which may lose or gain nodes."""

SIZES: Final = "pool_sizes"
"""Section of the settings: pool -> how many workers it is to keep, instead of what it was started with."""


class PoolNameTaken(CannotServe):
    """A live pool has this name; the text says where it is."""


def pools_of(client: redis.Redis, keys: Keys) -> dict[str, PoolStatus]:
    """What each pool last said of itself."""
    stored = cast("dict[bytes, bytes]", client.hgetall(keys.pools))
    return {name.decode(): unpack_as(PoolStatus, packed) for name, packed in stored.items()}


def wanted_sizes(client: redis.Redis, keys: Keys) -> dict[str, int]:
    """Requested number of workers of each pool that was asked to keep a number."""
    stored = cast("bytes | None", client.hget(keys.settings, SIZES))
    return {} if stored is None else cast("dict[str, int]", json.loads(stored))


def live_workers(client: redis.Redis, keys: Keys) -> int | None:
    """How many workers the pools that live keep; None where no pool ever said so."""
    pools = pools_of(client, keys).values()
    now_s = server_s(client)
    return sum(pool.workers for pool in pools if now_s - pool.seen_s <= SILENT_S) if pools else None


def any_alive(client: redis.Redis, keys: Keys) -> bool:
    """Whether any pool lives."""
    pools, now_s = pools_of(client, keys).values(), server_s(client)
    return any(now_s - pool.seen_s <= SILENT_S for pool in pools)


class PoolMembership:
    """One pool's entry among the pools of its campaign, from `claim` to `leave`."""

    def __init__(self, client: redis.Redis, keys: Keys, pool: str, **fields: Any) -> None:
        self._client = client
        self._keys = keys
        self._scripts = CampaignScripts(client, keys)
        self._status = PoolStatus(pool=pool, seen_s=0.0, mark=secrets.token_hex(8), **fields)
        self._room, self._room_s = self._status.room, time.monotonic()
        self._said = b""
        self._beat_s = float("-inf")

    @property
    def pool(self) -> str:
        """The pool's name."""
        return self._status.pool

    def claim(self) -> None:
        """Take the name. Its present holder is watched for a moment: a live pool sends heartbeats.

        Raises:
            PoolNameTaken: a live pool has this name.
        """
        first = _read(self._there())
        while True:
            packed = self._there()
            there = _read(packed)
            if there is not None and (first is None or there.seen_s > first.seen_s):
                raise PoolNameTaken(
                    f"expected a name that no live pool uses, got {self.pool!r}, which a pool on {there.host} with "
                    f"{there.workers} workers uses; choose another with --name"
                )
            if there is None or server_s(self._client) - there.seen_s > SILENT_S:
                if self._swap(packed):
                    return
                continue
            time.sleep(LOOK_S)

    def take_over(self) -> None:
        """Take over the name from any holder: the caller knows that only this pool may have it."""
        while not self._swap(self._there()):
            pass

    def beat(
        self, *, workers: int | None = None, ends_s: float | None = None, room: Callable[[], int | None] | None = None
    ) -> bool:
        """Say that the pool lives, every BEAT_S and when something has changed; False when its name was taken from it.

        An entry that is gone, as after a resume, is made again, and so is an earlier one of this pool, as from a server
        that lost its last writes.

        Args:
            room: how many workers fit now; asked every ROOM_EVERY_S. Where it returns None, the last number stays.
        """
        if room is not None and time.monotonic() - self._room_s >= ROOM_EVERY_S:
            found = room()
            self._room_s, self._room = time.monotonic(), self._room if found is None else found
        changes = {
            "workers": self._status.workers if workers is None else workers,
            "ends_s": ends_s,
            "room": self._room,
        }
        is_new = any(getattr(self._status, name) != value for name, value in changes.items())
        if not is_new and time.monotonic() - self._beat_s < BEAT_S:
            return True
        self._status = self._status.model_copy(update=changes)
        said, now = self._said, self._now()
        if self._scripts.swap_pool(self.pool, before=said, now=now):
            self._said, self._beat_s = now, time.monotonic()
            return True
        there = self._there()
        return self._is_ours(there) and self._swap(there)

    def wanted_size(self) -> int | None:
        """Requested number of workers of this pool; None without a request. Raises redis.RedisError."""
        return wanted_sizes(self._client, self._keys).get(self.pool)

    def leave(self) -> None:
        """Give the name back."""
        self._scripts.swap_pool(self.pool, before=self._said, now=b"")

    def _is_ours(self, there: bytes) -> bool:
        said = _read(there)
        return said is None or said.mark == self._status.mark

    def _there(self) -> bytes:
        return cast("bytes | None", self._client.hget(self._keys.pools, self.pool)) or b""

    def _swap(self, before: bytes) -> bool:
        """Put our entry instead of the one that was there."""
        now = self._now()
        if not self._scripts.swap_pool(self.pool, before=before, now=now):
            return False
        self._said, self._beat_s = now, time.monotonic()
        return True

    def _now(self) -> bytes:
        self._status = self._status.model_copy(update={"seen_s": server_s(self._client)})
        return pack(self._status)


def _read(packed: bytes) -> PoolStatus | None:
    return unpack_as(PoolStatus, packed) if packed else None
