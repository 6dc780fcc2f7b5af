"""The series of a run is kept whole, by step, and apart from other attempts' series."""

from __future__ import annotations

import random
import time

import pytest
import redis

from moireloop_broker.contract.events import Candidate, Measurement, Observation
from moireloop_broker.state.analysis_queue import AnalysisQueue
from moireloop_broker.state.keys import Keys
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.scripts import analysis
from tests.helpers.whole_queue import WholeQueue
from tests.integration.broker.test_work_queue import TWIST, candidate, final_frame, leased, report


def observation(step: int, twist_deg: float | None = 8.2, attempt: int = 1, candidate_id: str = "c1") -> Observation:
    measurement = Measurement(twist_deg=twist_deg, reason=None if twist_deg is not None else "molten")
    return Observation(
        candidate_id=candidate_id, attempt=attempt, step=step, time_ps=step * 0.004, temperature_k=1500.0,
        planned_steps=20_000, measurement=measurement,
    )  # fmt: skip


@pytest.fixture
def begun(queue: WholeQueue) -> WholeQueue:
    """A candidate in its first attempt."""
    queue.propose(Candidate(candidate_id="c1", parameters={"t": 1.0}, seed=0, proposed_s=time.time()))
    assert queue.take("w0", 1.0) is not None
    return queue


def test_points_are_sorted_by_step(client: redis.Redis, keys: Keys, begun: WholeQueue) -> None:
    """Frames that come late, or twice from two analyzers, find their place, each step once, and are published once."""
    observations = Observations(client, keys)
    for step in (500, 1500, 1000, 2000, 1500):
        observations.add(observation(step, twist_deg=step / 100))
    (series,) = observations.all_series()
    assert [(point.step, point.twist_deg) for point in series.points] == [
        (500, 5.0),
        (1000, 10.0),
        (1500, 15.0),
        (2000, 20.0),
    ]
    assert series.points[0].fraction == 0.025
    assert client.xlen(keys.observations) == 4


@pytest.mark.parametrize("seed", range(5))
def test_any_order_with_duplicates_makes_one_series(
    client: redis.Redis, keys: Keys, begun: WholeQueue, seed: int
) -> None:
    """Two analyzers, the frames in any order and some twice: the same points, each published once, and the first
    measurement of a step stands."""
    rng = random.Random(seed)
    writers = [Observations(client, keys), Observations(client, keys)]
    steps = [500 * number for number in range(1, 13)]
    arriving = steps + rng.sample(steps, 6)
    rng.shuffle(arriving)
    for step in arriving:
        rng.choice(writers).add(observation(step, twist_deg=step / 1000))
    assert writers[0].add(observation(500, twist_deg=29.0), window=3) == writers[1].newest("c1", 1, 3)
    (series,) = writers[0].all_series()
    assert [(point.step, point.twist_deg) for point in series.points] == [(step, step / 1000) for step in steps]
    assert client.xlen(keys.observations) == len(steps)


def test_several_at_once_are_added_as_one_after_another(client: redis.Redis, keys: Keys, begun: WholeQueue) -> None:
    """Each gets the window as it was right after it, also of the same run; a step that comes twice is kept once."""
    observations = Observations(client, keys)
    client.script_flush()
    several = [
        observation(500), observation(1000), observation(1000, 9.0), observation(100, candidate_id="c9"),
        observation(700),
    ]  # fmt: skip
    found = observations.add_several(several, window=2)
    assert [[point.step for point in points] for points in found] == [[500], [500, 1000], [500, 1000], [], [700, 1000]]
    assert [point.twist_deg for point in observations.newest("c1", 1, 9)] == [8.2, 8.2, 8.2]
    assert client.xlen(keys.observations) == 4
    assert observations.add_several([], window=2) == []


def test_candidate_and_short_series_take_little_memory(client: redis.Redis, keys: Keys, begun: WholeQueue) -> None:
    """The campaign's own server keeps them without a pointer for each value."""
    Observations(client, keys).add_several([observation(step) for step in (500, 1000, 1500, 2000, 2500)])
    kept = {client.object("encoding", key) for key in (keys.series("c1", 1), keys.candidate("c1"))}
    assert kept <= {b"listpack", b"ziplist"}


def test_window_is_returned_with_the_append(client: redis.Redis, keys: Keys, begun: WholeQueue) -> None:
    """Whoever adds a point gets the newest points of all analyzers, oldest first; none without asking."""
    first, second = Observations(client, keys), Observations(client, keys)
    first.add(observation(500))
    second.add(observation(1000, twist_deg=None))
    assert [point.step for point in first.add(observation(1500), window=2)] == [1000, 1500]
    assert [point.step for point in second.add(observation(700), window=10)] == [500, 700, 1000, 1500]
    assert second.add(observation(2000)) == []


def test_attempts_do_not_mix(client: redis.Redis, keys: Keys, begun: WholeQueue) -> None:
    """A late frame of the first attempt stays in the series of the first attempt."""
    observations = Observations(client, keys)
    observations.add(observation(500))
    begun.release_worker("w0", "gone", charged=False)
    assert [p.step for p in observations.add(observation(1000, attempt=2), window=10)] == [1000]
    assert [p.step for p in observations.add(observation(600, attempt=1), window=10)] == [500, 600]
    assert [(series.attempt, len(series.points)) for series in observations.all_series()] == [(1, 2), (2, 1)]


def test_frames_of_unknown_runs_leave_no_key(client: redis.Redis, keys: Keys, begun: WholeQueue) -> None:
    """A frame of an unknown candidate, or of an attempt to come, is published and kept nowhere."""
    observations = Observations(client, keys)
    observations.add(observation(500, candidate_id="c9"))
    observations.add(observation(500, attempt=2))
    assert list(observations.all_series()) == []
    assert client.xlen(keys.observations) == 2


def test_series_is_bounded(client: redis.Redis, keys: Keys, begun: WholeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a very long run the last frames are kept."""
    monkeypatch.setattr(analysis, "POINTS_KEPT", 3)
    observations = Observations(client, keys)
    for number in range(1, 8):
        observations.add(observation(100 * number))
    (series,) = observations.all_series()
    assert [point.step for point in series.points] == [500, 600, 700]


def test_late_frame_leaves_the_last_point_alone(client: redis.Redis, keys: Keys, queue: WholeQueue) -> None:
    """The step at which a run ended early was a frame, too: read late, it does not take the final's place."""
    queue.propose(candidate())
    lease = leased(queue)
    last = final_frame("c1", 1)
    queue.finish(lease, report("w0", "settled"), last)
    finished = AnalysisQueue(client, keys, "a0")
    run = finished.take(1.0)
    assert run is not None
    assert finished.settle(run, TWIST)
    observations = Observations(client, keys)
    observations.add(observation(last.header.step, twist_deg=3.0))
    observations.add(observation(last.header.step + 1, twist_deg=4.0))
    (series,) = observations.all_series()
    assert [(p.step - last.header.step, p.twist_deg, p.final) for p in series.points] == [
        (0, 8.2, True),
        (1, 4.0, False),
    ]
