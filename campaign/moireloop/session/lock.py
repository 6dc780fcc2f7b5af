"""The lock of a campaign's folder, which says which process runs the campaign (adapter)."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from moireloop_broker.folder import CampaignFolder
from moireloop_broker.processes.file_lock import is_locked, locks_within

LOCK_PATIENCE_S: Final = 0.2
"""Outlasts somebody else's short look at who holds the lock."""


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

    The kernel gives the lock back when the process ends, however it ends. The folder must exist.

    Raises:
        CampaignIsRunning: another process holds it.
    """
    descriptor = os.open(folder.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not locks_within(descriptor, LOCK_PATIENCE_S):
            raise held_by(folder, _read_holder(descriptor))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def refuse_if_held(folder: CampaignFolder) -> None:
    """Nothing when nobody runs the campaign. Raises CampaignIsRunning."""
    if (holder := holder_of(folder)) is not None:
        raise held_by(folder, holder)


def holder_of(folder: CampaignFolder) -> Holder | None:
    """The process that runs the campaign now, or None when nobody does.

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


def held_by(folder: CampaignFolder, holder: Holder) -> CampaignIsRunning:
    return CampaignIsRunning(
        f"the campaign in {folder.root} is being run by {holder}; stop it first, or watch it with `moireloop watch`"
    )


def _read_holder(descriptor: int) -> Holder:
    try:
        fields = json.loads(os.pread(descriptor, 4096, 0))
        return Holder(int(fields["pid"]), str(fields["host"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "an unknown host")
