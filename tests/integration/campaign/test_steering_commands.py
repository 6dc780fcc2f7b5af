"""Every request of a controller from the command line, by a grant alone, against a real broker."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from moireloop import connect
from moireloop.cli import main
from moireloop_broker.contract.events import Requested
from moireloop_broker.contract.message import START
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.work_queue.proposals import Proposer
from moireloop_optimizer.discrepancy import ChamberAdvice
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.gateways import gateway
from tests.helpers.grown import grown, measured_pattern
from tests.helpers.patterns import made
from tests.helpers.waiting import wait_until

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


@pytest.fixture
def peaks(tmp_path: Path) -> dict[str, str]:
    """Tables of peaks: of a twist, of another one, of none, and of no peaks at all."""
    rng = np.random.default_rng(1)
    tables = {
        "8.3": made(rng, twist_deg=8.3, weak=0.5, spurious=3).peaks.q,
        "13.2": made(rng, twist_deg=13.2, weak=0.5, spurious=3).peaks.q,
        "random": rng.uniform(-4, 4, (20, 2)),
        "empty": np.zeros((0, 2)),
    }
    for name, places in tables.items():
        lines = ["q_x_per_angstrom,q_y_per_angstrom,intensity", *(f"{x},{y},1.0" for x, y in places)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {name: str(tmp_path / f"{name}.csv") for name in tables}


def given(file: Path, order: tuple[str, ...]) -> int:
    return main([order[0], str(file), *order[1:]])


def test_each_request_works_from_the_command_line(broker: BrokerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is an event with who asked; each that makes no sense is one line; `describe` says what became of them."""
    for order, words in REFUSED:
        assert given(broker.file, order) != 0, order
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert words in lines[0]
    replies = {}
    for order in ORDERS:
        assert given(broker.file, order) == 0, order
        replies[order[0]] = capsys.readouterr().out
    with connect(broker.file, timeout_s=30) as client:
        asked = [entry.message for entry in client.events([Requested], START)]
        state, described = client.status().state, client.describe()
    assert [event.request.tag.partition("_request")[0] for event in asked if isinstance(event, Requested)] == [
        "propose", "propose", "replicate", "replicate", "prioritise", "withdraw", "pause", "resume", "cancel",
        "retarget", "change_space", "change_budget", "note", "stop",
    ]  # fmt: skip
    assert len({event.requester for event in asked if isinstance(event, Requested)}) == 1
    assert state == "draining"
    assert json.loads(replies["describe"]) == described.model_dump(mode="json", exclude={"tag"})
    assert [(one.twist_deg, one.tolerance_deg) for one in described.targets] == [(5.0, 0.2), (12.0, 0.5)]
    assert (described.space["temperature_k"].low, described.budget_results) == (1500.0, 7)
    with contextlib.closing(broker.connection.open_redis()) as redis:
        waiting = Proposer(redis, broker.connection.keys).queued()
    assert {one.parameters["temperature_k"] for one in waiting} == {2000.0}
    assert len(waiting) == 2


