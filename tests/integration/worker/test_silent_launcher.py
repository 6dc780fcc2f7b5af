"""A launcher that reports no end: what a scheduler's lost event looks like from the pool."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from moireloop_broker.contract.pool_names import MAIN
from moireloop_broker.membership.pools import PoolMembership
from moireloop_worker.launchers.launcher import Exit, Launch
from moireloop_worker.launchers.local import LocalLauncher, LocalWorker
from moireloop_worker.launchers.walltime import Walltime
from moireloop_worker.pool.decisions import Pool
from moireloop_worker.pool.service import PoolService
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import LONG_BEAD, Campaign

Make = Callable[..., Campaign]


class Unheard(LocalWorker):
    """A worker whose end is never reported."""

    def poll(self) -> Exit | None:
        return None


class FirstUnheard(LocalLauncher):
    """Loses the end of the first worker that it starts."""

    started: tuple[LocalWorker, ...] = ()

    def start(self, worker: str) -> LocalWorker:
        new = super().start(worker)
        if not self.started:
            new.__class__ = Unheard
        self.started = (*self.started, new)
        return new


def test_slot_of_a_worker_whose_end_got_lost_works_again(make_campaign: Make) -> None:
    """The lease gives its candidate back, and the pool starts another worker when it has heard nothing for long."""
    campaign = make_campaign(LONG_BEAD, lease_s=3.0)
    client, keys = campaign.queue.client, campaign.queue.keys
    launcher = FirstUnheard(Launch(tuple(campaign.worker_command), 1, campaign.folder / "logs"))
    membership = PoolMembership(client, keys, MAIN, host="here", launcher="local", workers=1)
    membership.take_over()
    pool = PoolService(Pool(["worker-0"]), launcher, campaign.queue.watch, membership, Walltime(1.0, time.time()),
                       silent_s=4.0)  # fmt: skip
    campaign.propose("c0")

    def steps_until(holds: Callable[[], object], description: str) -> None:
        def stepped() -> object:
            pool.step()
            return holds()

        wait_until(stepped, description, 90)

    with contextlib.closing(pool):
        steps_until(lambda: campaign.events("run_leased/1"), "the candidate runs")
        os.kill(launcher.started[0].pid, signal.SIGKILL)
        steps_until(lambda: campaign.queue.expire_leases() or len(launcher.started) > 1, "its lease expires")
        steps_until(lambda: len(campaign.events("run_leased/1")) > 1, "another worker runs it again")
    assert LocalWorker.poll(launcher.started[0]) is not None
    assert [event.attempt for event in campaign.events("run_leased/1")][:2] == [1, 2]
