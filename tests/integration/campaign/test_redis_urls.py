"""Each kind of redis.url: a campaign joins the server that it names, and its services work on it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from moireloop.campaign_file.load import load_campaign, read_campaign, refuse_unreachable
from moireloop.session.conductor import Conductor
from moireloop.session.lock import locked
from moireloop.session.startup import ServiceFailed
from moireloop_broker.connection import free_port
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.processes.clock import boot_s
from moireloop_broker.service.server_programs import find_server
from tests.helpers.stopped_campaigns import campaign_file
from tests.helpers.waiting import wait_until
from tests.integration.broker.test_state_watch import full, password, read_only

QUICKER = 6.0
"""So many times as fast goes the clock by which the conductor measures how long a server has refused it."""

MINUTE_S = 60.0


@pytest.fixture
def port() -> int:
    """A port that is free."""
    return free_port("127.0.0.1")


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[Path]:
    """A server of somebody else's, on a port and on a Unix socket; its folder."""
    config = f'port {port}\nbind 127.0.0.1\nunixsocket {tmp_path}/s.sock\nsave ""\ndatabases 4\n'
    with subprocess.Popen([find_server(), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(config.encode())
        process.stdin.close()
        wait_until(lambda: (tmp_path / "s.sock").exists(), "the server listens")
        yield tmp_path
        process.terminate()


@contextlib.contextmanager
def tls(folder: Path, behind: int) -> Iterator[int]:
    """A port on which TLS is taken off for the server behind it; the certificate is `cert.pem` in the folder."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", *subject],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, context, behind), daemon=True).start()
        yield int(listening.getsockname()[1])


def _accept(listening: socket.socket, context: ssl.SSLContext, behind: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client = listening.accept()[0]
            threading.Thread(target=_serve, args=(client, context, behind), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, behind: int) -> None:
    with (
        client,
        contextlib.suppress(OSError),
        context.wrap_socket(client, server_side=True) as outside,
        socket.create_connection(("127.0.0.1", behind)) as inside,
    ):
        while True:
            ready = [outside] if outside.pending() else select.select([outside, inside], [], [])[0]
            for end, other in ((outside, inside), (inside, outside)):
                if end in ready:
                    if not (data := end.recv(65536)):
                        return
                    other.sendall(data)


@contextlib.contextmanager
def begun_on(url: str, folder: Path, without: tuple[str, ...]) -> Iterator[Conductor]:
    """A campaign that has started on the server of a URL."""
    file = campaign_file(folder / "a", f'[redis]\nurl = "{url}"\n')
    campaign = load_campaign(file, "run", cores=8)
    refuse_unreachable(read_campaign(file))
    place = CampaignFolder(campaign.folder)
    place.create()
    conductor = Conductor(campaign, place, resumed=False, without=without)
    with locked(place):
        try:
            conductor.start()
            progress = wait_until(conductor.step, "a look at the state")
            assert progress.state == "started"
            yield conductor
        finally:
            conductor.close()


def begins_on(url: str, folder: Path, *, without: tuple[str, ...] = ("optimizer", "pool", "analyzer-0")) -> None:
    """A campaign begins on the server of a URL, its candidates run where there is a pool, and it leaves its state."""
    with begun_on(url, folder, without) as conductor:
        if "pool" not in without:
            wait_until(lambda: (seen := conductor.step()) and seen.analysing, "a candidate has run", 100)


def test_unix(server: Path, port: int) -> None:
    """All services through a Unix socket: broker, optimizer and workers."""
    begins_on(f"unix://{server}/s.sock", server, without=("analyzer-0",))
    with redis.Redis(port=port, protocol=2) as client:
        assert client.exists("moireloop:tiny:log")


def test_unix_with_a_database(server: Path, port: int) -> None:
    """The database of the option `db`."""
    begins_on(f"unix://{server}/s.sock?db=1", server)
    with redis.Redis(port=port, db=1, protocol=2) as client:
        assert client.exists("moireloop:tiny:log")


def test_redis_with_a_database(server: Path, port: int) -> None:
    """The database of the path."""
    begins_on(f"redis://127.0.0.1:{port}/2", server)
    with redis.Redis(port=port, db=2, protocol=2) as client:
        assert client.exists("moireloop:tiny:log")


def test_rediss(server: Path, port: int) -> None:
    """Over TLS, the certificate checked against the one that the URL names."""
    with tls(server, port) as secured:
        begins_on(f"rediss://localhost:{secured}/0?ssl_ca_certs={server}/cert.pem", server)
    with redis.Redis(port=port, protocol=2) as client:
        assert client.exists("moireloop:tiny:log")


@pytest.mark.parametrize(
    ("refuse", "words"), [(password, "Authentication required"), (read_only, "read only"), (full, "maxmemory")]
)
def test_server_that_turns_against_its_campaign_ends_the_session(
    refuse: Callable[[redis.Redis], Callable[[], object]],
    words: str,
    server: Path,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Services run, then the server refuses them: the session ends with its words, within a minute of its clock."""
    began_s = boot_s()
    monkeypatch.setattr("moireloop.session.conductor.boot_s", lambda: began_s + QUICKER * (boot_s() - began_s))
    with begun_on(f"redis://127.0.0.1:{port}", server, without=("optimizer", "analyzer-0")) as conductor:
        wait_until(lambda: conductor.step() and conductor.has_begun, "the workers begin")
        with redis.Redis(port=port, protocol=2) as admin:
            mend = refuse(admin)
            refused_s = boot_s()
            try:
                with pytest.raises(ServiceFailed, match=f"(?i){words}"):
                    wait_until(lambda: conductor.step() and False, "the session ends with the reason", MINUTE_S)
                assert QUICKER * (boot_s() - refused_s) < MINUTE_S
            finally:
                mend()