def test_patterns_from_the_command_line(
    broker: BrokerProcess, peaks: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Submitted once, refused in a line, a target on request; advice where the chamber has grown enough."""
    known = ("--lattices", "3.16,3.16")
    shot = ("submit-pattern", peaks["8.3"], *known, "--name", "shot", "--parameter", "heater_k=875")
    said = []
    for _ in range(2):
        assert given(broker.file, shot) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "shot is in the log: twist 8.3" in said[0]
    assert given(broker.file, ("submit-pattern", peaks["random"], *known, "--name", "blank")) == 1
    assert "blank is in the log without a twist: " in capsys.readouterr().err
    for order, words in (
        (("submit-pattern", peaks["13.2"], *known, "--name", "shot"), "OtherPattern"),
        (("submit-pattern", peaks["13.2"]), "no result has lattice constants yet"),
        (("submit-pattern", peaks["empty"], *known), "empty.csv"),
        (("submit-pattern", "nowhere.csv", *known), "nowhere.csv"),
        ((*shot[:-1], "heater_k=hot"), "heater_k: expected a number"),
        ((*shot, "--measured-s", "-1"), "--measured-s: expected seconds since the epoch"),
        (("retarget", "8", "--pattern", "shot"), "expected twists, such as 8.2:0.3, or --pattern ID, got both"),
        (("retarget",), "got neither"),
        (("retarget", "--pattern", "nothing"), "expected the pattern 'nothing'; 2 patterns in the log"),
        (("retarget", "--pattern", "blank"), "pattern blank has no twist"),
        (("retarget", "--pattern", "shot:wide"), "expected a number"),
        (("advise",), "no advice: the model needs at least 8 results with a twist, and there are 0"),
        (("advise", "--target", "8:x"), "expected TWIST or TWIST:TOLERANCE in degrees, got '8:x'"),
        (("advise", "--target", "80"), "twist_deg"),
    ):
        assert given(broker.file, order) != 0, order
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert words in line
    for order, tolerance in (
        (("retarget", "--pattern", "newest"), 0.5),
        (("retarget", "--pattern", "shot:0.25"), 0.25),
    ):
        assert given(broker.file, order) == 0
        with connect(broker.file, timeout_s=30) as client:
            (target,) = client.targets
        assert (round(target.twist_deg, 1), target.tolerance_deg) == (8.3, tolerance)
    assert_advice_of_a_chamber_that_is_known(broker, capsys)


def assert_advice_of_a_chamber_that_is_known(broker: BrokerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """The chamber is two degrees above the simulation, whose twist rises by ten degrees over the search space."""
    with contextlib.closing(broker.connection.open_redis()) as redis, connect(broker.file, timeout_s=30) as client:
        log = EventLog(redis, broker.connection.keys)
        (name,) = client.describe().space
        low, high = client.describe().space[name].low, client.describe().space[name].high
        for number, value in enumerate(np.linspace(low, high, 9).tolist()):
            log.append(grown(number, 5.0 + 10.0 * (value - low) / (high - low), {name: value}))
        for number, value in enumerate(np.linspace(low, high, 4).tolist()):
            log.append(measured_pattern(f"g{number}", 7.0 + 10.0 * (value - low) / (high - low), {name: value}))
        advice = client.advise_chamber((12.0, 0.3))
    assert advice.discrepancy_deg == pytest.approx(2.0, abs=0.3)
    assert ((advice.chamber or {})[name] - low) / (high - low) == pytest.approx(0.5, abs=0.05)
    assert ((advice.computer or {})[name] - low) / (high - low) == pytest.approx(0.7, abs=0.05)
    assert given(broker.file, ("advise", "--target", "12:0.3")) == 0
    lines = capsys.readouterr().out.splitlines()[-4:]
    assert lines[0] == "target 12 ± 0.3 degrees, by 4 growths of the chamber and the campaign's results:"
    assert f"  chamber: {name} {(advice.chamber or {})[name]:.4g}" in lines[1]
    assert_advice_over_http(broker, advice)


def assert_advice_over_http(broker: BrokerProcess, advice: ChamberAdvice) -> None:
    """The gateway of the running campaign advises as its client does, for a target that the address names."""
    with gateway(broker.file.with_name("tokens"), broker.file) as opened:
        (listed,) = opened.looking.ask("/api/v1/campaigns").json["campaigns"]
        place = f"/api/v1/campaigns/{listed['key']}"
        wait_until(lambda: opened.looking.ask(place).json["phase"] == "live", "the gateway follows")
        answer = opened.looking.ask(f"{place}/chamber?twist_deg=12&tolerance_deg=0.3")
    assert answer.code == 200, answer.body
    assert answer.json["reason"] is None
    assert answer.json["target"] == {"twist_deg": 12.0, "tolerance_deg": 0.3}
    for field in ("chamber", "computer", "twist_deg", "sigma_deg", "discrepancy_deg", "probability", "patterns"):
        assert answer.json[field] == pytest.approx(getattr(advice, field), rel=1e-3), field
