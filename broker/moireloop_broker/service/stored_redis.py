"""The state of a campaign that is not running, read by a server for a moment from a copy of its files (adapter).

Nothing is written to the campaign's folder, no lock is taken, and no other server is touched. The server reads while
this process imports the library of Redis, so that a look is quick.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from moireloop_broker.processes.lifeline import lifeline_command
from moireloop_broker.service.server_programs import RedisUnavailable, find_server

if TYPE_CHECKING:
    import redis

DATA_NAMES = ("appendonly.aof", "appendonlydir", "dump.rdb")

READY_S = 600.0

LONGEST_PLACE = 80

SOCKET_NAME = "s"

MARKED_BYTES = 65536

CONFIG = (
    "port 0",
    f"unixsocket {SOCKET_NAME}",
    "unixsocketperm 700",
    "dir ./",
    "appendonly yes",
    "appendfsync no",
    "auto-aof-rewrite-percentage 0",
    "aof-load-truncated yes",
    'save ""',
    "daemonize no",
    'logfile "redis.log"',
    "databases 1",
)


def has_data(folder: Path) -> bool:
    """Whether the folder of a private Redis server holds anything that was ever written."""
    return any(path.stat().st_size > 0 for path in _data_files(folder) if path.suffix in (".aof", ".rdb"))


def data_mark(folder: Path) -> str:
    """A word that changes with the data of a private Redis server that has ended: with what was written since.

    Files only grow, or take the place of others under other names. Sizes and ends are looked at, so that a mark takes
    no time that grows with them. Empty where there are none, or they cannot be read.
    """
    digest = hashlib.sha256()
    with contextlib.suppress(OSError):
        paths = sorted(_data_files(folder))
        for path in paths:
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            with path.open("rb") as file:
                file.seek(max(0, size - MARKED_BYTES))
                digest.update(file.read(MARKED_BYTES))
        return digest.hexdigest() if paths else ""
    return ""


@contextmanager
def stored_redis(folder: Path) -> Iterator[redis.Redis]:
    """A connection to the state that a campaign's private Redis server has left in `folder`.

    The copy goes as soon as the server has read it, so that nothing is left whatever ends this process.

    Raises:
        RedisUnavailable: the append-only file cannot be read; the text has the server's last words, or says that
            every server here is too old for it.
        OSError: the folder cannot be read, or there is no room for the copy.
    """
    with contextlib.ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="moireloop-look-", dir=_short_place()))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        _copy_data(folder, place)
        (place / "redis.conf").write_text("\n".join(CONFIG) + "\n", encoding="utf-8")
        command = lifeline_command([find_server(folder), "-"], signal.SIGKILL)
        with (place / "redis.conf").open("rb") as text:
            process = subprocess.Popen(  # noqa: S603
                command, cwd=place, stdin=text, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        stack.callback(_end, process)
        client = _connected(process, place, folder)
        stack.enter_context(contextlib.closing(client))
        shutil.rmtree(place, ignore_errors=True)
        yield client


def _short_place() -> str:
    """A place whose path leaves room for a Unix socket's (man 7 unix: 107 bytes)."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) < LONGEST_PLACE else "/tmp"  # noqa: S108


def _data_files(folder: Path) -> Iterator[Path]:
    for name in DATA_NAMES:
        path = folder / name
        yield from (path.iterdir() if path.is_dir() else [path] if path.is_file() else [])


def _copy_data(folder: Path, place: Path) -> None:
    """Raises OSError: one line, also where several files could not be copied."""
    try:
        _copy_files(folder, place)
    except shutil.Error as error:
        _, _, first = error.args[0][0]
        raise OSError(f"cannot copy {folder} to {place.parent} to read it: {first}") from error


def _copy_files(folder: Path, place: Path) -> None:
    for name in DATA_NAMES:
        source = folder / name
        if source.is_dir():
            shutil.copytree(source, place / name, copy_function=shutil.copyfile)
            (place / name).chmod(0o700)
        elif source.is_file():
            shutil.copyfile(source, place / name)


def _connected(process: subprocess.Popen[bytes], place: Path, folder: Path) -> redis.Redis:
    """One connection that stays open, since the socket's name goes with the copy."""
    import redis

    deadline = time.monotonic() + READY_S
    path = place / SOCKET_NAME
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists():
            with contextlib.suppress(redis.RedisError):
                client = redis.Redis.from_pool(_one_connection(path))
                client.ping()
                return client
        time.sleep(0.01)
    raise RedisUnavailable(f"the append-only file in {folder} cannot be read: {_last_words(place / 'redis.log')}")


def _one_connection(path: Path) -> redis.BlockingConnectionPool:
    """A pool of one connection, which commands and pipelines share."""
    import redis

    return redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]
        max_connections=1,
        timeout=None,
        connection_class=redis.UnixDomainSocketConnection,
        path=str(path),
        socket_timeout=READY_S,
        protocol=2,
    )


def _last_words(log_file: Path) -> str:
    lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines() if log_file.exists() else []
    return " | ".join(lines[-3:]) or "the server wrote no log"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
