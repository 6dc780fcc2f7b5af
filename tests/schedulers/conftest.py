"""A real scheduler of two nodes, for the tests that every launcher of a scheduler has to pass."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.helpers.flux import Flux, why_no_flux
from tests.helpers.rank_processes import ranks_with
from tests.helpers.schedulers import Held, Scheduler
from tests.helpers.slurm import Slurm, why_no_slurm
from tests.helpers.waiting import wait_until
from tests.integration.conftest import redis_server
from tests.integration.worker.conftest import make_campaign
from tests.integration.worker.worker_campaign import Campaign

__all__ = ["make_campaign", "redis_server"]

StartPool = Callable[[Campaign, Mapping[str, str]], subprocess.Popen[bytes]]


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A Slurm of two nodes with one core each; the tests skip where its programs are not installed."""
    if (reason := why_no_slurm()) is not None:
        pytest.skip(reason)
    made = Slurm()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def flux() -> Flux:
    """A Flux of two nodes with one core each, new for each test; they skip where there is no Flux."""
    if (reason := why_no_flux()) is not None:
        pytest.skip(reason)
    return Flux()


@pytest.fixture(scope="session", params=["slurm", "flux"])
def scheduler(request: pytest.FixtureRequest) -> Scheduler:
    """Each scheduler in turn."""
    found: Scheduler = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def leave_s() -> float:
    """Flux's shell ends some moments after the last of its ranks."""
    return 10.0


@pytest.fixture
def held(scheduler: Scheduler) -> Iterator[Held]:
    """An allocation of both nodes."""
    with scheduler.allocation() as allocation:
        yield allocation


@pytest.fixture
def start_pool(held: Held) -> Iterator[StartPool]:
    """Start the main pool of a campaign with an environment; nothing of it may be left at the end."""
    with ExitStack() as stack:
        yield lambda campaign, environment: stack.enter_context(_pool(campaign, environment))


class _pool(subprocess.Popen[bytes]):
    """A pool that is ended with the test."""

    def __init__(self, campaign: Campaign, environment: Mapping[str, str]) -> None:
        self._mark = str(campaign.file)
        command = [sys.executable, "-m", "moireloop_worker.pool.service", "--connection", self._mark]
        super().__init__(command, env=dict(environment))

    def __exit__(self, *_: object) -> None:
        self.terminate()
        try:
            self.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
        wait_until(lambda: not ranks_with(self._mark), "no rank is left")
