"""Starts, crashes and ends of a session's services, kept until they are in the campaign's log (adapter)."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from moireloop.services.elsewhere import ElsewhereSet
from moireloop.services.service_set import MAX_CRASHES, Crash, ServiceSet, ServiceSpec
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.campaign_state import CampaignState, ServiceState

log = logging.getLogger(__name__)

FULL_BYTES = 1024 * 1024


def full_disk_hint(folder: Path, free_bytes: int, said: str = "") -> str:
    """What is likely wrong when services die and the disk is full: their last words did not fit on it either."""
    if free_bytes >= FULL_BYTES and "No space left" not in said:
        return ""
    return f", and the disk of {folder} is full; make room there, then continue with `moireloop resume`"


class ServiceChanges:
    """Changes of services in their order. Redis may be down when a service dies, so they wait for it."""

    def __init__(self, services: ServiceSet, folder: CampaignFolder) -> None:
        self._services = services
        self._folder = folder
        self._unlogged: list[tuple[str, ServiceState, str | None]] = []
        self._missing: list[str] = []

    def start(self, spec: ServiceSpec) -> None:
        """Start a service; one that starts by itself is only expected."""
        self._services.start(spec)
        if not isinstance(self._services, ElsewhereSet):
            self._unlogged.append((spec.name, "started", None))

    def note_stopped(self, name: str, reason: str) -> None:
        """Note that a service does not run, and why."""
        self._unlogged.append((name, "stopped", reason))

    def note_crash(self, crash: Crash) -> str | None:
        """Note a crash; returns why the session cannot go on after it, None where it can."""
        self._unlogged.append((crash.service, "crashed", crash.reason))
        if crash.restarts:
            self._unlogged.append((crash.service, "started", None))
        log.warning("service crashed name=%s reason=%s", crash.service, crash.reason)
        log_file = self._folder.log_of(crash.service)
        if crash.is_final:
            return f"{crash.service} cannot run: {crash.reason} (see {log_file})"
        if crash.deaths >= MAX_CRASHES:
            hint = full_disk_hint(self._folder.root, shutil.disk_usage(self._folder.root).free)
            return f"{crash.service} died {MAX_CRASHES} times{hint}: {crash.reason} (see {log_file})"
        return None

    def collect(self, state: CampaignState) -> None:
        """Note which services that start by themselves came or left, and log which are waited for.

        Raises:
            redis.RedisError: Redis does not respond.
        """
        if not isinstance(self._services, ElsewhereSet):
            return
        self._unlogged += [(name, change, None) for name, change in self._services.take_changes()]
        missing = self._services.missing
        if missing != self._missing:
            state.services_wait(self._missing, missing)
            self._missing = missing

    def write_to_log(self, state: CampaignState) -> None:
        """Log the changes that are not in the log yet. Raises redis.RedisError."""
        while self._unlogged:
            state.service_changed(*self._unlogged[0])
            self._unlogged.pop(0)
