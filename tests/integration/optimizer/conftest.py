"""A real Redis server, and a pair of hands that evaluates candidates through the real queue as a worker would."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moireloop_broker.connection import write_connection
from moireloop_broker.contract.events import Candidate, Event, Measurement, Result, RunReport
from moireloop_broker.contract.frames import Frame, FrameHeader
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.settings_store import write_settings
from moireloop_optimizer.service.fitter import Fitter
from tests.helpers.connections import connection_of
from tests.helpers.whole_queue import WholeQueue

_numbers = itertools.count()

RUN_S = 2.0

SECTIONS: dict[str, Any] = {
    "space": {"temperature_k": [1500, 3000], "lattice_strain": [0.0, 0.05]},
    "targets": [{"twist_deg": 8.0}],
    "optimizer": {"strategy": "thompson", "initial": 4, "seed": 3, "replicates": 0},
    "budget": {"results": 12},
    "workers": {"count": 2, "ranks": 1},
}


def twist_deg(parameters: dict[str, float]) -> float | None:
    """Twist of an analytic landscape; None (refused) in its hot corner."""
    if parameters["temperature_k"] > 2900:
        return None
    return 15.0 + 15.0 * math.sin(parameters["temperature_k"] / 300.0 + 60.0 * parameters["lattice_strain"])


class CampaignInRedis:
    """A campaign with settings, queue and log in Redis, and a connection file, but without any service."""

    def __init__(self, url: str, folder: Path, **sections: dict[str, Any]) -> None:
        self.connection = connection_of(f"optimizer{next(_numbers)}", folder, url)
        self.file = folder / "connection.json"
        write_connection(self.connection, self.file)
        self.client = self.connection.open_redis()
        keys = self.connection.keys
        merged = {
            name: {**value, **sections.get(name, {})} if isinstance(value, dict) else value
            for name, value in SECTIONS.items()
        }
        write_settings(self.client, keys, merged)
        self.queue = WholeQueue(self.client, keys)
        self.queue.create()
        self.log = EventLog(self.client, keys)
        self.state = CampaignState(self.client, keys, self.connection.campaign)
        self.state.change("started")
        self._analysis = AnalysisQueue(self.client, keys, "a0")

    def evaluate(self) -> bool:
        """Take one candidate from the queue to its result, as a run of two seconds; False when none was queued."""
        lease = self.queue.take("w0", 0.0)
        if lease is None:
            return False
        now_s = time.time()
        report = RunReport(worker="w0", started_s=now_s, finished_s=now_s + RUN_S, steps=1, md_s=RUN_S)
        self.queue.finish(lease, report, _frame(lease.candidate, lease.attempt))
        run = self._analysis.take(5.0)
        assert run is not None
        twist = twist_deg(run.candidate.parameters)
        measurement = Measurement(reason="molten") if twist is None else Measurement(twist_deg=twist)
        assert self._analysis.settle(run, measurement)
        return True

    def events(self) -> list[Event]:
        return [event for _, event in self.log.read("0-0", 1000)]

    def candidates(self) -> list[Candidate]:
        """All candidates in the order in which they were queued."""
        return [event.candidate for event in self.events() if event.tag == "candidate_queued/1" and event.attempt == 1]

    def results(self) -> list[Result]:
        return [event for event in self.events() if isinstance(event, Result)]

    def waiting(self) -> int:
        return self.queue.counts()["queued"]


def _frame(candidate: Candidate, attempt: int) -> Frame:
    header = FrameHeader(
        candidate_id=candidate.candidate_id,
        attempt=attempt,
        step=1,
        time_ps=0.0,
        cell=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        periodic=[True, True, False],
        shape=[1, 3],
        lattice_types=[1],
        final=True,
    )
    return Frame(header, np.zeros((1, 3), dtype=np.float32), np.ones(1, dtype=np.uint8))


@pytest.fixture
def new_campaign(redis_server: RedisServer, tmp_path: Path) -> Iterator[Callable[..., CampaignInRedis]]:
    """Makes campaigns; sections given by name are merged into SECTIONS."""
    made: list[CampaignInRedis] = []

    def make(**sections: dict[str, Any]) -> CampaignInRedis:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(CampaignInRedis(redis_server.url, folder, **sections))
        return made[-1]

    yield make
    for campaign in made:
        campaign.client.close()


@pytest.fixture(scope="session")
def fitter() -> Iterator[Fitter]:
    """One fit process for all tests that leave it alive: torch takes seconds to load."""
    process = Fitter(threads=1)
    yield process
    process.close()
