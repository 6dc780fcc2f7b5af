"""Users of the private Redis server: what a role's credentials can do, and what they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import redis

from moireloop_broker.connection import Connection, free_port, new_password, read_connection, write_connection
from moireloop_broker.folder import ROLES, CampaignFolder, Role
from moireloop_broker.service.redis_server import start_redis
from moireloop_broker.state.event_log import EventLog
from moireloop_broker.state.settings_store import write_settings
from tests.helpers.connections import connection_of
from tests.helpers.servers import found_servers
from tests.integration.broker.test_servers import KEYS, all_state_changes

SERVERS = found_servers()

FORBIDDEN = (
    ("CONFIG", "GET", "*"), ("CONFIG", "SET", "maxmemory", "1"), ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"),
    ("SCAN", "0"), ("RANDOMKEY",), ("DBSIZE",), ("ACL", "LIST"), ("ACL", "SETUSER", "worker", "+@all"),
    ("CLIENT", "LIST"), ("CLIENT", "KILL", "TYPE", "normal"), ("SHUTDOWN", "NOSAVE"), ("BGREWRITEAOF",), ("SAVE",),
    ("LATENCY", "LATEST"),
    ("INFO",), ("MONITOR",), ("REPLICAOF", "NO", "ONE"), ("SCRIPT", "FLUSH"), ("SUBSCRIBE", "x"), ("SLOWLOG", "GET"),
    ("RENAME", "moireloop:servers:log", "moireloop:servers:queue"), ("MODULE", "LIST"),
)  # fmt: skip
"""What looks beyond the campaign's data, or at the server."""

OTHERS = ("moireloop:other:log", "moireloop:serversx:log", "settings", "", "moireloop:servers:of-nobody")


@pytest.fixture(params=SERVERS)
def connection(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A private server as the broker starts it, by each program that is found here; its keys for the broker."""
    path = tmp_path / "bin"
    path.mkdir()
    (path / "redis-server").symlink_to(SERVERS[request.param])
    monkeypatch.setenv("PATH", str(path))
    url = f"redis://:{new_password()}@127.0.0.1:{free_port('127.0.0.1')}/0"
    users = {role: new_password() for role in ROLES}
    made = connection_of("servers", tmp_path, url, private_redis=True, redis_users=users)
    server = start_redis(made)
    assert server is not None
    yield made
    server.stop()


def refused(client: redis.Redis, *command: str) -> bool:
    """Whether a user may not give this command."""
    try:
        client.execute_command(*command)  # type: ignore[no-untyped-call]
    except redis.exceptions.NoPermissionError:
        return True
    return False


@pytest.mark.parametrize("role", ROLES)
def test_each_role_can_make_every_state_change(connection: Connection, role: Role) -> None:
    """All Lua scripts run as its user, on the campaign's keys."""
    with connection.of_role(role).open_redis() as client:
        all_state_changes(client)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reads_the_log_in_blocks(connection: Connection, role: Role) -> None:
    """As the optimizer and the analyzers' learners do; which parts are archived they may only read."""
    with connection.open_redis() as everything, connection.of_role(role).open_redis() as client:
        all_state_changes(everything)
        entries = list(EventLog(everything, KEYS).replay())
        assert entries
        assert list(EventLog(client, KEYS).replay()) == entries
        assert refused(client, "RPUSH", KEYS.archived, "x")


@pytest.mark.parametrize("role", ROLES)
def test_roles_reach_the_campaigns_data_alone(connection: Connection, role: Role) -> None:
    """No command that looks at the server or at other keys; no key of anybody else's, by a script neither."""
    with connection.open_redis() as everything:
        everything.set("moireloop:other:log", "theirs")
        with connection.of_role(role).open_redis() as client:
            allowed = [command for command in FORBIDDEN if not refused(client, *command)]
            assert allowed == []
            assert [key for key in OTHERS if not refused(client, "GET", key)] == []
            assert [key for key in OTHERS if not refused(client, "DEL", key)] == []
            for text in (
                "redis.call('GET', 'moireloop:other:log')",
                "redis.call('FLUSHALL')",
                "redis.call('KEYS', '*')",
            ):
                with pytest.raises(redis.ResponseError, match=r"ACL|permission|NOPERM"):
                    client.eval(f"return {text}", 0)
            assert client.eval("return redis.call('HINCRBY', KEYS[1], 'x', 2)", 1, KEYS.counters) == 2
        assert everything.get("moireloop:other:log") == b"theirs"


@pytest.mark.parametrize("role", ROLES)
def test_settings_are_read_and_never_changed(connection: Connection, role: Role) -> None:
    """They name the code that services load: a worker that was taken over cannot have the optimizer run another."""
    with connection.open_redis() as everything:
        write_settings(everything, KEYS, {"optimizer": {"strategy": "auto"}})
        if int(cast("dict[str, str]", everything.info())["redis_version"].split(".")[0]) < 7:
            pytest.skip("Redis 6 knows no keys that may be read alone")
    with connection.of_role(role).open_redis() as client:
        assert client.hget(KEYS.settings, "optimizer")
        assert refused(client, "HSET", KEYS.settings, "optimizer", "{}")
        assert refused(client, "DEL", KEYS.settings)
        assert refused(client, "EVAL", "return redis.call('DEL', KEYS[1])", "1", KEYS.settings)
        assert refused(client, "HSET", KEYS.identity, "id", "other")


def test_passwords_of_roles_differ(connection: Connection) -> None:
    """Nor does anybody get in without one."""
    url = connection.of_role("worker").redis_url
    for wrong in (url.replace("worker:", "optimizer:"), url.replace("worker:", ":"), url.replace("worker:", "nobody:")):
        with redis.Redis.from_url(wrong, protocol=2) as client, pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()


def test_workers_connection_file_has_only_their_secrets(connection: Connection, tmp_path: Path) -> None:
    """Neither the other users' passwords, nor the one that may do everything, nor the key of the services' sockets."""
    path = CampaignFolder(tmp_path).connection_of("worker")
    write_connection(connection.of_role("worker"), path)
    text = path.read_text()
    assert connection.redis_users is not None
    secrets = [connection.redis_url.split("@")[0].rpartition(":")[2], connection.curve.server_secret]
    secrets += [password for role, password in connection.redis_users.items() if role != "worker"]
    assert [secret for secret in secrets if secret in text] == []
    assert connection.redis_users["worker"] in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_connection(path).curve.client_secret == connection.curve.client_secret
