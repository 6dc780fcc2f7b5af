"""The set of services: deaths counted in a row, and services that say that they cannot work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop.services import service_set
from moireloop.services.service_set import Crash, ServiceSet, ServiceSpec
from moireloop_broker.processes.exits import EXIT_CANNOT_SERVE
from tests.helpers.waiting import wait_until


@pytest.fixture
def services(tmp_path: Path) -> Iterator[ServiceSet]:
    started = ServiceSet(tmp_path / "services.lock")
    yield started
    started.stop(started.names(), 5)


def dying(folder: Path, code: int = 1) -> ServiceSpec:
    return ServiceSpec("dying", [sys.executable, "-c", f"raise SystemExit({code})"], folder / "dying.log")


def next_crash(services: ServiceSet) -> Crash:
    return wait_until(services.watch, "a crash")[0]


def test_only_deaths_without_a_healthy_life_in_between_add_up(
    services: ServiceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long campaign survives any number of crashes, as long as the service lives well between them."""
    services.start(dying(tmp_path))
    assert [next_crash(services).deaths for _ in range(2)] == [1, 2]
    monkeypatch.setattr(service_set, "HEALTHY_S", 0.0)
    assert next_crash(services).deaths == 1


def test_service_that_cannot_work_here_says_so(services: ServiceSet, tmp_path: Path) -> None:
    """Its exit code says that starting it again does not help."""
    services.start(dying(tmp_path, EXIT_CANNOT_SERVE))
    assert next_crash(services).is_final


def test_lock_is_held_until_the_last_service_has_ended(tmp_path: Path) -> None:
    """Whoever started the services may be gone; the lock is theirs as well."""
    first, second = ServiceSet(tmp_path / "services.lock"), ServiceSet(tmp_path / "services.lock")
    assert first.claim()
    first.start(ServiceSpec("waiting", [sys.executable, "-c", "input()"], tmp_path / "waiting.log"))
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    first.start(ServiceSpec("sleeping", command, tmp_path / "sleeping.log"))
    first.release()
    assert not second.claim()
    first.stop(first.names(), 5)
    assert second.claim()
    second.release()
