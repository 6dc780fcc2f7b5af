"""The gateway over HTTP, in front of a real campaign."""

from __future__ import annotations

import csv
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from moireloop import connect
from moireloop.cli import main
from moireloop_broker.contract.topics import LOG_TOPICS
from moireloop_gateway.web.addresses import ADDRESSES
from tests.helpers.gateways import RunningGateway, gateway, start_gateway
from tests.helpers.http import Caller
from tests.helpers.patterns import made
from tests.helpers.stopped_campaigns import campaign_file, contents, stopped
from tests.helpers.waiting import wait_until
from tests.system.running import RunningCampaign

HERE = "/api/v1/campaigns/short"

pytestmark = pytest.mark.timeout(300)

PARAMETERS = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.1}


@dataclass
class Watched:
    """A campaign that runs, and a gateway in front of it."""

    campaign: RunningCampaign
    gateway: RunningGateway
    tokens: Path

    def summary(self) -> Any:
        return self.gateway.looking.ask(HERE).json


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One campaign for all tests of this file, with a few results; it goes on as long as they do."""
    folder = tmp_path_factory.mktemp("watched")
    running = RunningCampaign(folder, results=100_000, steps=(1000, 1000), strategy="none")
    try:
        running.start()
        running.propose("c00001", "c00002", "c00003")
        running.wait_for_results(3, patience_s=100)
        tokens = folder / "tokens.json"
        with gateway(tokens, running.file) as opened:
            found = Watched(running, opened, tokens)
            wait_until(lambda: found.summary()["phase"] == "live", "the gateway follows")
            yield found
    finally:
        running.close()


def test_without_a_token_nothing_is_shown(watched: Watched) -> None:
    """No token, a wrong one, a cookie of nobody's: each is refused with its name, on every address."""
    nobody = Caller(watched.gateway.port)
    for path in ("/", HERE, f"{HERE}/events", "/metrics", "/static/main.js", "/nowhere", "/vendor/plotly.min.js"):
        assert nobody.ask(path).code == 401
        assert nobody.ask(path, Cookie="moireloop_gateway=x").json["error"] == "WrongToken"
    assert Caller(watched.gateway.port, "wrong").ask(HERE).code == 401
    assert nobody.ask("/?token=wrong").code == 401


