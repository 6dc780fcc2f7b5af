"""Workers in the allocation of a real scheduler: where they run, how their ends are reported, what is charged."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable

import pytest

from moireloop_worker.checks import machine_problems
from moireloop_worker.settings import LammpsSettings, PoolSettings
from tests.helpers.rank_processes import environment_of, ranks_with
from tests.helpers.schedulers import Held, Scheduler
from tests.helpers.waiting import wait_until
from tests.integration.worker.worker_campaign import LONG_BEAD, SMALL_BEAD, Campaign
from tests.schedulers.conftest import StartPool

Make = Callable[..., Campaign]
WIDE = {"ranks": 2, "nodes": 2, "lease_s": 60.0, "launcher": "auto"}
ONE = {"lease_s": 60.0, "launcher": "auto"}


def name_of(campaign: Campaign, worker: str = "worker-0") -> str:
    return f"moireloop-{campaign.connection.campaign}-main-{worker}"


def only_failure(campaign: Campaign) -> tuple[bool, str]:
    """Whether the one attempt that failed is charged, and why it failed."""
    (failed,) = campaign.wait_for("run_failed/1")
    return failed.charged, failed.reason


def test_ranks_of_one_worker_run_on_two_nodes(
    scheduler: Scheduler, held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """One MPI program over both nodes runs candidate after candidate; SIGTERM ends the pool with 0 and all ranks."""
    campaign = make_campaign({**SMALL_BEAD, "anneal_steps": 50, "quench_steps": 50}, **WIDE)
    for number in range(2):
        campaign.propose(f"c{number}")
    pool = start_pool(campaign, held.environment)
    finished = campaign.wait_for("run_finished/1", 2)
    assert {event.report.provenance["ranks"] for event in finished} == {"2"}
    ranks = ranks_with(str(campaign.file))
    assert {scheduler.node_of(pid) for pid in ranks} == set(held.nodes)
    pool.terminate()
    assert pool.wait(20) == 0
    wait_until(lambda: not ranks_with(str(campaign.file)), "all ranks are gone", 2)


def test_killed_rank_is_charged_and_its_candidate_runs_again_at_once(
    scheduler: Scheduler, held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """kill -9 of the second rank: the scheduler tells, the rest is ended, and long before the lease it is attempt 2."""
    campaign = make_campaign(LONG_BEAD, **WIDE)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    campaign.wait_for("run_leased/1")
    (victim,) = [pid for pid in ranks_with(str(campaign.file)) if scheduler.node_of(pid) == held.nodes[1]]
    os.kill(victim, signal.SIGKILL)
    killed_s = time.monotonic()
    charged, reason = only_failure(campaign)
    assert charged
    assert re.fullmatch(r"worker-0 is gone: rank 1 died on \S+: killed by SIGKILL", reason)
    campaign.wait_for("run_leased/1", 2)
    assert time.monotonic() - killed_s < 30


def test_cancelled_worker_is_lost(scheduler: Scheduler, held: Held, make_campaign: Make, start_pool: StartPool) -> None:
    """A cancel from outside uses up no attempt, and another worker starts."""
    campaign = make_campaign(LONG_BEAD, **ONE)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    campaign.wait_for("run_leased/1")
    scheduler.cancel(held, name_of(campaign))
    charged, reason = only_failure(campaign)
    assert not charged
    assert re.search(r"worker-0 (is gone: .*cancel|ended at step \d+ and gave the candidate back)", reason)
    assert [event.attempt for event in campaign.wait_for("run_leased/1", 2)] == [1, 2]


def test_node_that_is_lost_costs_no_attempt(
    scheduler: Scheduler, held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """Of two workers the one whose node goes away is lost, uncharged; the other runs on."""
    campaign = make_campaign(LONG_BEAD, count=2, lease_s=60.0, launcher="auto")
    campaign.propose("c0")
    campaign.propose("c1")
    start_pool(campaign, held.environment)
    leased = campaign.wait_for("run_leased/1", 2)
    lost = {scheduler.node_of(pid): pid for pid in ranks_with(str(campaign.file))}
    (other,) = [pid for node, pid in lost.items() if node != held.nodes[1]]
    scheduler.lose(held, held.nodes[1])
    charged, reason = only_failure(campaign)
    assert not charged
    assert re.search(r"worker-\d is gone: .*node.fail", reason)
    wait_until(lambda: ranks_with(str(campaign.file)) == [other], "only the other one's rank is left")
    assert {event.worker for event in leased} == {"worker-0", "worker-1"}


def test_killed_pool_leaves_no_rank_and_its_successor_goes_on(
    scheduler: Scheduler, held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """kill -9 of the pool: what it leaves in the allocation is ended by the next one, and given back uncharged."""
    campaign = make_campaign(LONG_BEAD, **ONE)
    campaign.propose("c0")
    pool = start_pool(campaign, held.environment)
    campaign.wait_for("run_leased/1")
    before = ranks_with(str(campaign.file))
    pool.kill()
    pool.wait()
    start_pool(campaign, held.environment)
    wait_until(lambda: not set(before) & set(ranks_with(str(campaign.file))), "the ranks of the first pool are gone")
    assert campaign.wait_for("run_leased/1", 2)[1].attempt == 2
    assert [event.charged for event in campaign.events("run_failed/1")] == [False]


def test_worker_that_waits_for_a_place_says_so(
    scheduler: Scheduler, held: Held, make_campaign: Make, start_pool: StartPool
) -> None:
    """A worker that the scheduler has no place for yet is waiting, not starting, and begins when there is one."""
    campaign = make_campaign({"model": "noop"}, **ONE)
    campaign.propose("c0")
    with scheduler.occupy(held):
        start_pool(campaign, held.environment)
        wait_until(lambda: [w.phase for w in campaign.state.status().workers] == ["waiting"], "the worker waits")
    campaign.wait_for("run_finished/1")


@pytest.mark.parametrize(("gpus", "devices"), [(0, None), (2, "0,1")])
def test_rank_gets_its_gpus(
    held: Held, make_campaign: Make, start_pool: StartPool, gpus: int, devices: str | None
) -> None:
    """As many of its node's devices as the file says for a rank, and none without."""
    campaign = make_campaign({"model": "noop"}, **ONE, gpus=gpus)
    campaign.propose("c0")
    start_pool(campaign, held.environment)
    campaign.wait_for("run_finished/1")
    (rank,) = ranks_with(str(campaign.file))
    visible = environment_of(rank).get("CUDA_VISIBLE_DEVICES")
    assert visible in (None, "", "-1") if devices is None else re.fullmatch(devices, visible or "")


