"""The broker as a process: relay, control, replay, and who is let in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import psutil
import pytest
import zmq

from moireloop import connect, connect_async
from moireloop.client.client import CampaignClient, NotRunning, RequestRefused
from moireloop_broker.connection import NoConnectionFile, read_connection
from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.control import ReplayRequest, StatusRequest
from moireloop_broker.contract.events import (
    AnalysisArray,
    AnalysisOutcome,
    Candidate,
    FrameAnalysed,
    Measurement,
    Observation,
    Result,
    ServiceChanged,
)
from moireloop_broker.contract.topics import FRAME_ANALYSED, OBSERVATION
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.observations import Observations
from moireloop_broker.state.redis_client import responds
from moireloop_broker.streams.curve import Curve
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.hostile import REQUESTS, TOO_LARGE
from tests.helpers.page import blocks, rows
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue


@pytest.fixture
def outside(broker: BrokerProcess) -> Iterator[CampaignClient]:
    with connect(broker.file, timeout_s=20) as client:
        yield client


def settled(broker: BrokerProcess, *names: str) -> None:
    """Let candidates come to (failed) results."""
    client = broker.connection.open_redis()
    queue = WholeQueue(client, broker.connection.keys)
    for name in names:
        queue.propose(Candidate(candidate_id=name, parameters={"temperature_k": 1.0}, seed=0, proposed_s=time.time()))
        queue.cancel(name, "not wanted")
    client.close()


def test_subscriber_gets_what_was_before_and_what_comes(broker: BrokerProcess, outside: CampaignClient) -> None:
    """A late subscriber replays the log and goes on live, each message once and in order."""
    settled(broker, "c1", "c2")
    stream = outside.subscribe(["result/3"], since="0-0", wait_s=10)
    first = [next(stream), next(stream)]
    settled(broker, "c3")
    messages = [*first, next(stream)]
    names = [entry.message.candidate.candidate_id for entry in messages if isinstance(entry.message, Result)]
    assert names == ["c1", "c2", "c3"]
    stream.close()
    assert [entry.message.candidate.candidate_id for entry in outside.results(since=first[0].id)] == ["c2", "c3"]


def test_subscriber_misses_nothing_when_the_broker_is_killed(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Events written while no relay runs reach a subscriber that was there before, without a gap."""
    settled(broker, "c1")
    stream = outside.subscribe(["result/3"], since="0-0", wait_s=30)
    next(stream)
    broker.kill()
    wait_until(lambda: not responds(broker.connection.redis_url), "Redis ended with its broker")
    broker.start()
    settled(broker, "c2", "c3")
    names = [entry.message.candidate.candidate_id for entry in (next(stream), next(stream))]  # type: ignore[union-attr]
    assert names == ["c2", "c3"]
    stream.close()


