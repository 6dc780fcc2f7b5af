"""The analyzer service on real Redis and real sockets: frames become observations, finished runs become results."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zmq

from moireloop_analyzer.service.analyzer import AnalyzerService
from moireloop_broker.connection import Connection
from moireloop_broker.contract.codec import unpack_published
from moireloop_broker.contract.events import Candidate, Observation, Result, RunReport
from moireloop_broker.contract.frames import Frame, FrameHeader, frame_parts
from moireloop_broker.state.campaign_state import CampaignState, frame_endpoints
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.series import SeriesPoint
from moireloop_broker.state.settings_store import write_settings
from moireloop_broker.state.work_queue.leases import Lease
from moireloop_broker.streams.frames import FramePublisher
from tests.helpers.hostile import CONTRADICTING_PARTS
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue

LATTICE_ANGSTROM = 3.16
CELLS = 14


def bilayer(twist_deg: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8], list[list[float]]]:
    """Two flakes of a triangular lattice, the upper one turned, in the middle of a wide cell."""
    i, j = np.mgrid[:CELLS, :CELLS]
    lower = LATTICE_ANGSTROM * np.stack([i + j / 2, j * np.sqrt(3) / 2], axis=-1).reshape(-1, 2)
    lower -= lower.mean(axis=0)
    angle = np.radians(twist_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    side = 120.0
    layers = [np.column_stack([xy + side / 2, np.full(len(xy), z)]) for xy, z in ((lower, 5.0), (lower @ turn, 11.5))]
    types = np.repeat(np.array([1, 2], dtype=np.uint8), len(lower))
    return np.concatenate(layers).astype(np.float32), types, (side * np.eye(3)).tolist()


def frame(
    candidate_id: str,
    positions: npt.NDArray[np.float32],
    types: npt.NDArray[np.uint8],
    step: int = 10,
    *,
    final: bool = False,
    planned_steps: int = 0,
) -> Frame:
    header = FrameHeader(
        candidate_id=candidate_id,
        attempt=1,
        step=step,
        time_ps=0.04,
        cell=bilayer(0)[2],
        periodic=[True, True, False],
        shape=list(positions.shape),
        lattice_types=[1, 2],
        temperature_k=1.5,
        final=final,
        planned_steps=planned_steps,
    )
    return Frame(header, positions, types)


def finished(connection: Connection, candidate_id: str, final: Frame) -> None:
    """Bring a candidate to the end of its run."""
    client = connection.open_redis()
    queue = WholeQueue(client, connection.keys)
    queue.propose(Candidate(candidate_id=candidate_id, parameters={"t": 1.0}, seed=0, proposed_s=time.time()))
    lease = queue.take("w", 1.0)
    assert isinstance(lease, Lease)
    queue.finish(lease, RunReport(worker="w", started_s=1.0, finished_s=2.0, steps=10, md_s=1.0), final)
    client.close()


def results(connection: Connection) -> list[Result]:
    client = connection.open_redis()
    found = [event for _, event in EventLog(client, connection.keys).replay() if isinstance(event, Result)]
    client.close()
    return found


def stepped_until(service: AnalyzerService, count: int, connection: Connection, patience_s: float = 60) -> list[Result]:
    def done() -> bool:
        service.step()
        return len(results(connection)) >= count

    wait_until(done, f"{count} results", patience_s)
    return results(connection)


def test_final_frame_becomes_a_measured_result(connection: Connection) -> None:
    """The twist of the final frame is the result's, with its order and the times of its stages."""
    positions, types, _ = bilayer(8.2)
    finished(connection, "c1", frame("c1", positions, types))
    service = AnalyzerService(connection, "a0")
    (result,) = stepped_until(service, 1, connection)
    service.close()
    assert result.outcome == "measured"
    assert result.twist_deg == pytest.approx(8.2, abs=1e-3)
    assert result.measurement is not None
    assert result.measurement.order_upper == pytest.approx(1, abs=1e-3)
    assert result.times.analysed_s is not None


HOPELESS = {
    "no atoms": (np.empty((0, 3), np.float32), np.empty(0, np.uint8)),
    "positions that are no numbers": (np.full((50, 3), np.nan, np.float32), np.ones(50, np.uint8)),
    "infinite positions": (np.full((50, 3), np.inf, np.float32), np.ones(50, np.uint8)),
    "all atoms in one place": (np.zeros((300, 3), np.float32), np.ones(300, np.uint8)),
    "atoms far outside the cell": (np.full((50, 3), 1e30, np.float32), np.ones(50, np.uint8)),
    "a single layer": (bilayer(0)[0][: CELLS**2], np.ones(CELLS**2, np.uint8)),
    "types that do not count": (bilayer(5)[0], np.full(2 * CELLS**2, 9, np.uint8)),
}


