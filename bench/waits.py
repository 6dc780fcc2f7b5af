"""How long a worker waits for its next candidate while the optimizer fits at 200 results and more."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import redis

from bench.campaigns import BROKER_ALONE, campaign_of, session, wait_until
from bench.table import Row
from moireloop_broker.contract.events import Candidate, Measurement, Result, RunReport
from moireloop_broker.contract.frames import Frame, FrameHeader
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.work_queue.leases import Leases
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_optimizer.sobol import sobol_points
from tests.helpers.campaign_files import BEAD, Section

EARLIER_RUN_S = 2.0
WORKERS = 2
BOUNDS = {"temperature_k": (1500.0, 4500.0), "lattice_strain": (0.0, 0.05), "shear_strain": (0.06, 0.30)}


def landscape_deg(unit: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """A rough landscape of twists in [0, 30] degrees over the unit cube, for results that stand for earlier runs."""
    return float(15 + 9 * np.sin(5 * unit[0] + 3 * unit[1]) + 6 * np.sin(17 * unit[2]) * np.cos(4 * unit[1]))


def earlier_results(client: redis.Redis, keys: Keys, count: int) -> None:
    """Results of runs that ended before, through the same calls that workers and analyzers make."""
    proposer, leases = Proposer(client, keys), Leases(client, keys)
    finished = AnalysisQueue(client, keys, "earlier")
    for number, unit in enumerate(sobol_points(count, len(BOUNDS), seed=3)):
        parameters = {
            n: low + float(u) * (high - low) for u, (n, (low, high)) in zip(unit, BOUNDS.items(), strict=True)
        }
        name = f"earlier{number}"
        proposer.propose(Candidate(candidate_id=name, parameters=parameters, seed=number, proposed_s=time.time()))
        lease = leases.take("earlier", 1.0)
        if lease is None:
            raise TimeoutError("expected the candidate that was just proposed")
        ended_s = lease.leased_s + EARLIER_RUN_S
        report = RunReport(
            worker="earlier", started_s=lease.leased_s, finished_s=ended_s, steps=20_000, md_s=EARLIER_RUN_S
        )
        leases.finish(lease, report, _final_frame(name))
        run = finished.take(1.0)
        if run is None:
            raise TimeoutError("expected the run that has just finished")
        finished.settle(run, Measurement(twist_deg=landscape_deg(unit)))


def _final_frame(name: str) -> Frame:
    header = FrameHeader(
        candidate_id=name,
        attempt=1,
        step=20_000,
        time_ps=80.0,
        cell=np.eye(3).tolist(),
        periodic=[True, True, False],
        shape=[0, 3],
        lattice_types=[1],
        final=True,
    )
    return Frame(header, np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=np.uint8))


def waits_s(results: list[Result]) -> list[float]:
    """Seconds between the end of a run and the next lease of the same worker."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        if result.report is not None and result.report.worker != "earlier" and result.times.leased_s is not None:
            spans.setdefault(result.report.worker, []).append((result.times.leased_s, result.report.finished_s))
    return [later[0] - earlier[1] for runs in spans.values() for earlier, later in pairwise(sorted(runs))]


def rows(earlier: int = 200, more: int = 40, growth: Section = BEAD) -> list[Row]:
    """The longest wait of a worker between two runs, after a number of earlier results."""
    with campaign_of(growth, workers=WORKERS, results=earlier + more) as campaign:
        with session(campaign, without=BROKER_ALONE) as (_, connection):
            client = connection.open_redis()
            earlier_results(client, connection.keys, earlier)
            client.close()
        with session(campaign, resumed=True) as (conductor, connection):
            client = connection.open_redis()
            log = EventLog(client, connection.keys)
            wait_until(
                lambda: conductor.step() is not None and len(conductor.history.results) >= earlier + more, "the runs"
            )
            results = [event for _, event in log.replay() if isinstance(event, Result)]
            client.close()
    found = sorted(waits_s(results))
    baseline = (
        f"median {1000 * found[len(found) // 2]:.1f} ms over {len(found)} leases; auto, {earlier} results and more"
    )
    return [Row("longest wait of a worker while the optimizer fits", 1000 * found[-1], "ms", 50, "at most", baseline)]
