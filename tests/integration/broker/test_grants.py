"""Rights: files for other machines, with separate keys, that can be revoked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop import NotRunning, RequestRefused, connect
from moireloop.client.received import Received
from moireloop_analyzer.patterns.peaks import peaks_of
from moireloop_broker.connection import ClientConnection, free_port, new_password, write_connection
from moireloop_broker.contract.events import Requested, Result
from moireloop_broker.contract.steering import NoteRequest
from moireloop_broker.files import write_synced
from moireloop_broker.grants import GrantRefused, Role, add_grant, revoke_grant
from moireloop_broker.service.redis_server import most_clients
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.redis_client import responds
from moireloop_broker.state.settings_store import write_settings_file
from tests.helpers.connections import connection_of
from tests.helpers.waiting import wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a broker that runs."""
    url = f"redis://:{new_password()}@127.0.0.1:{free_port('127.0.0.1')}/0"
    ends = {name: f"tcp://127.0.0.1:{free_port('127.0.0.1')}" for name in ("events", "control")}
    connection = connection_of("test", tmp_path, url, private_redis=True, **ends)
    write_connection(connection, tmp_path / "connection.json")
    settings = {"workers": {"lease_s": 5.0, "max_attempts": 3}, "space": {"temperature_k": [1000.0, 3000.0]}}
    write_settings_file(tmp_path, settings)
    with subprocess.Popen(
        [sys.executable, "-m", "moireloop_broker", "--connection", str(tmp_path / "connection.json")],
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: responds(connection.redis_url), "Redis answers")
        with connect(tmp_path, timeout_s=30) as client:
            client.status()
        redis = connection.open_redis()
        CampaignState(redis, connection.keys, "test").change("started")
        redis.close()
        yield tmp_path
        process.terminate()
        process.wait(20)


def granted(folder: Path, name: str, role: Role) -> Path:
    """The file of a grant."""
    grant, secret = add_grant(folder, name, role)
    owner = json.loads((folder / "connection.json").read_text())
    curve = {
        "server_public": owner["curve"]["server_public"],
        "client_public": grant.public_key,
        "client_secret": secret,
    }
    fields = {name: owner[name] for name in ("campaign", "events", "control")}
    made = ClientConnection.model_validate({**fields, "curve": curve, "role": role, "name": name})
    file = folder / f"{name}.json"
    write_synced(file, made.model_dump_json())
    assert "redis" not in file.read_text()
    return file


def test_observer_follows_and_controller_steers_under_its_own_name(folder: Path) -> None:
    """Whatever name the request gives; a revoked one is refused at once, and not let in again."""
    observer, controller = granted(folder, "eve", "observer"), granted(folder, "ada", "controller")
    with connect(observer) as watching, connect(controller, name="somebody else") as steering:
        assert watching.status().state == "started"
        stream = watching.subscribe([Result, Requested], since="0-0", wait_s=20)
        with pytest.raises(RequestRefused, match="NotPermitted: eve is an observer"):
            watching.note("may I?")
        with pytest.raises(RequestRefused, match="NotPermitted: eve is an observer"):
            watching.submit_pattern(peaks_of([[2.3, 0.0]]), lattices=(3.16, 3.16))
        steering.propose("mine", {"temperature_k": 2000})
        steering.withdraw("mine")
        seen = [next(stream).message for _ in range(3)]
        assert [event.requester for event in seen if isinstance(event, Requested)] == ["ada", "ada"]
        stream.close()
        revoke_grant(folder, "ada")
        with pytest.raises(RequestRefused, match="NotPermitted: the grant of this client was revoked"):
            steering.pause()
    with connect(controller, timeout_s=1.0) as late, pytest.raises(NotRunning):
        late.status()
    with pytest.raises(GrantRefused, match=r"expected the name of a grant \(eve\), got 'ada'"):
        revoke_grant(folder, "ada")
    with pytest.raises(GrantRefused, match="which already has a grant"):
        add_grant(folder, "eve", "observer")


def test_revoked_grant_ends_an_open_subscription(folder: Path) -> None:
    """Whose grant was revoked hears nothing more; everybody else goes on without a gap."""
    observer = granted(folder, "eve", "observer")
    with connect(observer) as watching, connect(folder) as owner, connect(folder) as other:
        seen = watching.subscribe([Requested], since="0-0", wait_s=20)
        kept = other.subscribe([Requested], since="0-0", wait_s=20)
        owner.note("one")
        assert [text_of(next(stream)) for stream in (seen, kept)] == ["one", "one"]
        revoke_grant(folder, "eve")
        wait_until(lambda: owner.status().counters.get("subscribers_reset") == 1, "the events are published again")
        owner.note("two")
        assert text_of(next(kept)) == "two"
        with pytest.raises(RequestRefused, match="NotPermitted"):
            next(seen)
    with connect(observer, timeout_s=1.0) as late, pytest.raises(NotRunning):
        next(late.subscribe([Requested], since="0-0", wait_s=1))


def text_of(entry: Received[Requested]) -> str:
    """The remark of a note."""
    assert isinstance(entry.message.request, NoteRequest)
    return entry.message.request.text


def test_five_values_are_enough(folder: Path) -> None:
    """The five values that the page says to pass on, side by side."""
    fields = json.loads((folder / "connection.json").read_text())
    keys = {name: fields["curve"][name] for name in ("server_public", "client_public", "client_secret")}
    write_synced(folder / "five.json", json.dumps({"events": fields["events"], "control": fields["control"], **keys}))
    with connect(folder / "five.json") as client:
        client.note("five values")
        assert client.status().campaign == "test"
        counters = client.status().counters
        assert counters["redis_memory_bytes"] > 100_000
        assert 0 < counters["redis_connections"] < counters["redis_connections_most"] == most_clients()