def test_hopeless_final_frames_are_refused_with_a_reason_each(connection: Connection) -> None:
    """Whatever stands in a final frame, its candidate comes to one refused result, and the analyzer goes on."""
    for number, (positions, types) in enumerate(HOPELESS.values()):
        finished(connection, f"c{number}", frame(f"c{number}", positions, types))
    service = AnalyzerService(connection, "a0")
    found = stepped_until(service, len(HOPELESS), connection)
    service.close()
    assert [result.outcome for result in found] == ["refused"] * len(HOPELESS)
    assert all(result.reason for result in found)
    assert len({result.candidate.candidate_id for result in found}) == len(HOPELESS)


def test_frame_becomes_an_observation(connection: Connection) -> None:
    """A frame of a run that goes on is published as an observation with its step, temperature and twist."""
    service = AnalyzerService(connection, "a0")
    client = connection.open_redis()
    publisher: FramePublisher = connection.open_frame_publisher()
    positions, types, _ = bilayer(21.8)
    publisher.publish(frame("c1", positions, types, step=500))

    def observed() -> list[Observation]:
        publisher.idle()
        service.step()
        rows = EventLog(client, connection.keys).read_streams({connection.keys.observations: "0-0"}, 10, 0)
        messages = [unpack_published(body) for entries in rows.values() for _, body in entries]
        return [message for message in messages if isinstance(message, Observation)]

    (observation,) = wait_until(observed, "an observation", 20)
    service.close()
    publisher.close()
    client.close()
    assert (observation.candidate_id, observation.step, observation.temperature_k) == ("c1", 500, 1.5)
    assert observation.measurement.twist_deg == pytest.approx(21.8, abs=1e-3)


def test_analyzer_that_was_forgotten_announces_itself_again(connection: Connection) -> None:
    """As after a partition, in which the broker took it for gone."""
    service = AnalyzerService(connection, "a0")
    client, endpoints = connection.open_redis(), connection.keys.endpoints
    before = client.hgetall(endpoints)
    client.hdel(endpoints, "a0")

    def is_announced() -> bool:
        service.step()
        return client.hgetall(endpoints) == before

    wait_until(is_announced, "it is announced again", 20)
    service.close()
    assert client.hgetall(endpoints) == {}
    client.close()


def part_of(whole: Frame, number: int, parts: int, **changes: object) -> Frame:
    """Every so manieth atom of a frame, as one part of it."""
    positions, types = np.ascontiguousarray(whole.positions[number::parts]), whole.types[number::parts].copy()
    part = {"part": number, "parts": parts, "shape": list(positions.shape), **changes}
    return Frame(whole.header.model_copy(update=part), positions, types)


