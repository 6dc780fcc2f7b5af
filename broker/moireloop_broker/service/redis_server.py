"""The private Redis server of a campaign: started in its folder, with a password, append-only file on (adapter)."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import redis

from moireloop_broker.connection import Connection
from moireloop_broker.files import write_synced
from moireloop_broker.network.addresses import bind_address
from moireloop_broker.processes.file_lock import is_locked, locks_within
from moireloop_broker.processes.lifeline import lifeline_command
from moireloop_broker.service.redis_users import acl_lines
from moireloop_broker.service.server_programs import RedisUnavailable, find_server, major, version_of
from moireloop_broker.state.redis_client import open_impatient, responds

log = logging.getLogger(__name__)

READY_S = 60.0

STOP_S = 20.0

LOCK_NAME = "server.lock"

READS_APART = 7
"""The first version whose users may be let read a key and not change it."""

KEEPALIVE_S = 30
"""After so long without a sign of life the server lets go of a client whose host is gone."""

MOST_CLIENTS = 60_000

OWN_FILES = 128
"""Files of the server beside its connections."""

BACKLOG = 4096
"""Connections that may wait to be taken up; the kernel's net.core.somaxconn bounds them too."""

COMPACT_BYTES = 512
"""Hashes and series of few and no longer values are kept without a pointer for each (redis.io/docs, memory
optimization): a candidate and the points of its series are."""

TLS_FILES = ("tls-certificate.pem", "tls-key.pem")
"""Certificate and key in the server's folder."""


