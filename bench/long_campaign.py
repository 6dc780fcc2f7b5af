"""The folder of a long campaign, made with the real queue, event log and series as fast as those take it."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import redis

from bench.campaigns import BROKER_ALONE, session, wait_until
from bench.table import Row
from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.load import keep_copy, load_copy, read_campaign
from moireloop.session.ending import Ending
from moireloop.session.opening import close_session, open_session
from moireloop_broker.contract.events import Candidate, Measurement, Observation, RunReport
from moireloop_broker.contract.frames import Frame, FrameHeader
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.identity import read_identity, write_identity
from moireloop_broker.service.redis_server import start_redis
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.work_queue.leases import Leases
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_broker.state.work_queue.queues import create_queues
from tests.helpers.campaign_files import SPACE, Section, campaign_text

STEPS: Final = 20_000
POINTS: Final = 5
WORKERS: Final = 100
PROVENANCE: Final = {f"item_{number}": f"{number}" * 60 for number in range(10)}
"""As much as a bead run says of LAMMPS, its input, its host and its versions."""

ATOMS: Final = 8


class Filler:
    """Brings candidates to their results, one after the other, with no MD: each goes through the real queues.

    Args:
        points: frames that are observed of each run, the final one among them.
    """

    def __init__(self, client: redis.Redis, keys: Keys, points: int = POINTS, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._points = points
        self._proposer = Proposer(client, keys)
        self._leases = Leases(client, keys, lease_s=600.0)
        self._observations = Observations(client, keys)
        self._finals = AnalysisQueue(client, keys, "analyzer-0")

    def result(self, number: int, now_s: float) -> None:
        """One candidate from its proposal to its result."""
        values = {name: self._random.uniform(low, high) for name, (low, high) in SPACE.items()}
        name = f"long{number}"
        self._proposer.propose(
            Candidate(candidate_id=name, parameters=values, seed=number, strategy="auto", proposed_s=now_s)
        )
        lease = self._leases.take(f"worker-{number % WORKERS}", 0.0)
        if lease is None:
            raise RuntimeError(f"expected a lease of {name}, got none: does the campaign drain?")
        report = RunReport(
            worker=lease.worker, started_s=now_s, finished_s=now_s + 60, steps=STEPS, planned_steps=STEPS, md_s=59.0,
            frames_sent=self._points, provenance=PROVENANCE,
        )  # fmt: skip
        twist_deg = self._random.choice((0.0, 8.2, 13.2, 21.8, 27.8, 30.0)) or self._random.uniform(0, 30)
        for place in range(1, self._points):
            self._observe(name, STEPS * place // self._points, self._random.uniform(0, 30))
        self._leases.finish(lease, report, _final_frame(name))
        run = self._finals.take(1.0)
        if run is None or not self._finals.settle(run, _measured(min(30.0, twist_deg))):
            raise RuntimeError(f"expected the finished run of {name}, got {run}")

    def _observe(self, name: str, step: int, twist_deg: float) -> None:
        self._observations.add(
            Observation(
                candidate_id=name, attempt=1, step=step, time_ps=step * 0.004, temperature_k=300.0,
                planned_steps=STEPS, measurement=_measured(twist_deg),
            )
        )  # fmt: skip


def _measured(twist_deg: float) -> Measurement:
    return Measurement(
        twist_deg=twist_deg, signed_deg=-twist_deg, sigma_deg=0.05, order_lower=0.98, order_upper=0.97, confidence=0.99,
        lattice_lower_angstrom=3.16, lattice_upper_angstrom=3.16, stacking="R", grains_lower=1, grains_upper=1,
        cell_vectors_angstrom=VECTORS, lower_vectors_angstrom=VECTORS, upper_vectors_angstrom=VECTORS,
    )  # fmt: skip


VECTORS: Final = [3.16, 0.0, 1.58, 2.74]


def _final_frame(name: str) -> Frame:
    header = FrameHeader(
        candidate_id=name, attempt=1, step=STEPS, time_ps=80.0, cell=[[10, 0, 0], [0, 10, 0], [0, 0, 20]],
        periodic=[True, True, False], shape=[ATOMS, 3], lattice_types=[1, 2], final=True, planned_steps=STEPS,
    )  # fmt: skip
    return Frame(header, np.zeros((ATOMS, 3), np.float32), np.ones(ATOMS, np.uint8))


def make(root: Path, results: int, points: int = POINTS) -> CampaignFolder:
    """Make the folder of a stopped campaign with this many results below `root`."""
    file = root / "long.toml"
    sections: dict[str, Section] = {"growth": {"model": "bead"}, "workers": {"count": 1}}
    file.write_text(campaign_text("long", sections, results=results + 5), encoding="utf-8")
    read = read_campaign(file)
    folder = CampaignFolder(read.campaign.folder)
    folder.create()
    keep_copy(read, folder)
    continued(folder, 0, results, points)
    return folder


def continued(folder: CampaignFolder, first: int, results: int, points: int = POINTS) -> None:
    """Continue such a campaign for `count` results, numbered from `first`."""
    with _state(load_copy(folder).model_copy(update={"folder": folder.root}), folder) as (client, keys):
        filler = Filler(client, keys, points, seed=first)
        for number in range(first, first + results):
            filler.result(number, BEGAN_S + number)


BEGAN_S: Final = 1.7e9


@contextlib.contextmanager
def _state(campaign: Campaign, folder: CampaignFolder) -> Iterator[tuple[redis.Redis, Keys]]:
    """The state of a campaign that has started, and is stopped after the block."""
    connection = open_session(campaign, folder)
    identity = read_identity(folder.root)
    server = start_redis(connection)
    if identity is None or server is None:
        raise RuntimeError("expected an identity and a private server")
    write_identity(folder.root, identity.model_copy(update={"has_begun": True}))
    try:
        with contextlib.closing(connection.open_redis()) as client:
            create_queues(client, connection.keys)
            state = CampaignState(client, connection.keys, connection.campaign)
            state.change("started")
            yield client, connection.keys
            state.change("stopped")
    finally:
        server.stop()
        close_session(connection)


def measured(command: str, folder: CampaignFolder) -> tuple[float, float, float]:
    """Seconds, seconds of CPU and the largest memory in MiB of a command about a campaign, its server not counted."""
    begun_s = time.perf_counter()
    called = [sys.executable, "-m", "moireloop", command, str(folder.root)]
    process = subprocess.Popen(called, stdout=subprocess.DEVNULL)
    _, state, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(state)
    if process.returncode != 0:
        raise RuntimeError(f"moireloop {command}: exit code {process.returncode}")
    return time.perf_counter() - begun_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def resumed_s(folder: CampaignFolder) -> float:
    """Seconds until a campaign that was stopped has replayed its log and goes on."""
    campaign = cast("Any", load_copy(folder).model_copy(update={"folder": folder.root}))
    begun_s = time.perf_counter()
    with session(campaign, resumed=True, without=BROKER_ALONE) as (conductor, _):
        elapsed_s = time.perf_counter() - begun_s
        wait_until(lambda: conductor.step() is not None, "a look at the state")
        conductor.finish(Ending(False, "measured"))
    return elapsed_s


def rows(results: int = 100_000, short: int = 5, commands: Sequence[str] = ("results", "figures")) -> list[Row]:
    """Each command on a long campaign, as a kill has left it, and after a session that ended by itself."""
    found = []
    with tempfile.TemporaryDirectory(prefix="moireloop-long-") as root:
        Path(root, "short").mkdir()
        brief, long = make(Path(root, "short"), short), make(Path(root), results)
        for command in commands:
            found += _rows_of(command, brief, long, results, 60.0)
        resumed = resumed_s(long), resumed_s(brief)
        size = sum(path.stat().st_size for path in long.redis.rglob("*") if path.is_file())
        found += _rows_of("status", brief, long, results, 2.0)
    base = f"{short} results: {resumed[1]:.1f} s"
    return [
        *found,
        Row(f"resume, {results} results, until services start", resumed[0], "s", 30.0, "at most", base),
        Row("append-only file", size / results / 1000, "kB a result", 10, "at most"),
    ]


def _rows_of(command: str, brief: CampaignFolder, long: CampaignFolder, results: int, goal_s: float) -> list[Row]:
    least_s, _, least_mib = measured(command, brief)
    took_s, cpu_s, mib = measured(command, long)
    said = f"{cpu_s:.1f} s of CPU; of a few results {least_s:.2f} s and {least_mib:.0f} MiB"
    name = f"{command}, {results} results"
    return [
        Row(name, took_s, "s", goal_s, "at most", said),
        Row(f"{name}, memory", mib, "MiB", 2048, "at most"),
    ]


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
