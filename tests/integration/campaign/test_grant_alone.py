"""The dashboard where there is no campaign folder: a connection file leads to a campaign of another machine."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.gateway import append_results
from moireloop import connect
from moireloop.cli import main
from moireloop.session.startup import settings_sections
from moireloop_broker.connection import Connection
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.settings_store import write_settings_file
from tests.helpers.gateways import gateway
from tests.helpers.stopped_campaigns import campaign_file, opened
from tests.helpers.waiting import wait_until

LOOKING, STEERING = "/api/v1/campaigns/tiny", "/api/v1/campaigns/tiny-2"

NOTE = {"text": "from far away", "requester": "me"}

PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.1}

REQUESTS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("propose", {"candidate_id": "a", "parameters": PARAMETERS}, 200),
    ("propose", {"candidate_id": "b", "parameters": PARAMETERS}, 200),
    ("replicate", {"candidate_id": "a", "runs": 2}, 200),
    ("prioritise", {"candidate_id": "b", "place": 1}, 200),
    ("withdraw", {"candidate_id": "a"}, 200),
    ("cancel", {"candidate_id": "b", "reason": "no"}, 200),
    ("pause", {}, 200),
    ("resume", {}, 200),
    ("resume", {}, 409),
    ("retarget", {"targets": [{"twist_deg": 5.0, "tolerance_deg": 0.2}]}, 200),
    ("retarget_to_pattern", {}, 422),
    ("change_space", {"space": {"temperature_k": [1600.0, 4000.0]}}, 200),
    ("change_budget", {"results": 30}, 200),
    ("scale", {"workers": 1, "pool": "none"}, 409),
    ("note", NOTE, 200),
)
"""All requests but stop, and what becomes of them."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[Path, Connection, subprocess.Popen[bytes]]]:
    """The file of a campaign whose broker runs, with some results; workers are not needed."""
    file = campaign_file(tmp_path / "there")
    campaign, folder, connection = opened(file)
    write_settings_file(folder.root, settings_sections(campaign))
    command = [sys.executable, "-m", "moireloop_broker", "--connection", str(folder.connection_file)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(folder.root, timeout_s=60) as client:
                client.status()
            with contextlib.closing(connection.open_redis()) as client:
                CampaignState(client, connection.keys, "tiny").change("started")
            append_results(connection, 0, 5)
            yield file, connection, process
        finally:
            process.terminate()


def granted(campaign: Path, role: str, file: Path) -> Path:
    """The file of a new grant, as `moireloop grant` makes it."""
    assert main(["grant", str(campaign), "--role", role, "--host", "127.0.0.1", "-o", str(file)]) == 0
    return file


def steered(described: dict[str, Any]) -> tuple[Any, ...]:
    """What requests change, as the gateway shows it: budget, state, space, targets, and how many are queued."""
    targets = [target["twist_deg"] for target in described["targets"]]
    space = described["space"]["temperature_k"]
    return described["budget"]["results"], described["state"], space, targets, described["counts"]["queued"]


def test_a_grant_alone_shows_the_live_campaign(
    broker: tuple[Path, Connection, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """An observer's grant looks, a controller's steers, what is absent is named, and the end is an end."""
    file, connection, process = broker
    grants = [granted(file, role, tmp_path / f"{role}.json") for role in ("observer", "controller")]
    with gateway(tmp_path / "tokens.json", *grants) as away:
        looking, steering = away.looking, away.steering
        assert len(looking.ask("/api/v1/campaigns").json["campaigns"]) == 2
        for here in (LOOKING, STEERING):
            wait_until(lambda: looking.ask(here).json["phase"] == "live", "the campaign is followed")  # noqa: B023
        body = looking.ask(LOOKING).json
        assert (body["name"], body["state"], body["budget"]["results"]) == ("tiny", "started", 20)
        assert body["space"]["temperature_k"] == [1500.0, 4500.0]
        append_results(connection, 5, 2)
        wait_until(lambda: looking.ask(LOOKING).json["results"] == 7, "results come over the wire")

        assert [looking.ask(here).json["steers"] for here in (LOOKING, STEERING)] == [False, True]
        assert steering.ask(f"{LOOKING}/requests/note", "POST", NOTE).code == 403
        for name, body, code in REQUESTS:
            assert steering.ask(f"{STEERING}/requests/{name}", "POST", body).code == code, name
        asked_for = (30, "resumed", [1600.0, 4000.0], [5.0], 2)
        wait_until(lambda: steered(looking.ask(STEERING).json) == asked_for, "what was asked for is seen")
        wait_until(lambda: "from far away" in str(looking.ask(f"{LOOKING}/remarks").json), "the note is seen")

        assert looking.ask(f"{LOOKING}/logs").json == {"services": []}
        for path in ("runs/b000001/structure", "logs/broker"):
            assert "on another machine" in looking.ask(f"{LOOKING}/{path}").json["message"]
        assert "on another machine" in looking.ask(f"{LOOKING}/cells").json["reason"]

        assert main(["revoke", str(file), "observer"]) == 0
        wait_until(lambda: "keys are not" in str(looking.ask(LOOKING).json["phase_reason"]), "the grant has ended")
        with contextlib.closing(connection.open_redis()) as client:
            CampaignState(client, connection.keys, "tiny").change("stopped")
        wait_until(lambda: looking.ask(STEERING).json["phase"] == "ended", "the end is reported")
        process.terminate()
        process.wait(30)
        assert looking.ask(f"{STEERING}/log").code == 503
        assert looking.ask(STEERING).json["results"] == 9
