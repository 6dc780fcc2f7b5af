"""A gateway that others reach: TLS by files, one origin that is named, and a limit for each address."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from moireloop.cli import main
from moireloop_broker.network.certificate import new_certificate
from tests.helpers.gateways import RunningGateway, gateway
from tests.helpers.http import Answer, Caller
from tests.helpers.stopped_campaigns import campaign_file, stopped

ORIGIN = "https://notebook.example"

CAMPAIGNS = "/api/v1/campaigns"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign that has ended, and two certificates with their keys beside it."""
    place = tmp_path_factory.mktemp("tls")
    stopped(campaign_file(place / "campaigns"), results=1)
    for name in ("own", "other"):
        made = new_certificate(name)
        (place / f"{name}.pem").write_text(made.certificate)
        (place / f"{name}.key").write_text(made.key)
    return place


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[RunningGateway]:
    """A gateway with TLS, for pages of one origin."""
    options = ("--certificate", folder / "own.pem", "--key", folder / "own.key", "--origin", ORIGIN)
    with gateway(folder / "tokens.json", folder / "campaigns", *options) as running:
        yield running


def ask(opened: RunningGateway, folder: Path, method: str = "GET", **headers: str) -> Answer:
    """One request over TLS, by the certificate alone."""
    trusted = ssl.create_default_context(cafile=str(folder / "own.pem"))
    trusted.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", opened.port, timeout=30, context=trusted)
    try:
        given = {"Authorization": f"Bearer {opened.observer}", **headers}
        connection.request(method, CAMPAIGNS, None, given)
        reply = connection.getresponse()
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def test_tls_by_files(opened: RunningGateway, folder: Path) -> None:
    """Whoever trusts the certificate is served; without TLS nobody is."""
    answer = ask(opened, folder)
    assert (answer.code, len(answer.json["campaigns"])) == (200, 1)
    with pytest.raises((http.client.HTTPException, OSError)):
        Caller(opened.port, opened.observer).ask(CAMPAIGNS)


def test_one_origin_is_let_in(opened: RunningGateway, folder: Path) -> None:
    """The one that was named may read, with its own token and no cookie; any other learns nothing."""
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    for answer in (ask(opened, folder, Origin=ORIGIN), ask(opened, folder, "OPTIONS", **preflight)):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-origin" not in ask(opened, folder, Origin="https://other.example").headers


def test_one_address_asks_so_often_and_no_more(opened: RunningGateway, folder: Path) -> None:
    """Beyond its burst it gets 429 with a line; a little later it is served again."""
    trusted = ssl.create_default_context(cafile=str(folder / "own.pem"))
    trusted.check_hostname = False
    connection = http.client.HTTPSConnection("127.0.0.1", opened.port, timeout=30, context=trusted)
    refused = None
    for _ in range(3000):
        connection.request("GET", CAMPAIGNS, None, {"Authorization": "Bearer wrong"})
        reply = connection.getresponse()
        body = reply.read()
        if reply.status == 429:
            refused = json.loads(body)
            break
    connection.close()
    assert refused is not None
    assert refused["error"] == "TooManyRequests"


@pytest.mark.parametrize(
    ("certificate", "key"), [("own.pem", "other.key"), ("own.key", "own.pem"), ("none", "own.key")]
)
def test_wrong_files_are_named(folder: Path, certificate: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line names both, and nothing listens."""
    files = ["--certificate", str(folder / certificate), "--key", str(folder / key)]
    assert main(["dashboard", str(folder / "campaigns"), "--port", "0", *files]) == 2
    said = capsys.readouterr().err
    assert "PEM" in said
    assert len(said.strip().splitlines()) == 1
