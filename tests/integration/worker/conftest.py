"""Real Redis, mpiexec and LAMMPS for the tests of the worker. Nothing that a test started may be left at its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mpi4py import MPI

from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.settings_store import write_settings
from moireloop_worker.lammps.engine import Engine
from tests.integration.worker.worker_campaign import Campaign, alive, family, new_campaign

StartPool = Callable[[Campaign], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """LAMMPS in this process, on one rank."""
    made = Engine(MPI.COMM_WORLD)
    yield made
    made.close()


@pytest.fixture
def leave_s() -> float:
    """How long processes that a test has asked to end may take for it, after the test."""
    return 0.0


@pytest.fixture
def make_campaign(redis_server: RedisServer, tmp_path: Path, leave_s: float) -> Iterator[Callable[..., Campaign]]:
    made: list[Campaign] = []

    def make(
        growth: dict[str, Any],
        every_steps: int = 100,
        lammps: dict[str, Any] | None = None,
        frames: dict[str, Any] | None = None,
        **workers: Any,
    ) -> Campaign:
        campaign = new_campaign(redis_server, tmp_path / f"c{len(made)}")
        sections = {
            "growth": growth,
            "workers": {"count": 1, "lease_s": 3.0, **workers},
            "lammps": lammps or {},
            "frames": {"every_steps": every_steps, **(frames or {})},
            "early_end": {},
        }
        write_settings(campaign.connection.open_redis(), campaign.connection.keys, sections)
        made.append(campaign)
        return campaign

    before = family(os.getpid())
    yield make
    deadline_s = time.monotonic() + leave_s
    while (left := alive(family(os.getpid()) - before)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, "processes were left over"


@pytest.fixture
def start_pool() -> Iterator[StartPool]:
    started: list[subprocess.Popen[bytes]] = []

    def start(campaign: Campaign) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "moireloop_worker.pool.service", "--connection", str(campaign.file)]
        started.append(subprocess.Popen(command))
        return started[-1]

    yield start
    for pool in started:
        if pool.poll() is None:
            pool.kill()
        pool.wait()