def test_a_link_becomes_a_cookie(watched: Watched) -> None:
    """The token leaves the address; the cookie goes to this site alone, and no script reads it."""
    answer = Caller(watched.gateway.port).ask(f"/?token={watched.gateway.observer}")
    assert (answer.code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert watched.gateway.observer not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert Caller(watched.gateway.port).ask("/", Cookie=cookie.partition(";")[0]).code == 200


def test_an_observer_cannot_steer(watched: Watched) -> None:
    """Nothing is sent to the campaign."""
    answer = watched.gateway.looking.ask(f"{HERE}/requests/stop", "POST", {})
    assert (answer.code, answer.json["error"]) == (403, "NotAllowed")


def test_a_cookie_steers_with_the_header_of_a_page(watched: Watched) -> None:
    """Without the header, or from a page elsewhere, a change is refused; with it the campaign decides."""
    steering = watched.gateway.steering
    link = Caller(watched.gateway.port).ask(f"/?token={watched.gateway.controller}")
    cookie = {"Cookie": link.headers["set-cookie"].partition(";")[0]}
    caller, csrf = Caller(watched.gateway.port), steering.ask("/api/v1/session").json["csrf"]
    path, body = f"{HERE}/requests/cancel", {"candidate_id": "nobody", "reason": "a test"}
    assert caller.ask(path, "POST", body, **cookie).json["error"] == "NoCsrfHeader"
    elsewhere = {**cookie, "X-Moireloop-Csrf": csrf, "Origin": "https://example.org"}
    assert caller.ask(path, "POST", body, **elsewhere).json["error"] == "OtherOrigin"
    answer = caller.ask(path, "POST", body, **{**cookie, "X-Moireloop-Csrf": csrf})
    assert (answer.code, answer.json["error"]) == (409, "UnknownCandidate")


def test_no_page_elsewhere_reads_anything(watched: Watched) -> None:
    """No CORS unless an origin is named, and no other name of this machine."""
    answer = watched.gateway.looking.ask(HERE, Origin="https://example.org")
    assert "access-control-allow-origin" not in answer.headers
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert watched.gateway.looking.ask(HERE, Host="rebound.example").code == 421


BAD = [
    ("GET", f"{HERE}/results?after=never", None, 422),
    ("GET", f"{HERE}/results?limit=-1", None, 422),
    ("GET", f"{HERE}/results?limit={'9' * 400}", None, 422),
    ("GET", f"{HERE}/results?columns=nothing", None, 422),
    ("GET", f"{HERE}/results?format=xml", None, 422),
    ("GET", f"{HERE}/results?download=all", None, 422),
    ("GET", f"{HERE}/timeline?last_s=soon", None, 422),
    ("GET", f"{HERE}/timeline?last_s=nan", None, 422),
    ("GET", f"{HERE}/events?since=1-2-3", None, 422),
    ("GET", f"{HERE}/log?since={'9' * 20}-0", None, 422),
    ("GET", f"{HERE}/chamber?twist_deg=80", None, 422),
    ("GET", f"{HERE}/results/nobody", None, 404),
    ("GET", f"{HERE}/runs/nobody/structure", None, 404),
    ("GET", f"{HERE}/runs/nobody/pattern", None, 404),
    ("GET", f"{HERE}/logs/..%2F..%2Fconnection", None, 404),
    ("GET", f"{HERE}/logs/%2Fetc%2Fpasswd", None, 404),
    ("GET", "/static/..%2Faccess.py", None, 404),
    ("GET", "/api/v1/campaigns/nobody", None, 404),
    ("GET", "/nowhere", None, 404),
    ("POST", HERE, {}, 405),
    ("POST", f"{HERE}/requests/explode", {}, 404),
    ("POST", f"{HERE}/requests/propose", b"{", 422),
    ("POST", f"{HERE}/requests/propose", b"\xff", 422),
    ("POST", f"{HERE}/requests/propose", {"candidate_id": "x"}, 422),
    ("POST", f"{HERE}/requests/propose", {"candidate_id": "x", "parameters": {"temperature_k": 9e9}}, 409),
    ("POST", f"{HERE}/requests/propose", {"candidate_id": "x", "parameters": PARAMETERS, "more": 1}, 422),
    ("POST", f"{HERE}/requests/propose", b" " * 100_000, 413),
    ("POST", f"{HERE}/requests/propose", b"[" * 60_000, 422),
]


@pytest.mark.parametrize(("method", "path", "body", "code"), BAD)
def test_bad_input_gets_a_line(watched: Watched, method: str, path: str, body: Any, code: int) -> None:
    """What is wrong is said in JSON, and the gateway goes on."""
    answer = watched.gateway.steering.ask(path, method, body)
    assert answer.code == code
    assert answer.json["message"]
    assert answer.json["error"] != "GatewayFault"


SHOT: dict[str, Any] = {"pattern_id": "shot", "parameters": {"flux": 2.0}, "lattices": [3.16, 3.16]}


def columns(seed: int, twist_deg: float, scale: float = 1.0) -> dict[str, Any]:
    """A measured pattern as columns, its q wrong by a factor."""
    peaks = made(np.random.default_rng(seed), twist_deg=twist_deg, weak=0.5).peaks
    x, y = (scale * peaks.q.T).tolist()
    return {"q_x_per_angstrom": x, "q_y_per_angstrom": y, "intensity": peaks.intensity.tolist()}


OFF = 1.1
"""Factor by which the scale of the submitted pattern is wrong, which the gateway is asked to fit."""

SUBMITTED = {**SHOT, "columns": columns(1, 8.3, OFF), "scale_within": 0.2, "requester": "ada"}


@pytest.fixture(scope="module")
def pattern(watched: Watched) -> Any:
    """The event of the pattern that was submitted, which all who listen get."""
    place = f"{HERE}/patterns"
    assert watched.gateway.looking.ask(place, "POST", SUBMITTED).code == 403
    with watched.gateway.looking.listen(f"{HERE}/events?topics=pattern_measured/1") as events:
        answer = watched.gateway.steering.ask(place, "POST", SUBMITTED)
        assert answer.code == 200, answer.body
        assert next(events).data["event"] == answer.json["pattern"]
    return answer.json["pattern"]


def test_a_measured_pattern_is_indexed_and_logged_once(watched: Watched, pattern: Any) -> None:
    """Sent again it is the same event; another pattern of that id is refused."""
    steering, place = watched.gateway.steering, f"{HERE}/patterns"
    body, expected = SUBMITTED, pattern
    assert expected["analysis"]["twist_deg"] == pytest.approx(8.3, abs=0.2)
    assert expected["analysis"]["scale"] == pytest.approx(1 / OFF, rel=0.01)
    assert expected["analysis"]["closest"]
    assert (expected["requester"], expected["parameters"]) == ("ada", {"flux": 2.0})
    assert steering.ask(place, "POST", {**body, "requester": "bob"}).json["pattern"] == expected
    (listed,) = watched.gateway.looking.ask(place).json["patterns"]
    assert listed["analysis"] == expected["analysis"]
    assert watched.gateway.looking.ask(f"{place}/shot").json["pattern"] == expected
    for wrong, code, words in (
        ({"columns": columns(2, 9.0)}, 409, "other peaks"),
        ({"columns": {"q_x_per_angstrom": [1.0, 2.0], "intensity": [1.0]}}, 422, "as many values in each column"),
        ({"lattices": [0.1, 3.0]}, 422, "lattices"),
        ({"parameters": {"flux": "much"}}, 422, "parameters"),
    ):
        refused = steering.ask(place, "POST", {**body, **wrong})
        assert (refused.code, words in refused.json["message"]) == (code, True), refused.body
    unknown = steering.ask(f"{HERE}/requests/retarget_to_pattern", "POST", {"pattern_id": "nothing"})
    assert (unknown.code, "1 patterns in the log" in unknown.json["message"]) == (422, True)
    last = watched.summary()["targets"]
    assert steering.ask(f"{HERE}/requests/retarget_to_pattern", "POST", {}).code == 200
    with connect(watched.campaign.folder) as client:
        assert client.targets[0].twist_deg == expected["analysis"]["twist_deg"]
        client.retarget([(one["twist_deg"], one["tolerance_deg"]) for one in last])
    metrics = watched.gateway.looking.ask("/metrics").body.decode()
    assert 'moireloop_patterns_total{campaign="short"} 1.0' in metrics


@pytest.mark.usefixtures("pattern")
def test_all_addresses_of_the_page_are_there(watched: Watched) -> None:
    """Each GET of the OpenAPI description returns what it says, for a candidate with a result."""
    looking = watched.gateway.looking
    page = looking.ask("/api/v1/openapi.json").json
    candidate = looking.ask(f"{HERE}/results?limit=1&columns=candidate_id").json["columns"]["candidate_id"][0]
    for address in ADDRESSES:
        if address.method != "GET" or address.handler == "events":
            continue
        path = f"/api/v1{address.path}"
        assert path in page["paths"]
        answer = looking.ask(path.format(campaign="short", candidate=candidate, service="broker", pattern="shot"))
        assert answer.code == 200, (path, answer.body[:500])
        assert set(address.returns.get("required", ())) <= set(answer.json), path
    wrong = looking.ask(f"{HERE}/runs/{candidate}/pattern?kind=neutrons")
    assert (wrong.code, "gixd or rheed" in wrong.json["message"]) == (422, True)
    seen = looking.ask(f"{HERE}/runs/{candidate}/pattern").json
    run = run_pattern(watched.campaign.file, candidate)
    assert seen["columns"]["intensity"] == pytest.approx(run)


def run_pattern(file: Path, candidate: str) -> list[float]:
    """Intensities of a run's pattern, as the command line simulates it beside the running campaign."""
    table = file.with_name("seen.csv")
    assert main(["pattern", str(file), candidate, "--kind", "gixd", "-o", str(table)]) == 0
    lines = [line for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [float(row["intensity"]) for row in csv.DictReader(lines)]


def test_events_are_the_log_without_a_gap(watched: Watched) -> None:
    """From the beginning, and again from the middle by Last-Event-ID: the ids of the log, each once, in order."""
    with connect(watched.campaign.folder) as client:
        ids = [entry.id for entry in client.events(LOG_TOPICS)]
    looking = watched.gateway.looking
    with looking.listen(f"{HERE}/events?since=0-0") as events:
        came = [event.id for event in itertools.islice((event for event in events if event.id), len(ids))]
    assert came == ids
    with looking.listen(f"{HERE}/events", Last_Event_ID=ids[7]) as events:
        came = [event.id for event in itertools.islice((event for event in events if event.id), len(ids) - 8)]
    assert came == ids[8:]


def test_a_proposal_gets_its_result(watched: Watched) -> None:
    """Proposed over HTTP, announced by an event, listed in the table of results."""
    looking = watched.gateway.looking
    with looking.listen(f"{HERE}/events?topics=result/3") as events:
        body = {"candidate_id": "by-http", "parameters": PARAMETERS, "seed": 7}
        assert watched.gateway.steering.ask(f"{HERE}/requests/propose", "POST", body).json == {"accepted": True}
        mine = next(event for event in events if event.data["event"]["candidate"]["candidate_id"] == "by-http")
    assert mine.came_s - mine.data["event"]["times"]["logged_s"] < 1.0
    body = looking.ask(f"{HERE}/results/by-http").json
    assert body["id"] == mine.id
    assert body["result"]["candidate"]["parameters"] == PARAMETERS
    assert body["result"]["report"]["provenance"]
    again = watched.gateway.steering.ask(
        f"{HERE}/requests/cancel", "POST", {"candidate_id": "by-http", "reason": "a test"}
    )
    assert (again.code, again.json["error"]) == (409, "TooLate")


def test_metrics_are_prometheus_metrics(watched: Watched) -> None:
    """Typed, with the campaign's name, and as many results as there are."""
    answer = watched.gateway.looking.ask("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert families["moireloop_results"].type == "counter"
    assert families["moireloop_candidates"].type == "gauge"
    for name in ("best_error_degrees", "utilisation_ratio", "event_log_entries", "oldest_candidate_age_seconds"):
        assert families[f"moireloop_{name}"].samples[0].labels["campaign"] == "short"
    (up,) = families["moireloop_up"].samples
    assert up.value == 1.0


def test_a_gateway_that_was_killed_is_followed_on(watched: Watched) -> None:
    """A listener goes on with the new one from its last id; cookies stay, since the tokens are kept."""
    port = watched.gateway.port
    with watched.gateway.looking.listen(f"{HERE}/events?since=0-0") as events:
        last_id = next(event.id for event in events if event.id)
        watched.gateway.kill()
    assert last_id is not None
    watched.gateway.process = start_gateway(watched.tokens, watched.campaign.file, port=port).process
    with connect(watched.campaign.folder) as client:
        expected = [entry.id for entry in client.events(LOG_TOPICS, last_id)]
    with watched.gateway.looking.listen(f"{HERE}/events", Last_Event_ID=last_id) as events:
        came = [event.id for event in itertools.islice((event for event in events if event.id), len(expected))]
    assert came == expected
    wait_until(lambda: watched.summary()["phase"] == "live", "the new gateway follows")


def test_a_campaign_that_has_ended_is_shown(tmp_path: Path) -> None:
    """By its folder, or by a folder of many; steering says that it does not run; nothing is changed by looking."""
    folder = stopped(campaign_file(tmp_path / "many"), results=3)
    before = contents(folder.root)
    with gateway(tmp_path / "tokens.json", tmp_path / "many") as opened:
        (listed,) = opened.looking.ask("/api/v1/campaigns").json["campaigns"]
        assert (listed["key"], listed["running"]) == ("tiny", False)
        here = "/api/v1/campaigns/tiny"
        wait_until(lambda: opened.looking.ask(here).json["phase"] == "ended", "the log is read")
        body = opened.looking.ask(here).json
        assert body["counts"]["failed"] == 3
        with opened.looking.listen(f"{here}/events?since=0-0") as events:
            seen = list(itertools.islice((event for event in events if event.id), body["events"]))
        assert seen[-1].id == body["last_id"]
        with opened.looking.listen(f"{here}/events", Last_Event_ID="1-0") as events:
            assert [event.id for event in itertools.islice(events, len(seen))] == [event.id for event in seen]
        assert len(opened.looking.ask(f"{here}/log?since=1-0").json["events"]) == body["events"]
        assert opened.looking.ask(f"{here}/results/c1").json["result"]["candidate"]["candidate_id"] == "c1"
        began_s = time.monotonic()
        answer = opened.steering.ask(f"{here}/requests/stop", "POST", {})
        assert (answer.code, answer.json["error"]) == (503, "NotRunning")
        assert time.monotonic() - began_s < 10.0
    assert contents(folder.root) == before
