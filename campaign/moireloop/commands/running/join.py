"""`moireloop join`: workers of this machine, or of this allocation, for a campaign that runs elsewhere (main)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from moireloop.commands.started import connection_file
from moireloop.scheduling.until import end_of_option
from moireloop.terminal.console import say
from moireloop_broker.contract.pool_names import refuse_pool_name, usual_pool_name
from moireloop_worker.pool.joined import JoinRequest
from moireloop_worker.pool.joined import join as join_campaign


def join(
    path: Path,
    *,
    name: str | None = None,
    workers: int | None = None,
    launcher: str | None = None,
    linger: float = 0.0,
    until: str | None = None,
) -> int:
    """Add workers on this machine or in this allocation to a running campaign until it ends.

    SIGTERM or Ctrl-C ends the pool before that, and so does `until`: its workers give back what they hold.
    """
    pool = name or usual_pool_name(socket.gethostname(), os.environ)
    refuse_pool_name(pool)
    until_s = end_of_option(until)
    file = connection_file(path, "worker", waits=linger > 0)
    join_campaign(JoinRequest(file, pool, workers, launcher, linger, until_s=until_s), say)
    return 0
