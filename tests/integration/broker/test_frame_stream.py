"""The frame stream: nothing blocks the sender, the oldest frames go first, and each is counted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from moireloop_broker.contract.frames import Frame, FrameHeader, frame_parts
from moireloop_broker.streams.curve import Curve
from moireloop_broker.streams.frames import FramePublisher, FrameReceiver
from moireloop_broker.streams.parts import PartSender
from moireloop_broker.streams.routes import both_ways, route
from tests.helpers.hostile import FRAMES
from tests.helpers.waiting import wait_until


def frame(step: int, atoms: int = 1000) -> Frame:
    header = FrameHeader(
        candidate_id="c1",
        attempt=1,
        step=step,
        time_ps=step * 0.004,
        cell=[[10.0, 0.0, 0.0], [5.0, 9.0, 0.0], [0.0, 0.0, 12.0]],
        periodic=[True, True, False],
        shape=[atoms, 3],
        lattice_types=[1, 2],
    )
    positions = np.full((atoms, 3), step, dtype=np.float32)
    return Frame(header, positions, np.ones(atoms, dtype=np.uint8))


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    opened: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield opened
    opened.destroy(linger=0)


def received(receiver: FrameReceiver, count: int, patience_s: float = 10) -> list[Frame]:
    frames: list[Frame] = []
    deadline = time.monotonic() + patience_s
    while len(frames) < count and time.monotonic() < deadline:
        if (one := receiver.receive(0.05)) is not None:
            frames.append(one)
    return frames


def test_frame_arrives_as_it_was_sent(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """Header and arrays come out as they went in, in order."""
    receiver = FrameReceiver(f"ipc://{tmp_path}/f", context=context)
    publisher = FramePublisher(lambda: frozenset({receiver.endpoint}), context=context)
    for step in range(5):
        publisher.publish(frame(step))
        publisher.idle()
    frames: list[Frame] = []
    while len(frames) < 5:
        publisher.idle()
        frames += received(receiver, 1, patience_s=0.1)
    assert [f.header for f in frames] == [frame(step).header for step in range(5)]
    np.testing.assert_array_equal(frames[3].positions, frame(3).positions)
    publisher.close()
    receiver.close()


def median_publishing_s(publisher: FramePublisher, count: int) -> float:
    """Publish frames; return what the middle one took, which other work on the machine does not change."""
    took_s = []
    for step in range(count):
        begun_s = time.monotonic()
        publisher.publish(frame(step))
        took_s.append(time.monotonic() - begun_s)
    return statistics.median(took_s)


def test_publisher_without_analyzers_keeps_the_newest(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """With nobody to receive, publishing never waits; the oldest frames are dropped, counted, and the newest arrive."""
    endpoint = f"ipc://{tmp_path}/f"
    publisher = FramePublisher(lambda: frozenset({endpoint}), kept_bytes=10 * 12_000, context=context)
    assert median_publishing_s(publisher, 100) < 0.01
    assert publisher.dropped == 90
    receiver = FrameReceiver(endpoint, context=context)
    frames: list[Frame] = []
    deadline = time.monotonic() + 20
    while len(frames) < 10 and time.monotonic() < deadline:
        publisher.idle()
        frames += received(receiver, 10, patience_s=0.1)
    assert [f.header.step for f in frames] == list(range(90, 100))
    assert (publisher.sent, publisher.dropped) == (10, 90)
    publisher.close()
    receiver.close()


def test_stuck_analyzer_does_not_stop_the_md(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """An analyzer that takes nothing off its socket costs frames, counted, and never time."""
    receiver = FrameReceiver(f"ipc://{tmp_path}/f", context=context)
    publisher = FramePublisher(lambda: frozenset({receiver.endpoint}), kept_bytes=120_000, context=context)
    assert median_publishing_s(publisher, 500) < 0.01
    assert publisher.dropped > 0
    assert publisher.waiting <= 10
    assert publisher.dropped + publisher.sent + publisher.waiting == 500
    publisher.close()
    receiver.close()


def test_frames_of_a_run_count_for_no_other(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """Nobody was ever connected to: at its end the frames of a run are dropped and counted; the next has its own."""
    publisher = FramePublisher(lambda: frozenset({f"ipc://{tmp_path}/f"}), context=context)
    for number in range(3):
        publisher.publish(frame(number))
    publisher.settle(0.05)
    assert (publisher.sent, publisher.dropped, publisher.waiting) == (0, 3, 0)
    receiver = FrameReceiver(f"ipc://{tmp_path}/f", context=context)
    publisher.publish(frame(10))
    publisher.settle(20.0)
    assert (publisher.sent, publisher.dropped) == (1, 3)
    assert [f.header.step for f in received(receiver, 1)] == [10]
    publisher.close()
    receiver.close()


def test_frames_that_wait_for_a_slow_analyzer_count_for_their_own_run(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    """They count as sent when the run is over; those that go after all are distinguished, not counted for the next."""
    receiver = FrameReceiver(f"ipc://{tmp_path}/f", context=context)
    publisher = FramePublisher(lambda: frozenset({receiver.endpoint}), kept_bytes=120_000, context=context)
    publisher.publish(frame(0))
    wait_until(lambda: publisher.flush(0.1), "the analyzer is connected to")
    published, stuck = 1, 0
    while stuck < 100:  # the sockets between publisher and receiver are full, and stay so
        before = publisher.sent
        publisher.publish(frame(published))
        published += 1
        stuck = 0 if publisher.sent > before else stuck + 1
        time.sleep(0.002)
    waited = publisher.waiting
    publisher.settle(0.0)
    assert waited > 0
    assert publisher.sent + publisher.dropped == published
    before = publisher.sent + publisher.dropped
    for number in range(500):
        publisher.publish(frame(number))
    publisher.settle(0.0)
    assert publisher.sent + publisher.dropped - before == 500
    assert publisher.dropped_late == waited
    publisher.close()
    receiver.close()


def test_few_large_frames_wait_at_an_analyzer(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """Once it knows their size, an analyzer's socket holds about 128 MiB of large frames, not 128 of them."""
    receiver = FrameReceiver(f"ipc://{tmp_path}/f", context=context)
    publisher = FramePublisher(lambda: frozenset({receiver.endpoint}), kept_bytes=1, context=context)
    large = frame(0, atoms=2_000_000)

    def known() -> Frame | None:
        publisher.publish(large)
        return receiver.receive(0.1)

    wait_until(known, "the first frame")
    stuck = 0
    while stuck < 50:
        before = publisher.sent
        publisher.publish(large)
        stuck = 0 if publisher.sent > before else stuck + 1
        time.sleep(0.005)
    publisher.close()
    taken = 0
    while receiver.receive(1.0) is not None:
        taken += 1
    assert 1 <= taken <= 128 * 1024**2 / large.positions.nbytes + 2
    receiver.close()