def test_parts_become_one_observation(connection: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """A frame in three parts is measured whole; what is incomplete or contradicts itself is counted, and no more.

    When it ends, the analyzer logs how many frames it had.
    """
    caplog.set_level("INFO")
    client = connection.open_redis()
    service = AnalyzerService(connection, "a0")
    (endpoint,) = frame_endpoints(client, connection.keys)
    senders = [connection.open_part_sender(chooses=number == 0) for number in range(3)]
    for sender in senders:
        sender.follow(frozenset({endpoint}))
    positions, types, _ = bilayer(21.8)
    lost, good = (frame("c1", positions, types, step=step) for step in (490, 500))
    wait_until(lambda: senders[0].choose(frame_parts(part_of(lost, 0, 3))), "room at the analyzer")
    senders[0].send(frame_parts(part_of(lost, 1, 3, time_ps=9.0)), endpoint)
    for sender, number in ((senders[0], 2), (senders[1], 0), (senders[2], 1)):
        sender.send(frame_parts(part_of(good, number, 3)), endpoint)

    def counted() -> dict[str, int]:
        senders[0].flush(0)
        service.step()
        counters = CampaignState(client, connection.keys, connection.campaign).status().counters
        return counters if "frames_received" in counters else {}

    counters = wait_until(counted, "what became of the parts", 20)
    rows = EventLog(client, connection.keys).read_streams({connection.keys.observations: "0-0"}, 10, 0)
    (observation,) = [unpack_published(body) for entries in rows.values() for _, body in entries]
    service.close()
    for sender in senders:
        sender.close()
    client.close()
    assert isinstance(observation, Observation)
    assert observation.step == 500
    assert observation.measurement.twist_deg == pytest.approx(21.8, abs=1e-3)
    assert "frames received number=1" in caplog.messages
    assert counters["frames_received"] == 1
    assert counters["frames_malformed"] == 1
    assert counters["frames_incomplete"] == 1


def test_contradicting_parts_stop_no_analyzer(connection: Connection) -> None:
    """Parts that are good by themselves and not together are refused, counted, and the next frame is measured."""
    client = connection.open_redis()
    service = AnalyzerService(connection, "a0")
    (endpoint,) = frame_endpoints(client, connection.keys)
    hostile: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
    hostile.connect(endpoint)
    positions, types, _ = bilayer(21.8)
    messages: list[Any] = [message for pair in CONTRADICTING_PARTS.values() for message in pair]
    for message in [*messages, frame_parts(frame("c9", positions, types))]:
        hostile.send_multipart(message)

    def counted() -> dict[str, int]:
        service.step()
        counters = CampaignState(client, connection.keys, connection.campaign).status().counters
        return counters if "frames_received" in counters else {}

    counters = wait_until(counted, "the good frame is counted", 20)
    hostile.close(linger=0)
    service.close()
    client.close()
    assert counters["frames_received"] == 1
    assert counters["frames_malformed"] == len(CONTRADICTING_PARTS)


def test_final_frame_ends_the_series(connection: Connection) -> None:
    """The series of a run holds its frames, and its final frame as the last point, marked so."""
    client = connection.open_redis()
    service = AnalyzerService(connection, "a0")
    publisher: FramePublisher = connection.open_frame_publisher()
    positions, types, _ = bilayer(8.2)
    finished(connection, "c1", frame("c1", positions, types, step=1000, final=True))
    publisher.publish(frame("c1", positions, types, step=500))
    observations = Observations(client, connection.keys)

    def points() -> list[SeriesPoint]:
        publisher.idle()
        service.step()
        return [point for series in observations.all_series() for point in series.points]

    wait_until(lambda: len(points()) == 2, "two points", 20)
    found = points()
    service.close()
    publisher.close()
    client.close()
    assert [(point.step, point.final) for point in found] == [(500, False), (1000, True)]
    assert [point.twist_deg for point in found] == pytest.approx([8.2, 8.2], abs=1e-3)


def test_frames_and_finished_runs_are_handled_side_by_side(connection: Connection) -> None:
    """Many of both wait: every frame gets its point and every run one result, by an analyzer that closes early."""
    client = connection.open_redis()
    queue = WholeQueue(client, connection.keys)
    positions, types, _ = bilayer(8.2)
    for number in range(20):
        finished(connection, f"c{number}", frame(f"c{number}", positions, types, step=1000, final=True))
    queue.propose(Candidate(candidate_id="running", parameters={"t": 1.0}, seed=0, proposed_s=time.time()))
    assert isinstance(queue.take("w", 1.0), Lease)
    service = AnalyzerService(connection, "a0")
    publisher: FramePublisher = connection.open_frame_publisher()
    for step in range(1, 61):
        publisher.publish(frame("running", positions, types, step=step))
    observations = Observations(client, connection.keys)

    def are_all_seen() -> bool:
        publisher.idle()
        service.step()
        return len(observations.newest("running", 1, 100)) == 60

    wait_until(are_all_seen, "all frames are observed", 60)
    service.close()
    successor = AnalyzerService(connection, "a0")
    found = stepped_until(successor, 20, connection)
    successor.close()
    publisher.close()
    client.close()
    assert sorted(result.candidate.candidate_id for result in found) == sorted(f"c{number}" for number in range(20))


def test_settled_run_has_the_twist_of_its_window(connection: Connection) -> None:
    """Three frames of 8.2 degrees end it; the last frame shows 9 by chance: the result has 8.2, the series both."""
    client = connection.open_redis()
    settled = {"frames": 3, "after_fraction": 0.0}
    write_settings(client, connection.keys, {"early_end": {"settled": settled}})
    queue = WholeQueue(client, connection.keys)
    queue.propose(Candidate(candidate_id="c1", parameters={"t": 1.0}, seed=0, proposed_s=time.time()))
    lease = queue.take("w", 1.0)
    assert isinstance(lease, Lease)
    service = AnalyzerService(connection, "a0")
    publisher: FramePublisher = connection.open_frame_publisher()
    for step in (10, 20, 30):
        publisher.publish(frame("c1", *bilayer(8.2)[:2], step=step, planned_steps=100))

    def is_ordered() -> bool:
        publisher.idle()
        service.step()
        return queue.renew(lease, 30) == "settled"

    wait_until(is_ordered, "the order to end the run", 20)
    report = RunReport(
        worker="w", started_s=1.0, finished_s=2.0, steps=40, planned_steps=100, ended="settled", md_s=1.0
    )
    queue.finish(lease, report, frame("c1", *bilayer(9.0)[:2], step=40, final=True, planned_steps=100))
    (result,) = stepped_until(service, 1, connection)
    points = Observations(client, connection.keys).newest("c1", 1, 10)
    service.close()
    publisher.close()
    client.close()
    assert result.twist_deg == pytest.approx(8.2, abs=1e-3)
    assert [point.twist_deg for point in points] == pytest.approx([8.2, 8.2, 8.2, 9.0], abs=1e-3)


def test_analyzers_share_the_finished_runs(connection: Connection) -> None:
    """Two analyzers side by side settle each run once."""
    positions, types, _ = bilayer(5.0)
    for number in range(6):
        finished(connection, f"c{number}", frame(f"c{number}", positions, types))
    services = [AnalyzerService(connection, name) for name in ("a0", "a1")]
    for _ in range(3):
        for service in services:
            service.step()
    found = results(connection)
    for service in services:
        service.close()
    assert sorted(result.candidate.candidate_id for result in found) == [f"c{number}" for number in range(6)]