def test_observations_have_separate_ids(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Observations come on their topic, and are replayed alone."""
    stream = outside.subscribe([Observation], since="0-0", wait_s=10)
    client = broker.connection.open_redis()
    seen = Observation(
        candidate_id="c1", attempt=1, step=100, time_ps=0.4, measurement=Measurement(reason="upper layer: amorphous")
    )
    Observations(client, broker.connection.keys).add(seen)
    client.close()
    assert next(stream).message == seen
    stream.close()


def test_analyses_follow_their_observations(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Both topics of one stream are followed together, in order; with a topic of the log they are not replayed."""
    topics = [OBSERVATION, FRAME_ANALYSED]
    stream = outside.subscribe(topics, since="0-0", wait_s=10)
    client = broker.connection.open_redis()
    seen = Observation(candidate_id="c1", attempt=1, step=100, time_ps=0.4, measurement=Measurement(reason="molten"))
    found = {
        "mine": AnalysisOutcome(numbers={"x_k": 1.5}, arrays={"y": AnalysisArray(shape=[1, 2], values=[1.0, 2.0])})
    }
    analysed = FrameAnalysed(candidate_id="c1", attempt=1, step=100, time_ps=0.4, analyses=found)
    observations = Observations(client, broker.connection.keys)
    observations.add(seen)
    observations.add_analyses(analysed)
    client.close()
    assert [next(stream).message, next(stream).message] == [seen, analysed]
    stream.close()
    assert [entry.message for entry in outside.events([FRAME_ANALYSED])] == [analysed]
    with pytest.raises(RequestRefused, match="MixedReplay: frame_analysed/1 and observation/4 have separate ids"):
        outside.events([*topics, "result/3"])


def test_candidates_from_outside_are_checked_and_queued(broker: BrokerProcess, outside: CampaignClient) -> None:
    """A controller may propose within the search space; anything else is refused by name."""
    outside.propose("mine", {"temperature_k": 2000.0})
    outside.propose("mine", {"temperature_k": 2000.0})
    assert outside.status().counts["queued"] == 1
    with pytest.raises(RequestRefused, match="OutOfBounds"):
        outside.propose("hot", {"temperature_k": 9000.0})
    with pytest.raises(RequestRefused, match="UnknownParameters"):
        outside.propose("odd", {"pressure": 1.0})
    with pytest.raises(RequestRefused, match="UnknownCandidate"):
        outside.cancel("nobody", "why not")
    outside.cancel("mine", "changed my mind")
    assert outside.status().counts["cancelled"] == 1


def test_known_id_with_other_parameters_is_refused(broker: BrokerProcess, outside: CampaignClient) -> None:
    """The same id, parameters and seed are one candidate; with others the controller hears whose id it is."""
    outside.propose("mine", {"temperature_k": 2000.0}, seed=3)
    outside.propose("mine", {"temperature_k": 2000.0}, seed=3)
    for parameters, seed in (({"temperature_k": 2500.0}, 3), ({"temperature_k": 2000.0}, 4)):
        with pytest.raises(RequestRefused, match=r"OtherCandidate: mine .*2000.0.* and seed 3"):
            outside.propose("mine", parameters, seed=seed)
    settled(broker, "mine")
    with pytest.raises(RequestRefused, match="OtherCandidate"):
        outside.propose("mine", {"temperature_k": 2500.0}, seed=3)
    assert outside.status().counts["cancelled"] == 1


def test_stop_request_drains(outside: CampaignClient) -> None:
    """A stop request lets the campaign drain, and no candidate is taken afterwards."""
    outside.stop("enough")
    assert outside.status().state == "draining"
    with pytest.raises(RequestRefused, match="Draining"):
        outside.propose("late", {"temperature_k": 2000.0})


def test_hostile_requests_are_refused_counted_and_stop_nothing(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Every malformed request gets a named error, the broker counts it, and goes on."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    requests = context.socket(zmq.REQ)
    broker.connection.curve.secure_client(requests)
    requests.connect(broker.connection.control)
    for name, hostile in REQUESTS.items():
        requests.send(hostile.data)
        assert requests.poll(10_000), name
        reply = msgpack.unpackb(requests.recv())
        assert (reply["tag"], reply["error"]) == ("refusal/1", "MalformedMessage"), name
    context.destroy(linger=0)
    wait_until(
        lambda: outside.status().counters.get("requests_malformed", 0) == len(REQUESTS),
        "malformed requests are counted",
    )


def opened_by_the_page(context: zmq.Context[zmq.Socket[bytes]], kind: int, broker: BrokerProcess) -> zmq.Socket[bytes]:
    """A socket to the control endpoint, its keys set by the table of docs/protocol.md."""
    opened = context.socket(kind)
    for option, key in rows("Getting in"):
        secret = getattr(broker.connection.curve, key.strip("`"))
        opened.setsockopt(getattr(zmq, option.strip("`").removeprefix("ZMQ_")), secret.encode())
    opened.connect(broker.connection.control)
    return opened


def test_dealer_gets_back_what_it_sent_before_the_request(broker: BrokerProcess) -> None:
    """A DEALER may send a request alone, or behind its own parts, which come back with the reply."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = opened_by_the_page(context, zmq.DEALER, broker)
    for before in ([], [b""], [b"7", b"", b"x"]):
        dealer.send_multipart([*before, pack(StatusRequest())])
        assert dealer.poll(10_000)
        *came, reply = dealer.recv_multipart()
        assert came == before
        assert msgpack.unpackb(reply)["tag"] == "status/3"
    context.destroy(linger=0)


@pytest.mark.timeout(300)
def test_client_that_never_reads_is_owed_a_bounded_amount(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Replies beyond the limit are dropped and counted; the broker stays small, and others are served."""
    client = broker.connection.open_redis()
    reason = "r" * 4000
    for number in range(400):
        event = ServiceChanged(service=f"s{number}", state="crashed", reason=reason, at_s=1.0)
        EventLog(client, broker.connection.keys).append(event)
    client.close()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        deaf = opened_by_the_page(context, zmq.DEALER, broker)
        deaf.rcvhwm = 1
        before = memory_bytes(broker)
        for _ in range(150):
            deaf.send(pack(ReplayRequest()))
        wait_until(lambda: outside.status().counters.get("replies_dropped", 0) > 20, "replies are dropped", 200, 0.2)
        assert memory_bytes(broker) - before < 120_000_000
        assert outside.status().state == "started"
    finally:
        context.destroy(linger=0)


def memory_bytes(broker: BrokerProcess) -> int:
    assert broker.process is not None
    return int(psutil.Process(broker.process.pid).memory_info().rss)


def test_entries_that_are_not_messages_are_skipped(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Garbage in the log, and numbers beyond the bounds of the contract, stop neither relay nor replay nor reader."""
    client = broker.connection.open_redis()
    keys = broker.connection.keys
    settled(broker, "c1")
    whole = msgpack.unpackb(client.xrevrange(keys.log, count=1)[0][1][b"e"])  # type: ignore[index]
    insane = msgpack.packb(whole | {"times": whole["times"] | {"leased_s": 1e300}})
    for body in (b"", b"\xc1garbage", insane, msgpack.packb(whole | {"attempt": 2**64 - 1})):
        client.xadd(keys.log, {"e": body})
    client.xadd(keys.log, {"other": b"field"})
    stream = outside.subscribe(["result/3"], since="0-0", wait_s=10)
    settled(broker, "c2")
    assert [next(stream).message.candidate.candidate_id for _ in range(2)] == ["c1", "c2"]  # type: ignore[union-attr]
    log = EventLog(client, keys)
    read = [event.candidate.candidate_id for _, event in log.replay() if isinstance(event, Result)]
    assert read == ["c1", "c2"]
    assert len(log.passed_over) == 5
    wait_until(lambda: outside.status().counters.get("entries_unreadable") == 5, "unreadable entries are counted")
    client.close()


def test_request_that_is_too_large_closes_its_connection_only(broker: BrokerProcess, outside: CampaignClient) -> None:
    """ZeroMQ refuses it before it is read; others are answered as before."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = opened_by_the_page(context, zmq.DEALER, broker)
    dealer.send(TOO_LARGE.data)
    assert outside.status().state == "started"
    assert not dealer.poll(500)
    dealer.send(pack(StatusRequest()))
    assert dealer.poll(10_000)
    context.destroy(linger=0)


def test_client_on_the_protocol_page_gets_each_result_once(broker: BrokerProcess, tmp_path: Path) -> None:
    """The client that docs/protocol.md gives to copy prints what was before and what comes, also past a dead broker."""
    (program,) = blocks("A client", "python")
    file = tmp_path / "client.py"
    file.write_text(program)
    settled(broker, "c1", "c2")
    command = [sys.executable, str(file), str(broker.file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        lines = [client.stdout.readline(), client.stdout.readline()]
        settled(broker, "c3")
        lines.append(client.stdout.readline())
        broker.kill()
        wait_until(lambda: not responds(broker.connection.redis_url), "Redis ended with its broker")
        broker.start()
        settled(broker, "c4")
        lines.append(client.stdout.readline())
        client.kill()
    assert lines == [f"{name} cancelled None\n" for name in ("c1", "c2", "c3", "c4")]


def test_strangers_are_not_let_in(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Clients with wrong keys or none and a port scan get no answer, are counted, and harm nothing."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    wrong = context.socket(zmq.REQ)
    stranger = Curve.generate()
    wrong.curve_serverkey = broker.connection.curve.server_public.encode()
    wrong.curve_publickey = stranger.client_public.encode()
    wrong.curve_secretkey = stranger.client_secret.encode()
    keyless = context.socket(zmq.REQ)
    for asking in (wrong, keyless):
        asking.connect(broker.connection.control)
        asking.send(pack(StatusRequest()))
    for endpoint in (broker.connection.control, broker.connection.events):
        port = int(endpoint.rsplit(":", 1)[1])
        for junk in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" + b"\x00" * 8 + b"\x7f" + b"A" * 60):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe, contextlib.suppress(OSError):
                probe.sendall(junk)
    assert not wrong.poll(1000)
    assert not keyless.poll(0)
    context.destroy(linger=0)

    def count(name: str) -> int:
        return outside.status().counters.get(name, 0)

    wait_until(lambda: count("clients_denied") >= 1, "the wrong key is counted")
    wait_until(lambda: count("handshakes_refused") >= 2, "the failed handshakes are counted")
    assert outside.status().state == "started"


def test_redis_that_is_killed_comes_back_with_everything(broker: BrokerProcess, outside: CampaignClient) -> None:
    """kill -9 of the Redis server loses nothing that was acknowledged; the broker starts it again."""
    settled(broker, "c1", "c2")
    client = broker.connection.open_redis()
    pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGKILL)
    settled(broker, "c3")
    assert int(client.info("server")["process_id"]) != pid
    client.close()
    assert [entry.message.candidate.candidate_id for entry in outside.results()] == ["c1", "c2", "c3"]


def test_both_clients_wait_for_one_result(broker: BrokerProcess, outside: CampaignClient) -> None:
    """Only for the candidate's result, and no longer than the timeout; both describe the search alike."""
    settled(broker, "c1", "c2")

    async def beside() -> tuple[Result, object, object]:
        async with connect_async(broker.file, timeout_s=20) as client:
            with pytest.raises(TimeoutError, match="result of 'c3' within 0"):
                await client.wait("c3", 0.2)
            return await client.wait("c2", 20), await client.targets(), await client.space()

    assert outside.wait("c2", 20).candidate.candidate_id == "c2"
    assert asyncio.run(beside()) == (outside.wait("c2"), outside.targets, outside.space)
    with pytest.raises(TimeoutError, match="result of 'c3' within 0"):
        outside.wait("c3", 0.2)


def test_client_says_when_nothing_responds(tmp_path: Path) -> None:
    """A campaign that is not running is a named error, not a hang."""
    dead = BrokerProcess(tmp_path)
    with connect(dead.file, timeout_s=0.3) as client, pytest.raises(NotRunning, match="is not running"):
        client.status()


def test_connection_file_must_be_private_and_ours(tmp_path: Path) -> None:
    """A connection file that others can read, or that is no connection file, is refused with the reason."""
    file = BrokerProcess(tmp_path).file
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(NoConnectionFile, match="0600"):
        read_connection(file)
    file.write_text("{}")
    file.chmod(0o600)
    with pytest.raises(NoConnectionFile, match="not a connection file"):
        read_connection(file)
    with pytest.raises(NoConnectionFile, match="No such file"):
        read_connection(tmp_path / "nothing.json")


def test_subscriber_to_several_topics_gets_them_in_the_order_of_the_log(
    broker: BrokerProcess, outside: CampaignClient
) -> None:
    """Cancels and results of several candidates come interleaved as they were written, without a gap."""
    stream = outside.subscribe(["cancel_requested/1", "result/3"], since="0-0", wait_s=10)
    settled(broker, "c1")
    first = [next(stream), next(stream)]
    settled(broker, "c2", "c3")
    messages = [*first, *(next(stream) for _ in range(4))]
    assert [m.message.tag for m in messages] == ["cancel_requested/1", "result/3"] * 3
    ids = [tuple(map(int, m.id.split("-"))) for m in messages]
    assert ids == sorted(set(ids))
    stream.close()
