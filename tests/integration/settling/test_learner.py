"""Whole runs in the log and their series teach an analyzer when to end a run; what was ended early does not."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow.parquet
import pytest
import redis

from moireloop.results.trajectories import trajectories_table
from moireloop_analyzer.service.early_end import decide
from moireloop_analyzer.service.learner import Learner
from moireloop_analyzer.settings import EarlyEndSettings, LearntPolicy
from moireloop_analyzer.settling.sureness import is_kept_whole
from moireloop_broker.connection import Connection
from moireloop_broker.contract.events import (
    Candidate,
    EarlyEndWithheld,
    Measurement,
    Result,
    RunReport,
    StageTimes,
)
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.instructions import Instructions
from moireloop_broker.state.series import Series, SeriesPoint, pack_point
from moireloop_broker.state.work_queue.leases import Lease
from tests.helpers.connections import connection_of
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue
from tests.unit.settling.made_up import TOLERANCE_DEG, series

POLICY = LearntPolicy(level=0.7, tolerance_deg=TOLERANCE_DEG)


_numbers = itertools.count()


@pytest.fixture
def connection(redis_server: RedisServer, tmp_path: Path) -> Connection:
    made = connection_of(f"settling{next(_numbers)}", tmp_path, redis_server.url)
    opened = made.open_redis()
    CampaignState(opened, made.keys, made.campaign).change("started")
    WholeQueue(opened, made.keys).create()
    opened.close()
    return made


@pytest.fixture
def client(connection: Connection) -> Iterator[redis.Redis]:
    opened = connection.open_redis()
    yield opened
    opened.close()


def ended(
    client: redis.Redis, connection: Connection, seed: int, ending: Literal["completed", "settled"] = "completed"
) -> None:
    """Put a run that came to its end into the log, with its series."""
    name, points = f"c{seed:05d}", series(seed)
    key = connection.keys.series(name, 1)
    client.zadd(key, {pack_point(point): point.step for point in points})
    last = points[-1]
    report = RunReport(
        worker="w", started_s=1.0, finished_s=2.0, steps=last.step, planned_steps=last.planned_steps, ended=ending,
        md_s=1.0,
    )  # fmt: skip
    EventLog(client, connection.keys).append(
        Result(
            candidate=Candidate(candidate_id=name, parameters={"t": 1.0}, seed=0, proposed_s=1.0),
            attempt=1, outcome="measured", measurement=Measurement(twist_deg=last.twist_deg), report=report,
            times=StageTimes(proposed_s=1.0),
        )
    )  # fmt: skip


def withheld(name: str) -> EarlyEndWithheld:
    return EarlyEndWithheld(
        candidate_id=name, attempt=1, reason="sure", step=9000, twist_deg=8.2, tolerance_deg=TOLERANCE_DEG,
        probability=0.98, share=0.1, withheld_s=time.time(),
    )  # fmt: skip


def test_whole_runs_are_learnt_from(client: redis.Redis, connection: Connection) -> None:
    """Forty whole runs are enough, those ended early are not counted; another analyzer learns the same from the log."""
    for seed in range(39):
        ended(client, connection, seed)
    for seed in range(100, 110):
        ended(client, connection, seed, "settled")
    first = Learner(connection, POLICY)
    wait_until(lambda: first.read == 39, "the log is read")
    assert first.sureness is None
    EventLog(client, connection.keys).append(withheld("c00039"))
    ended(client, connection, 39)
    wait_until(lambda: first.sureness is not None, "what forty runs teach")
    second = Learner(connection, POLICY)
    wait_until(lambda: second.sureness is not None, "what the same runs teach another analyzer")
    assert first.sureness is not None
    assert second.sureness is not None
    assert (first.sureness.threshold, first.sureness.ends) == (second.sureness.threshold, second.sureness.ends)
    assert first.sureness.basis == 40
    assert first.sureness.ends.runs < 40
    for learner in (first, second):
        learner.close()
    points = series(2003, jumps=0.0)
    decisions = (decide(points[:end], EarlyEndSettings(learnt=POLICY), [], first.sureness) for end in range(2, 40))
    decision = next(found for found in decisions if found is not None)
    assert decision.ending == "settled"
    assert "stays with probability 0." in decision.reason
    assert "by 40 whole runs" in decision.reason


def test_runs_of_an_earlier_campaign_are_learnt_from(
    client: redis.Redis, connection: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A campaign without a whole run has a basis; its own runs add to it. A file that is gone is named in the log."""
    path = tmp_path / "trajectories.parquet"
    table = trajectories_table([Series(f"c{seed:05d}", 1, series(seed)) for seed in range(60)])
    pyarrow.parquet.write_table(table, path)
    with caplog.at_level("INFO"):
        learner = Learner(connection, POLICY.model_copy(update={"earlier": (tmp_path / "gone", path)}))
        wait_until(lambda: learner.sureness is not None, "what sixty earlier runs teach")
    first = learner.sureness
    assert first is not None
    assert first.basis == 60
    assert f"expected a readable file, got {tmp_path / 'gone'}" in caplog.text
    for seed in range(9):
        ended(client, connection, seed)
    wait_until(lambda: learner.sureness is not first, "what nine own runs add")
    learner.close()
    assert learner.sureness is not None
    assert learner.sureness.basis == 69


def test_withheld_end_is_logged_once(client: redis.Redis, connection: Connection) -> None:
    """Several analyzers, and each later frame, find the same; a lost attempt is not spoken of."""
    queue = WholeQueue(client, connection.keys)
    queue.propose(Candidate(candidate_id="c1", parameters={"t": 1.0}, seed=0, proposed_s=time.time()))
    instructions = Instructions(client, connection.keys)
    assert instructions.withhold(withheld("c1")) == "late"
    assert isinstance(queue.take("w", 1.0), Lease)
    assert instructions.withhold(withheld("c1")) == "withheld"
    assert instructions.withhold(withheld("c1")) == "again"
    logged = [e for _, e in EventLog(client, connection.keys).replay() if isinstance(e, EarlyEndWithheld)]
    assert [event.candidate_id for event in logged] == ["c1"]


def test_points_without_a_plan_are_never_sure() -> None:
    """Nor is anything decided before anything was learnt."""
    points = [SeriesPoint(*point[:8], 0, *point[9:]) for point in series(1)[:20]]
    assert decide(points, EarlyEndSettings(learnt=POLICY), []) is None
    assert decide(series(1)[:20], EarlyEndSettings(learnt=POLICY), []) is None
    assert is_kept_whole("c1", 1.0)