def most_clients() -> int:
    """How many connections a server that is started here may have: each is an open file (`ulimit -Hn`)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_CLIENTS if hard == resource.RLIM_INFINITY else hard - OWN_FILES
    return max(OWN_FILES, min(MOST_CLIENTS, files))


def serves(client: redis.Redis, folder: Path) -> bool:
    """Whether the server at the other end keeps its data in this folder. Raises redis.RedisError."""
    place = cast("dict[str, str]", client.config_get("dir")).get("dir", "")
    with contextlib.suppress(OSError):
        return Path(place).samefile(folder)
    return False


def holder_of_data(folder: Path) -> str | None:
    """The process id, as text, of the server that holds a folder of a private Redis server; None where none does."""
    try:
        lock = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        if is_locked(lock):
            return os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(lock)
    return None


@dataclass(frozen=True)
class Users:
    """Who may use the keys of a campaign beside the default user: passwords by role."""

    campaign: str
    passwords: Mapping[str, str]


class RedisServer:
    """One server process, its data in `folder`; started again by `ensure` when it has died.

    Args:
        folder: with a TLS server, certificate and key lie there as `TLS_FILES`.
        users: further users and their rights; by default none.
        url: by which it is reached; by default without TLS. With the scheme rediss it speaks only TLS.
    """

    def __init__(
        self, folder: Path, host: str, port: int, password: str, users: Users | None = None, url: str | None = None
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self.url = url or f"redis://:{password}@{host}:{port}/0"
        self._password = password
        self._users = users
        self._by_tls = self.url.startswith("rediss:")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it responds; one left over from an earlier broker is ended first.

        The server inherits a lock of its folder, so that there are never two on one append-only file, also when
        an earlier one on another port is slow to end.

        Raises:
            RedisUnavailable: it ended or did not respond in time, the text has the end of its log; or an earlier
                server keeps the folder.
        """
        self._end_left_over()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = find_server(self.folder, tls=self._by_tls)
        version = version_of(program)
        lock = self._lock_folder()
        try:
            config = self._write_config(reads_apart=major(version) >= READS_APART)
            command = lifeline_command([program, "-"], signal.SIGTERM)
            with config.open("rb") as text:  # as input: a server takes [ and * in a file's name for a pattern
                self._process = subprocess.Popen(  # noqa: S603
                    command, cwd=self.folder, stdin=text, start_new_session=True, pass_fds=[lock]
                )
            os.pwrite(lock, f"{self._process.pid}\n".encode(), 0)
        finally:
            os.close(lock)
        self._wait_until_ready()
        log.info("redis started port=%d pid=%d", self.port, self._process.pid)

    def ensure(self) -> bool:
        """Start the server again if its process has ended; True when that was needed."""
        if self._process is not None and self._process.poll() is None:
            return False
        log.warning("redis ended unexpectedly, restarting it")
        self.start()
        return True

    def stop(self) -> None:
        """End the server; everything acknowledged is in its append-only file."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _end_left_over(self) -> None:
        """End a server on this very folder. One of another folder, as of a copy of it, is not ours to end."""
        if not responds(self.url):
            return
        with contextlib.suppress(redis.RedisError), contextlib.closing(open_impatient(self.url, STOP_S)) as client:
            if not serves(client, self.folder):
                raise RedisUnavailable(f"another server responds on port {self.port}, with its data in another folder")
            client.shutdown(nosave=True)
        deadline = time.monotonic() + STOP_S
        while responds(self.url) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _lock_folder(self) -> int:
        """A descriptor that holds the folder's lock; the kernel frees it when the last process that has it ends."""
        lock = os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        if not locks_within(lock, STOP_S):
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
            os.close(lock)
            raise RedisUnavailable(
                f"an earlier server (process {holder or 'unknown'}) does not end and still uses {self.folder}"
            )
        os.ftruncate(lock, 0)
        return lock

    def _write_config(self, *, reads_apart: bool) -> Path:
        config = self.folder / "redis.conf"
        certificate, key = TLS_FILES
        tls = (f"tls-port {self.port}", f"tls-cert-file {certificate}", f"tls-key-file {key}", "tls-auth-clients no")
        lines = (
            f"bind {bind_address(self.host)}",
            *(("port 0", *tls) if self._by_tls else (f"port {self.port}",)),
            f"requirepass {self._password}",
            *(acl_lines(self._users.passwords, self._users.campaign, reads_apart=reads_apart) if self._users else ()),
            "dir ./",
            "appendonly yes",
            "appendfsync everysec",
            "aof-use-rdb-preamble no",
            'save ""',
            "daemonize no",
            'logfile "redis.log"',
            "databases 1",
            "proto-max-bulk-len 4gb",
            "client-query-buffer-limit 4gb",
            f"tcp-keepalive {KEEPALIVE_S}",
            f"maxclients {most_clients()}",
            f"hash-max-ziplist-value {COMPACT_BYTES}",
            f"zset-max-ziplist-value {COMPACT_BYTES}",
            f"tcp-backlog {BACKLOG}",
        )
        write_synced(config, "\n".join(lines) + "\n")
        return config

    def _wait_until_ready(self) -> None:
        process = self._process
        if process is None:
            raise RedisUnavailable("the server was not started")
        deadline = time.monotonic() + READY_S
        while not responds(self.url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RedisUnavailable(f"redis-server on port {self.port} is not ready: {self._log_tail()}")
            time.sleep(0.02)

    def _log_tail(self) -> str:
        path = self.folder / "redis.log"
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return " | ".join(lines[-3:]) or "it wrote no log"


def start_redis(connection: Connection) -> RedisServer | None:
    """The campaign's private Redis server, started; None when the campaign joins another one.

    Raises:
        RedisUnavailable: it does not start.
    """
    url = urlsplit(connection.redis_url)
    if not connection.private_redis:
        if not responds(connection.redis_url):
            log.warning("redis does not respond yet host=%s", url.hostname)
        return None
    if url.hostname is None or url.port is None or url.password is None:
        raise RedisUnavailable("expected host, port and password in the URL of the private Redis server")
    users = Users(connection.campaign, connection.redis_users) if connection.redis_users else None
    folder = Path(connection.folder) / "redis"
    server = RedisServer(folder, url.hostname, url.port, url.password, users, connection.redis_url)
    server.start()
    return server
