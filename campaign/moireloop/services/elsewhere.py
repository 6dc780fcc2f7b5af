"""The services of a session that start by themselves: watched by their signs of life in Redis (adapter)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import redis

from moireloop.services.service_set import Crash, ServiceSet, ServiceSpec
from moireloop_broker.membership.heartbeats import CONDUCTOR, SILENT_S, Beat, alive, beats_of
from moireloop_broker.membership.pools import any_alive, server_s
from moireloop_broker.state.keys import Keys

LOOK_EVERY_S = 1.0

Change = tuple[str, Literal["started", "stopped"]]


class ElsewhereSet(ServiceSet):
    """Expects services, and reports which come, fall silent, come back and leave. It starts and ends none.

    Only a service that was heard of can fall silent; what was never heard of is `missing`.
    """

    def __init__(self, lock_file: Path) -> None:
        super().__init__(lock_file)
        self._client: redis.Redis | None = None
        self._keys = Keys("")
        self._expected: list[str] = []
        self._heard: dict[str, bool] = {}
        self._changes: list[Change] = []
        self._looked_s = float("-inf")

    def follow(self, client: redis.Redis, keys: Keys) -> None:
        """Look for signs of life there from now on."""
        self._client, self._keys = client, keys

    def start(self, spec: ServiceSpec) -> None:
        """Expect a service of this kind: a broker, an optimizer, any analyzer."""
        self._expected.append(spec.name)

    def names(self) -> list[str]:
        """Names of the services that are expected."""
        return list(self._expected)

    @property
    def missing(self) -> list[str]:
        """The kinds of services that are expected and of which none works."""
        here = {_kind(name) for name, works in self._heard.items() if works}
        return list(dict.fromkeys(kind for name in self._expected if (kind := _kind(name)) not in here))

    def watch(self) -> list[Crash]:
        """The services that have fallen silent since the last call. Raises redis.RedisError."""
        if self._client is None or time.monotonic() - self._looked_s < LOOK_EVERY_S:
            return []
        self._looked_s = time.monotonic()
        now_s = server_s(self._client)
        beats = {name: beat for name, beat in beats_of(self._client, self._keys).items() if name != CONDUCTOR}
        fallen = {name: beat for name, beat in beats.items() if self._fell_silent(name, beat, now_s)}
        crashes = [_silence(name, beat, now_s) for name, beat in fallen.items()]
        for name, beat in beats.items():
            works = now_s - beat.seen_s <= SILENT_S
            if works and not self._heard.get(name, False):
                self._changes.append((name, "started"))
            self._heard[name] = works
        for name in self._heard.keys() - beats.keys():
            del self._heard[name]
            self._changes.append((name, "stopped"))
        return crashes

    def take_changes(self) -> list[Change]:
        """The services that came, came back or left since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def ask(self, names: Sequence[str]) -> None:
        """Nothing, as with `stop`."""

    def stop(self, names: Sequence[str], patience_s: float) -> None:
        """Nothing: they end by themselves when the campaign's state says that it is over."""

    def _fell_silent(self, name: str, beat: Beat, now_s: float) -> bool:
        return self._heard.get(name, False) and now_s - beat.seen_s > SILENT_S


def wait_for_joined(client: redis.Redis, keys: Keys, patience_s: float, *, services: bool) -> None:
    """Give pools that joined a moment to see the end and to leave, before Redis goes.

    Args:
        services: whether services that started by themselves are waited for too; the broker is the last to leave.

    Raises:
        redis.RedisError: Redis does not respond.
    """
    deadline_s = time.monotonic() + patience_s
    while _joined_are_there(client, keys, services=services) and time.monotonic() < deadline_s:
        time.sleep(0.1)


def _joined_are_there(client: redis.Redis, keys: Keys, *, services: bool) -> bool:
    others = alive(client, keys).keys() - {"broker", CONDUCTOR} if services else set()
    return bool(others) or any_alive(client, keys)


def _silence(name: str, beat: Beat, now_s: float) -> Crash:
    reason = f"silent for {now_s - beat.seen_s:.0f} s (process {beat.pid} on {beat.host})"
    return Crash(name, reason, 0, is_final=False, restarts=False)


def _kind(service: str) -> str:
    return service.partition("-")[0]
