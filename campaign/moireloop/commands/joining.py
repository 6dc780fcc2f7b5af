"""`moireloop join`: workers of this machine, or of this allocation, for a campaign that runs elsewhere (main)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from moireloop.commands.started import NeverStarted, started
from moireloop.terminal.console import say
from moireloop_broker.contract.pool_names import refuse_pool_name, usual_pool_name
from moireloop_broker.folder import CampaignFolder
from moireloop_worker.pool.joined import JoinRequest
from moireloop_worker.pool.joined import join as join_campaign


def join(
    path: Path,
    *,
    name: str | None = None,
    workers: int | None = None,
    launcher: str | None = None,
    linger: float = 0.0,
) -> int:
    """Give a running campaign workers of this machine or allocation, until it ends.

    SIGTERM or Ctrl-C ends the pool before that: its workers give back what they hold.
    """
    pool = name or usual_pool_name(socket.gethostname(), os.environ)
    refuse_pool_name(pool)
    file = connection_file(path)
    join_campaign(JoinRequest(file, pool, workers, launcher, linger), say)
    return 0


def connection_file(path: Path) -> Path:
    """The connection file that somebody means: itself, that of a campaign's folder, or that of a campaign file.

    Raises:
        CampaignFileError, NeverStarted: no campaign is there.
    """
    if path.is_dir():
        folder = CampaignFolder(path.resolve())
        if not (folder.was_started or folder.connection_file.exists()):
            raise NeverStarted(f"{path}: expected a campaign's folder, with a connection file in it; it has none")
        return of_the_workers(folder)
    if path == CampaignFolder(path.parent).connection_file:
        return of_the_workers(CampaignFolder(path.absolute().parent))
    if path.suffix == ".json":
        return path.absolute()
    return of_the_workers(CampaignFolder(started(path).folder))


def of_the_workers(folder: CampaignFolder) -> Path:
    """The connection file of a folder with what workers need and no more; sessions of earlier versions have none."""
    own = folder.connection_of("worker")
    return own if own.exists() else folder.connection_file
