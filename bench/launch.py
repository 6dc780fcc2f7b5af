"""Launchers beside each other in one run: local, and each scheduler that is here, beside what it does alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from bench.campaigns import campaign_of, session, wait_until
from bench.queue import NOTHING_TO_DO, POINT, candidates_per_s
from bench.slots import RUN_S, utilisation_of_two
from bench.table import Row
from moireloop import Campaign
from moireloop_broker.connection import Connection
from moireloop_broker.contract.events import Candidate, RunLeased
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_worker.launchers.launcher import Launch
from moireloop_worker.launchers.registry import open_launcher
from tests.helpers.campaign_files import BEAD, Section
from tests.helpers.flux import Flux, why_no_flux
from tests.helpers.rank_processes import ranks_with
from tests.helpers.slurm import Slurm, why_no_slurm

START_S, AGAIN_S, PERCENT, PER_S = 1.0, 2.0, 99.0, 100.0

TRUE: Final = {"local": ["true"], "flux": ["flux", "run", "-n1", "true"], "slurm": ["srun", "-n1", "true"]}
"""What starts the program `true` and sees it to its end: one job per candidate costs this at least."""

OPTIONS: Final = {"flux": {"o.cpu-affinity": "off"}}
"""Made-up nodes have the cores of the whole machine, so that a worker is not pinned to one of them."""

LONG: Final = {**BEAD, "anneal_steps": 50_000_000}


def rows(
    rounds: int = 6,
    runs: int = 40,
    noops: int = 600,
    deaths: int = 3,
    only: str = "",
    growth: Section = BEAD,
    strategy: str = "auto",
    run_s: float | None = RUN_S,
) -> list[Row]:
    """Start, utilisation, rate and return after a death, for each launcher that can work here, or `only` one.

    Args:
        strategy: what proposes the runs of which the utilisation is measured.
        run_s: how long these are to take.
    """
    found = []
    with ExitStack() as stack:
        for name, environment in _places(stack, (only,) if only else tuple(TRUE)):
            with _within(environment):
                found += _rows_of(name, rounds, runs, noops, deaths, growth, strategy, run_s)
    return found


def _rows_of(
    name: str, rounds: int, runs: int, noops: int, deaths: int, growth: Section, strategy: str, run_s: float | None
) -> list[Row]:
    bare_s = median(_bare_s(name) for _ in range(rounds))
    start_s = median(_starts_s(name, rounds))
    used, rest = utilisation_of_two(lambda chosen: _campaign(name, chosen, 2, strategy), growth, runs, run_s)
    rate = _noops_per_s(name, noops)
    again_s = median(_again_s(name) for _ in range(deaths))
    return [
        Row(f"{name}: worker start to first lease", start_s, "s", START_S, "at most", _of_bare(name, bare_s)),
        Row(f"{name}: utilisation of 2 slots", 100 * used, "%", PERCENT, "at least", rest),
        Row(f"{name}: no-op candidates", rate, "1/s", PER_S, "at least", f"{TRUE[name][0]} alone: {1 / bare_s:.1f}/s"),
        Row(f"{name}: death of a rank to its candidate running again", again_s, "s", AGAIN_S, "at most"),
    ]


def _of_bare(name: str, bare_s: float) -> str:
    return f"{' '.join(TRUE[name])} to its end {bare_s:.3f} s"


def _places(stack: ExitStack, names: Collection[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Launchers and the environments in which they find their allocation, which is made here where there is none."""
    if "local" in names:
        yield "local", {}
    if "flux" in names:
        if "FLUX_URI" in os.environ:
            yield "flux", {}
        elif why_no_flux() is None:
            yield "flux", stack.enter_context(Flux().allocation()).environment
    if "slurm" in names:
        if "SLURM_JOB_ID" in os.environ:
            yield "slurm", {}
        elif why_no_slurm() is None:
            slurm = Slurm()
            stack.callback(slurm.stop)
            slurm.start()
            yield "slurm", stack.enter_context(slurm.allocation()).environment


@contextmanager
def _within(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _bare_s(name: str) -> float:
    begun_s = time.perf_counter()
    subprocess.run(TRUE[name], check=True, capture_output=True)
    return time.perf_counter() - begun_s


@contextmanager
def _campaign(name: str, growth: Section, workers: int = 1, strategy: str = "auto") -> Iterator[Campaign]:
    pool = {"launcher": name, "lease_s": 60.0, "launcher_options": OPTIONS.get(name, {})}
    optimizer = {"strategy": strategy}
    with campaign_of(growth, workers=workers, results=1_000_000, pool=pool, optimizer=optimizer) as campaign:
        yield campaign


def _propose(connection: Connection, name: str) -> float:
    """Put a candidate into the queue; returns when, in seconds since the epoch."""
    now_s = time.time()
    client = connection.open_redis()
    Proposer(client, connection.keys).propose(Candidate(candidate_id=name, parameters=POINT, seed=1, proposed_s=now_s))
    client.close()
    return now_s


def _leases(connection: Connection) -> list[RunLeased]:
    client = connection.open_redis()
    found = [event for _, event in EventLog(client, connection.keys).replay() if isinstance(event, RunLeased)]
    client.close()
    return found


def _starts_s(name: str, rounds: int) -> list[float]:
    """Seconds from the call of the launcher to the lease of a candidate that waits, worker after worker."""
    found = []
    without = ("optimizer", "pool", "analyzer-0")
    with _campaign(name, NOTHING_TO_DO) as campaign, session(campaign, without=without) as (_, connection):
        file = CampaignFolder(campaign.folder).connection_of("worker")
        command = (sys.executable, "-m", "mpi4py", "-m", "moireloop_worker", "--connection", str(file))
        logs = Path(connection.folder) / "logs"
        launcher = open_launcher(name, Launch(command, 1, logs, connection.campaign, options=OPTIONS.get(name, {})))
        for number in range(rounds):
            _propose(connection, f"start{number}")
            begun_s = time.time()
            handle = launcher.start(f"worker-{number}")
            wait_until(lambda: handle.poll() is None and len(_leases(connection)) > number, "the first lease")  # noqa: B023
            found.append(_leases(connection)[-1].leased_s - begun_s)
            handle.hand_back()
            wait_until(lambda: handle.poll() is not None, "the worker's end")  # noqa: B023
    return found


def _noops_per_s(name: str, noops: int) -> float:
    with _campaign(name, NOTHING_TO_DO) as campaign, session(campaign, without=("optimizer",)) as (_, connection):
        client = connection.open_redis()
        state = CampaignState(client, connection.keys, connection.campaign)
        _propose(connection, "first")
        wait_until(lambda: state.counts()["refused"] == 1, "the first result")
        rate = candidates_per_s(state, Proposer(client, connection.keys), "n", noops)
        client.close()
    return rate


def _again_s(name: str) -> float:
    """Seconds from SIGKILL to the only worker until its candidate is leased again, by the worker that replaces it."""
    without = ("optimizer", "analyzer-0")
    with _campaign(name, LONG) as campaign, session(campaign, without=without) as (_, connection):
        _propose(connection, "c0")
        wait_until(lambda: len(_leases(connection)) == 1, "the first lease")
        file = CampaignFolder(campaign.folder).connection_of("worker")
        (rank,) = ranks_with(str(file))
        killed_s = time.time()
        os.kill(rank, signal.SIGKILL)
        wait_until(lambda: len(_leases(connection)) == 2, "the second lease")
        return _leases(connection)[-1].leased_s - killed_s