@pytest.mark.parametrize(
    ("workers", "key", "words"),
    [
        ({"count": 3}, "workers.count", "got 3 x 1 rank on 1 node, each rank with 1 core; 2 of"),
        ({"count": 1, "ranks": 2}, "workers.ranks", "got 1 x 2 ranks on 1 node, each rank with 1 core; none of"),
        ({"count": 1, "cores": 2}, "workers.ranks", "got 1 x 1 rank on 1 node, each rank with 2 cores; none of"),
        ({"count": 1, "ranks": 3, "nodes": 3}, "workers.nodes", "got 1 x 3 ranks on 3 nodes"),
        ({"count": 1, "gpus": 3}, "workers.gpus", "each rank with 1 core and 3 GPUs; none of them fit"),
        ({"count": 1, "launcher_options": {"no-such": "1"}}, "workers.launcher_options", "no-such"),
    ],
)
def test_what_does_not_fit_the_allocation_is_refused(
    scheduler: Scheduler,
    held: Held,
    monkeypatch: pytest.MonkeyPatch,
    workers: dict[str, object],
    key: str,
    words: str,
) -> None:
    """Before anything starts, within a second, with the numbers of what there is and what was asked for."""
    for name, value in held.environment.items():
        monkeypatch.setenv(name, value)
    begun_s = time.monotonic()
    (problem,) = machine_problems(PoolSettings.model_validate(workers), LammpsSettings(), 99)
    assert time.monotonic() - begun_s < 3
    assert problem.key == key
    assert words in problem.text


def test_what_fits_the_allocation_is_fine(scheduler: Scheduler, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both nodes as two workers, or as one of two ranks."""
    for name, value in held.environment.items():
        monkeypatch.setenv(name, value)
    for workers in ({"count": 2}, {"count": 1, "ranks": 2, "nodes": 2}):
        assert machine_problems(PoolSettings.model_validate(workers), LammpsSettings(), 1) == []
