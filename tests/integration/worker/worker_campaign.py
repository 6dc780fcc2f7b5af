"""A campaign without services for the tests of the worker, and a look at the processes of this machine."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moireloop_broker.connection import Connection, write_connection
from moireloop_broker.contract.events import Candidate, Event
from moireloop_broker.service.redis_server import RedisServer
from moireloop_broker.state.campaign_state import CampaignState
from moireloop_broker.state.event_log import EventLog
from tests.helpers.connections import connection_of
from tests.helpers.waiting import wait_until
from tests.helpers.whole_queue import WholeQueue

_numbers = itertools.count()

SMALL_BEAD: dict[str, Any] = {
    "model": "bead",
    "cells": [6, 6],
    "melt_steps": 200,
    "equilibrate_steps": 50,
    "anneal_steps": 300,
    "quench_steps": 700,
}
LONG_BEAD = {**SMALL_BEAD, "anneal_steps": 2_000_000}


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that live and are no zombies."""
    return {pid for pid in pids if _stat(pid)[0] not in ("", "Z")}


def family(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {int(p.name): _stat(int(p.name))[1] for p in Path("/proc").iterdir() if p.name.isdigit()}
    found, size = {pid}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found


def ranks_of(pid: int) -> list[int]:
    """The ranks of a worker, among what descends from its mpiexec."""
    return sorted(p for p in family(pid) if b"python" in _words(p)[:1][0] and b"mpi4py" in _words(p)[1:3])


def _stat(pid: int) -> tuple[str, int]:
    """State and parent of a process, ("", 0) when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[1])


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]


@dataclass
class Campaign:
    """A campaign with a queue and a connection file, but without any service."""

    connection: Connection
    file: Path
    queue: WholeQueue
    log: EventLog
    state: CampaignState

    @property
    def folder(self) -> Path:
        return Path(self.connection.folder)

    @property
    def worker_command(self) -> list[str]:
        return [sys.executable, "-m", "mpi4py", "-m", "moireloop_worker", "--connection", str(self.file)]

    def propose(self, candidate_id: str, **parameters: float) -> None:
        values = {"temperature_k": 2000.0, "lattice_strain": 0.01, "shear_strain": 0.02, **parameters}
        candidate = Candidate(candidate_id=candidate_id, parameters=values, seed=7, proposed_s=time.time())
        assert self.queue.propose(candidate) == "queued"

    def events(self, kind: str) -> list[Any]:
        """All events of the log with this tag, oldest first."""
        entries: list[tuple[str, Event]] = self.log.read("0-0", 1000)
        return [event for _, event in entries if event.tag == kind]

    def wait_for(self, kind: str, count: int = 1) -> list[Any]:
        wait_until(lambda: len(self.events(kind)) >= count, f"{count} x {kind} in the log")
        return self.events(kind)


def new_campaign(server: RedisServer, folder: Path) -> Campaign:
    """A campaign that has started, its connection file in its own folder."""
    folder.mkdir()
    sockets = folder / "s"
    sockets.mkdir()
    connection = connection_of(f"worker{next(_numbers)}", folder, server.url, socket_folder=str(sockets))
    file = folder / "connection.json"
    write_connection(connection, file)
    client, keys = connection.open_redis(), connection.keys
    queue = WholeQueue(client, keys, lease_s=3.0)
    queue.create()
    state = CampaignState(client, keys, connection.campaign)
    state.change("started")
    return Campaign(connection, file, queue, EventLog(client, keys), state)
