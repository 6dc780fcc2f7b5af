"""The lock of a campaign's folder, which says which process runs the campaign (adapter)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from moireloop_broker.folder import CampaignFolder
from moireloop_broker.network.listening import is_listened_at
from moireloop_broker.processes.file_lock import is_locked, locks_within

if TYPE_CHECKING:
    import redis

    from moireloop_broker.connection import Connection

LOCK_PATIENCE_S: Final = 0.2
"""Outlasts another process's short look at who holds the lock."""


BEAT_S: Final = 1.0

SILENT_S: Final = 5.0
"""A process of another host that has not shown for so long that it lives does not run the campaign any more."""

LOOK_S: Final = 0.1

UNKNOWN: Final = "an unknown host"

ANSWER_S: Final = 5.0
"""How long a Redis server that is asked who runs a campaign may take."""


class CampaignIsRunning(RuntimeError):
    """Another process runs the campaign of this folder; the text says which."""


@dataclass(frozen=True)
class Holder:
    """The process that holds, or last held, the lock of a folder."""

    pid: int
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def locked(folder: CampaignFolder) -> Iterator[None]:
    """Hold the folder for this process, so that no second one runs the same campaign.

    The kernel gives the lock back when the process ends, however it ends. The folder must exist. A file system may keep
    locks to one host: for the others the file's time of change shows that the process lives.

    Raises:
        CampaignIsRunning: another process holds it.
    """
    descriptor = os.open(folder.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not locks_within(descriptor, LOCK_PATIENCE_S):
            raise held_by(folder, _read_holder(descriptor))
        _refuse_if_it_beats(folder, _read_holder(descriptor))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        with _beating(descriptor):
            try:
                yield
            finally:
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _refuse_if_it_beats(folder: CampaignFolder, holder: Holder) -> None:
    """Nothing where no process of another host shows that it lives: that one ended, or says nothing for SILENT_S.

    Clocks of hosts are not compared. The file is reopened each time, so that a network file system asks its server.
    """
    if holder.host in (UNKNOWN, socket.gethostname()):
        return
    before, deadline_s = folder.lock_file.stat().st_mtime_ns, time.monotonic() + SILENT_S
    while time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
        with folder.lock_file.open("rb") as file:
            if os.fstat(file.fileno()).st_mtime_ns != before:
                raise held_by(folder, holder)


@contextmanager
def _beating(descriptor: int) -> Iterator[None]:
    """Change the time of an open file now and then, as long as the block lasts."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            with contextlib.suppress(OSError):
                os.utime(descriptor)

    thread = threading.Thread(target=beat, name="lock-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def refuse_if_held(folder: CampaignFolder) -> None:
    """Does nothing if no process runs the campaign. Raises CampaignIsRunning."""
    if (holder := holder_of(folder)) is not None:
        raise held_by(folder, holder)


def refuse_if_running(folder: CampaignFolder) -> None:
    """Nothing when no session of the campaign runs. Raises CampaignIsRunning."""
    if is_running(folder):
        raise CampaignIsRunning(
            f"the campaign in {folder.root} is running; reach it with moireloop.connect({str(folder.root)!r})"
        )


def holder_of(folder: CampaignFolder) -> Holder | None:
    """The process that runs the campaign now, or None.

    The file is only read. A file system without locks cannot hold a campaign that runs.
    """
    try:
        descriptor = os.open(folder.lock_file, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _read_holder(descriptor) if is_locked(descriptor) else None
    finally:
        os.close(descriptor)


def is_running(folder: CampaignFolder) -> bool:
    """Whether a session of the campaign runs: by its lock or, where that was deleted, by its private Redis server.

    A server of another folder, such as the original of a copy, says nothing of this one.
    """
    return holder_of(folder) is not None or _redis_knows(folder)


def _redis_knows(folder: CampaignFolder) -> bool:
    from moireloop_broker.connection import NoConnectionFile, read_connection

    with contextlib.suppress(ImportError, NoConnectionFile):  # without redis: a client, on whose machine nothing runs
        connection = read_connection(folder.connection_file)
        return connection.private_redis and bool(is_conducted(connection, folder))
    return False


def is_conducted(connection: Connection, folder: CampaignFolder) -> bool | None:
    """Whether a conductor is connected to a campaign's Redis server.

    None where that server does not respond, or is a private one of another folder.
    """
    if not is_listened_at(connection.redis_url, ANSWER_S):
        return None
    import redis

    from moireloop_broker.service.redis_server import serves
    from moireloop_broker.state.redis_client import open_impatient

    client = open_impatient(connection.redis_url, ANSWER_S)
    with contextlib.closing(client), contextlib.suppress(redis.RedisError):
        if not connection.private_redis or serves(client, folder.redis):
            return conductor_of(client, connection.campaign) is not None
    return None


def conductor_name(campaign: str, session: str) -> str:
    """What a conductor calls its connection to Redis, so that others see that it lives."""
    return f"moireloop:{campaign}:conductor:{session}"


def conductor_of(client: redis.Redis, campaign: str) -> str | None:
    """The name of the connection of the conductor that runs a campaign now. Raises redis.RedisError."""
    names = [str(row.get("name", "")) for row in client.client_list()]
    return next((name for name in names if name.startswith(conductor_name(campaign, ""))), None)


def held_by(folder: CampaignFolder, holder: Holder) -> CampaignIsRunning:
    return CampaignIsRunning(
        f"the campaign in {folder.root} is being run by {holder}; stop it first, or watch it with `moireloop watch`"
    )


def _read_holder(descriptor: int) -> Holder:
    try:
        fields = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(int(fields["pid"]), str(fields["host"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, UNKNOWN)
