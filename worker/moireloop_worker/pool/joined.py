"""A pool that joins a campaign from outside, and stays with it from one session to the next (main)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from moireloop_broker.folder import CampaignFolder
from moireloop_broker.membership.attendance import LOOK_EVERY_S, STARTING_S, Asked, Say, await_session
from moireloop_broker.membership.session import Follower, News, Reached, reach_to_work
from moireloop_broker.processes.exits import GoOnLater
from moireloop_broker.processes.service_loop import log_to
from moireloop_broker.state.redis_client import open_impatient
from moireloop_broker.state.settings_store import read_settings
from moireloop_worker.checks import fitting_workers, machine_problems
from moireloop_worker.launchers.launcher import CannotLaunch
from moireloop_worker.launchers.registry import LauncherUnusable, chosen_launcher, in_allocation
from moireloop_worker.pool.notices import hear_notices
from moireloop_worker.pool.service import PoolService, membership_of, open_pool
from moireloop_worker.settings import LammpsSettings, PoolSettings

log = logging.getLogger(__name__)

AWAY_LEASES: Final = 10

SHORTEST_AWAY_S: Final = 30.0

ANSWER_S: Final = 3.0


class JoinRefused(ValueError):
    """This pool cannot work for the campaign from here; the text says what is wrong with it."""


class CampaignAway(RuntimeError):
    """Nothing was heard of the campaign for too long; the text says what was tried."""


@dataclass(frozen=True)
class JoinRequest:
    """Who wants to join which campaign, and how.

    Args:
        connection_file: of the campaign; read again when its session changes.
        pool: name of the pool.
        workers: how many, 0 for all that fit here; None for as many as the campaign file says.
        launcher: how they are started; None for the way that the campaign file says.
        linger_s: seconds to wait for the next session when one has ended.
        patience_s: seconds to wait for the first session.
        until_s: when the pool must have given back, in seconds since the epoch; None where only its launcher knows.
    """

    connection_file: Path
    pool: str
    workers: int | None = None
    launcher: str | None = None
    linger_s: float = 0.0
    patience_s: float = 0.0
    until_s: float | None = None


class Wanted(Asked):
    """Asked to end, and by a scheduler's `notice` in an allocation: SIGTERM, SIGUSR1 or SIGALRM."""

    def __init__(self) -> None:
        super().__init__()
        self.notice: str | None = None
        hear_notices(self._noticed, hand_back=in_allocation(), also=(signal.SIGTERM,) if in_allocation() else ())

    def _noticed(self, signal_name: str) -> None:
        self.stopped, self.notice = True, signal_name


def join(request: JoinRequest, say: Say) -> None:
    """Keep a pool until the campaign ends, or SIGTERM or SIGINT comes.

    Args:
        say: called with a line whenever the pool joins, waits or leaves.

    Raises:
        NoConnectionFile, NoSession: there is no session to join, also after `linger_s`.
        PoolNameTaken: a live pool has this name.
        JoinRefused: the workers that are asked for cannot be started here.
        CampaignAway: the session went silent for too long.
        WorkersCannotStart: no worker ever becomes ready.
        GoOnLater: its allocation ends, or the scheduler wants it back; the workers have given back.
    """
    asked = Wanted()
    wait_s, has_joined = max(request.linger_s, request.patience_s), False
    while not asked:
        ended_s = request.linger_s if has_joined else None
        reached = await_session(reach_to_work, request.connection_file, wait_s, asked, say, ended_s=ended_s)
        if reached is None:
            break
        news, has_joined = _serve(request, reached, asked, say), True
        wait_s = max(request.linger_s, STARTING_S if news == "another session" else 0.0)
        if news == "ended" and request.linger_s <= 0:
            say(f"the campaign {reached.connection.campaign} has ended; pool {request.pool} has left")
            return
    if asked.notice is not None:
        left = f"pool {request.pool} gave back what it held, and left"
        raise GoOnLater(f"{asked.notice} says to give everything back; {left}")
    if asked:
        done = "it gave back what it held, and left" if has_joined else "it had not joined"
        say(f"pool {request.pool} was asked to end: {done}")


def _serve(request: JoinRequest, reached: Reached, asked: Asked, say: Say) -> News:
    """Work for one session; returns what became of the session. Raises what `join` raises."""
    connection = reached.connection
    with contextlib.closing(open_impatient(connection.redis_url, ANSWER_S)) as client:
        log_to(CampaignFolder(Path(connection.folder)).log_of(f"pool-{request.pool}"))
        sections = read_settings(client, connection.keys)
        lammps = sections.section("lammps", LammpsSettings)
        settings = _settings(request, sections.section("workers", PoolSettings), lammps)
        membership = membership_of(connection, client, request.pool, settings, lammps)
        membership.claim()
        pool = open_pool(request.connection_file, connection, client, membership, settings, lammps, request.until_s)
        workers = f"{settings.number} worker{'s' * (settings.number != 1)}"
        launcher = chosen_launcher(settings.launcher)
        say(f"pool {request.pool} has joined {connection.campaign}: {workers}, launcher {launcher}")
        follower = Follower(reached, request.connection_file, client)
        away_s = max(request.linger_s, request.patience_s, SHORTEST_AWAY_S, AWAY_LEASES * settings.lease_s)
        try:
            return _follow(pool, follower, asked, away_s, say)
        finally:
            pool.close()


def _follow(pool: PoolService, follower: Follower, asked: Asked, away_s: float, say: Say) -> News:
    """Look after the workers until the session is over, another one has begun, or it was silent for too long."""
    looked_s, before = time.monotonic(), "goes on"
    while not asked:
        pool.step()
        if time.monotonic() - looked_s < LOOK_EVERY_S:
            continue
        news = follower.look()
        looked_s = time.monotonic()
        if news in ("ended", "another session"):
            return news
        if follower.silent_s > away_s:
            raise CampaignAway(
                f"the campaign has been silent for {follower.silent_s:.0f} s ({follower.why_silent}), and its "
                f"connection file names no other session; the pool has left, and its runs left restart files"
            )
        if news != before:
            say(f"waiting: {follower.why_silent}" if news == "away" else "it is back")
        before = news
    return "goes on"


def _settings(request: JoinRequest, workers: PoolSettings, lammps: LammpsSettings) -> PoolSettings:
    """The campaign's settings of workers with what this pool has of its own. Raises JoinRefused."""
    cores = len(os.sched_getaffinity(0))
    own = workers.model_copy(update={"launcher": request.launcher or workers.launcher})
    count = workers.number if request.workers is None else request.workers
    try:
        own = own.model_copy(update={"count": count or fitting_workers(own, lammps, cores)})
        problems = machine_problems(own, lammps, cores)
    except (CannotLaunch, LauncherUnusable) as error:
        raise JoinRefused(f"workers.launcher: {error}") from error
    for problem in problems:
        raise JoinRefused(str(problem))
    return own
