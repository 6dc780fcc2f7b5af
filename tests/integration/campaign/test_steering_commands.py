"""Every request of a controller from the command line, by a grant alone, against a real broker."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop import connect
from moireloop.cli import main
from moireloop_broker.contract.events import Requested
from moireloop_broker.contract.message import START
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.work_queue.proposals import Proposer
from tests.helpers.broker_process import BrokerProcess

HOT = "temperature_k=2000"

ORDERS: tuple[tuple[str, ...], ...] = (
    ("propose", "a", HOT, "--seed", "7"), ("propose", "b", HOT), ("replicate", "a", "--runs", "2"),
    ("prioritise", "b", "--place", "1"), ("withdraw", "a"), ("pause", "--reason", "lunch"), ("resume",),
    ("cancel", "b", "--reason", "no"), ("retarget", "5:0.2", "12"), ("change-space", "temperature_k=1500:2500"),
    ("change-budget", "--results", "7"), ("note", "the chamber was opened"), ("describe",), ("stop",),
)  # fmt: skip

REFUSED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("propose", "x", "temperature_k=9000"), "OutOfBounds"), (("withdraw", "nobody"), "UnknownCandidate"),
    (("resume",), "NotPaused"), (("change-budget",), "expected"), (("retarget", "wide"), "expected a number"),
    (("retarget", "--pattern", "shot"), "the pattern 'shot'"), (("retarget", "5", "--pattern", "shot"), "both"),
)  # fmt: skip


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    started = BrokerProcess(tmp_path)
    started.start()
    with contextlib.closing(started.connection.open_redis()) as client:
        CampaignState(client, started.connection.keys, "test").change("started")
    yield started
    started.kill(signal.SIGTERM)


def given(file: Path, order: tuple[str, ...]) -> int:
    return main([order[0], str(file), *order[1:]])


def test_each_request_works_from_the_command_line(broker: BrokerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is an event with who asked; each that makes no sense is one line; `describe` says what became of them."""
    for order, words in REFUSED:
        assert given(broker.file, order) != 0, order
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert words in lines[0]
    told = {}
    for order in ORDERS:
        assert given(broker.file, order) == 0, order
        told[order[0]] = capsys.readouterr().out
    with connect(broker.file, timeout_s=30) as client:
        asked = [entry.message for entry in client.events([Requested], START)]
        state, described = client.status().state, client.describe()
    assert [event.request.tag.partition("_request")[0] for event in asked if isinstance(event, Requested)] == [
        "propose", "propose", "replicate", "replicate", "prioritise", "withdraw", "pause", "resume", "cancel",
        "retarget", "change_space", "change_budget", "note", "stop",
    ]  # fmt: skip
    assert len({event.requester for event in asked if isinstance(event, Requested)}) == 1
    assert state == "draining"
    assert json.loads(told["describe"]) == described.model_dump(mode="json", exclude={"tag"})
    assert [(one.twist_deg, one.tolerance_deg) for one in described.targets] == [(5.0, 0.2), (12.0, 0.5)]
    assert (described.space["temperature_k"].low, described.budget_results) == (1500.0, 7)
    with contextlib.closing(broker.connection.open_redis()) as redis:
        waiting = Proposer(redis, broker.connection.keys).queued()
    assert {one.parameters["temperature_k"] for one in waiting} == {2000.0}
    assert len(waiting) == 2