def test_frames_go_to_the_analyzer_that_is_left(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """When an analyzer is gone from the directory, the other gets the frames; at most those on their way are lost."""
    first, second = (FrameReceiver(f"ipc://{tmp_path}/{name}", context=context) for name in ("a", "b"))
    alive = {first.endpoint, second.endpoint}
    publisher = FramePublisher(lambda: frozenset(alive), context=context)
    alive.remove(first.endpoint)
    first.close()
    publisher.idle()
    frames: list[Frame] = []
    for step in range(20):
        publisher.publish(frame(step))
        frames += received(second, 1, patience_s=0.5)
    frames += received(second, 20 - len(frames), patience_s=2)
    steps = [f.header.step for f in frames]
    assert steps == sorted(set(steps))
    assert steps[-15:] == list(range(5, 20))
    publisher.close()
    second.close()


def test_malformed_frames_are_counted_and_passed_over(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """Garbage on the frame socket costs a count each; the next good frame arrives."""
    receiver = FrameReceiver(f"ipc://{tmp_path}/f", context=context)
    hostile = context.socket(zmq.PUSH)
    hostile.connect(receiver.endpoint)
    for garbage in FRAMES.values():
        hostile.send_multipart(garbage.parts)
    hostile.send_multipart(frame_parts(frame(7)))
    (good,) = received(receiver, 1)
    assert good.header.step == 7
    assert receiver.malformed == len(FRAMES)
    hostile.close(linger=0)
    receiver.close()


def test_frames_over_tcp_need_the_campaigns_key(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """Over TCP a publisher with the campaign's keys is received, one with others is not."""
    curve, stranger = Curve.generate(), Curve.generate()
    receiver = FrameReceiver("tcp://127.0.0.1:*", curve=curve, context=context)
    wrong_keys = stranger.model_copy(update={"server_public": curve.server_public})
    wrong = FramePublisher(lambda: frozenset({receiver.endpoint}), curve=wrong_keys, context=context)
    right = FramePublisher(lambda: frozenset({receiver.endpoint}), curve=curve, context=context)
    wrong.publish(frame(1))
    right.publish(frame(2))
    frames: list[Frame] = []
    deadline = time.monotonic() + 10
    while not frames and time.monotonic() < deadline:
        wrong.idle()
        right.idle()
        frames += received(receiver, 1, patience_s=0.1)
    assert [f.header.step for f in frames] == [2]
    for end in (wrong, right, receiver):
        end.close()


def test_workers_of_this_host_and_of_others_reach_one_analyzer(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    """An analyzer listens on both ways: the local socket without keys for its own host, TCP with keys for others."""
    curve = Curve.generate()
    receiver = FrameReceiver("tcp://127.0.0.1:*", local=f"ipc://{tmp_path}/f", curve=curve, context=context)
    elsewhere = " ".join([*receiver.endpoint.split(" ")[:2], "other-boot/other-host"])
    assert route(receiver.endpoint) == f"ipc://{tmp_path}/f"
    assert route(elsewhere) == receiver.endpoint.split(" ")[0]
    here, there = (
        FramePublisher(lambda known=known: frozenset({known}), curve=curve, context=context)  # type: ignore[misc]
        for known in (receiver.endpoint, elsewhere)
    )
    part = PartSender(chooses=True, curve=curve, context=context)
    part.follow(frozenset({elsewhere}))
    here.publish(frame(1))
    there.publish(frame(2))
    wait_until(lambda: part.choose(frame_parts(frame(3))), "the sender of parts is connected")
    steps: set[int] = set()

    def all_received() -> bool:
        for publisher in (here, there):
            publisher.idle()
        steps.update(one.header.step for one in received(receiver, 3, patience_s=0.1))
        return steps == {1, 2, 3}

    wait_until(all_received, "all three frames")
    for end in (here, there, part, receiver):
        end.close()


def test_local_way_needs_the_socket_itself(tmp_path: Path) -> None:
    """A container on the same host, in whose folders there is no such socket, goes by TCP; so does an old worker's."""
    tcp = "tcp://127.0.0.1:4"
    assert route(both_ways(tcp, f"ipc://{tmp_path}/nothing")) == tcp
    assert route(tcp) == tcp
    assert route("ipc:///tmp/x/analyzer-0.sock") == "ipc:///tmp/x/analyzer-0.sock"


def test_analyzers_that_come_and_go_under_traffic(tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """A worker that follows them sends on, and what is sent while one leaves reaches those that stay.

    The frames grow: an analyzer that adapted its queue to their size crashed when a worker left at that moment.
    """
    first, second = (FrameReceiver(f"ipc://{tmp_path}/{name}", context=context) for name in ("a", "b"))
    both = frozenset({first.endpoint, second.endpoint})
    here = [both]
    publisher = FramePublisher(lambda: here[0], kept_bytes=10 * 12_000, context=context)
    seen = 0
    for change in range(30):
        here[0] = [frozenset({first.endpoint, second.endpoint}), frozenset({first.endpoint}), frozenset[str]()][
            change % 3
        ]
        publisher.look_up()
        for step in range(20):
            publisher.publish(frame(step, atoms=1000 + 20 * change + step))
            seen += sum(receiver.receive(0) is not None for receiver in (first, second))
    here[0] = frozenset({first.endpoint})
    publisher.look_up()
    publisher.publish(frame(0))

    def received() -> int:
        nonlocal seen
        publisher.flush(0.0)
        seen += sum(receiver.receive(0.01) is not None for receiver in (first, second))
        return seen

    wait_until(lambda: received() + publisher.dropped == 601, "each frame is received or counted as dropped")
    publisher.close()
    first.close()
    second.close()
