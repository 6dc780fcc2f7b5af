"""`moireloop service`: a single service of a campaign, under a batch script, systemd or in a container (main)."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Final

from moireloop.commands.started import connection_file
from moireloop.terminal.console import say
from moireloop_broker.contract.pool_names import PoolNameRefused, refuse_pool_name, usual_pool_name
from moireloop_broker.extras import refuse_without
from moireloop_broker.folder import Role

EXTRAS = {
    "broker": "broker",
    "analyzer": "analyzer",
    "optimizer": "optimizer",
    "workers": "worker",
    "conductor": "broker",
}

ROLES: Final[dict[str, Role | None]] = {
    "broker": None,
    "analyzer": "analyzer",
    "optimizer": "optimizer",
    "workers": "worker",
    "conductor": None,
}


class ConductorRuns(ValueError):
    """The conductor does not run as a single service; the text says how it is started."""


def service(
    path: Path,
    *,
    kind: str,
    name: str | None = None,
    workers: int | None = None,
    launcher: str | None = None,
    patience: float = 600.0,
    linger: float = 0.0,
    check: bool = False,
) -> int:
    """Run a single service: wait for the campaign and serve it until it ends.

    Raises:
        ConductorRuns: the request was to start the conductor, not to check it.
    """
    if kind == "conductor" and not check:
        raise ConductorRuns(f"expected --check, got none: `moireloop run {path} --services elsewhere` is the conductor")
    refuse_without(f"moireloop service {kind}", (EXTRAS[kind],))
    own = instance_name(kind, name)
    file = connection_file(path, ROLES[kind], waits=True)
    if check:
        from moireloop.services.checking import check_service

        works, line = check_service(kind, own, file)
        say(line)
        return 0 if works else 1
    if kind == "workers":
        from moireloop_worker.pool.joined import JoinRequest, join

        join(JoinRequest(file, own, workers, launcher, linger, patience), say)
        return 0
    from moireloop.services.alone import ServiceRequest, serve_alone

    serve_alone(ServiceRequest(kind, own, file, patience, linger), say)
    return 0


def instance_name(kind: str, name: str | None) -> str:
    """The name of this instance of a service: each analyzer and pool has its own, from its host.

    Raises:
        PoolNameRefused: it cannot have the name that was asked for.
    """
    if kind in ("broker", "optimizer", "conductor"):
        if name not in (None, kind):
            raise PoolNameRefused(f"--name: a campaign has one {kind}, which is called {kind!r}, got {name!r}")
        return kind
    own = name or usual_pool_name(socket.gethostname(), os.environ)
    refuse_pool_name(own)
    return own if kind == "workers" or re.match("analyzer-", own) else f"analyzer-{own}"
