"""Keeps the workers of a campaign alive: `python -m moireloop_worker.pool.service --connection FILE` (main)."""

from __future__ import annotations

import argparse
import logging
import math
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import redis

from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.contract.control import WorkerStatus
from moireloop_broker.contract.pool_names import MAIN, pool_of, worker_name
from moireloop_broker.membership.abandonment import abandoned_after_s
from moireloop_broker.membership.pools import PoolMembership, PoolNameTaken
from moireloop_broker.network.addresses import interface_of
from moireloop_broker.processes.exits import CannotServe, GoOnLater, leave
from moireloop_broker.processes.service_loop import run_service
from moireloop_broker.state.lease_watch import LeaseWatch
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.state.work_queue.attempts import AttemptLimits
from moireloop_worker.checks import room_for
from moireloop_worker.launchers.launcher import CannotLaunch, Exit, Handle, Launch, Launcher
from moireloop_worker.launchers.registry import chosen_launcher, hands_back, open_launcher
from moireloop_worker.launchers.walltime import Walltime
from moireloop_worker.pool.decisions import STILL_BIRTHS, Pool
from moireloop_worker.pool.notices import hear_notices
from moireloop_worker.pool.silence import Silence
from moireloop_worker.settings import LammpsSettings, PoolSettings

log = logging.getLogger(__name__)

PERIOD_S: Final = 0.05

SIZE_EVERY_S: Final = 1.0

LEAVE_S: Final = 60.0
"""How long a worker that is to end has for its restart file."""

PATIENCE_S: Final = 8.0
"""Containers have ten seconds from SIGTERM to SIGKILL."""

REASON_CHARACTERS: Final = 1000

Phase = Literal["waiting", "starting"]

PREDECESSOR: Final = Exit("lost", "the pool that started the worker is gone")


class WorkersCannotStart(CannotServe):
    """No worker ever becomes ready to take a candidate; the text has the last words of one."""


class PoolService:
    """Starts workers, gives back what dead ones held, and starts them again.

    Whether a worker came up and completed anything is in Redis, in its status. What a worker held is given back before
    its successor starts, also when Redis is away for a while. `step` raises WorkersCannotStart when no worker ever
    becomes ready to take a candidate; where one was, starting is tried on and on, and the status says why. It raises
    GoOnLater when it is time to give back. The caller has claimed the pool's name.

    Args:
        room: how many workers fit into the allocation now; None if unknown.
        silent_s: a worker that says nothing for so long has ended, though its launcher does not know it.
    """

    def __init__(
        self,
        pool: Pool,
        launcher: Launcher,
        watch: LeaseWatch,
        membership: PoolMembership,
        walltime: Walltime,
        room: Callable[[], int | None] | None = None,
        silent_s: float = math.inf,
    ) -> None:
        self._pool = pool
        self._silence = Silence(silent_s)
        self._walltime = walltime
        self._room = room
        self._launcher = launcher
        self._watch = watch
        self._membership = membership
        self._handles: dict[str, Handle] = {}
        self._given_up: list[Handle] = []
        self._faults: dict[str, str] = {}
        self._noted: dict[str, Exit] = {}
        self._phases: dict[str, Phase] = {}
        self._last_end = ""
        self._leaving: dict[str, float] = {}
        self._sized_s = float("-inf")
        self._away_since_s: float | None = None
        predecessors = {worker for worker in watch.holders() if pool_of(worker) == membership.pool}
        self._to_release: dict[str, Exit] = dict.fromkeys([*pool.workers, *predecessors], PREDECESSOR)

    def step(self) -> None:
        """Look after all workers once, then wait a little."""
        self._look_at_the_time()
        self._to_release.update(self._ended())
        try:
            self._settle()
            self._end_the_silent()
            self._beat()
            self._resize()
            self._say_who_begins()
            if self._pool.is_hopeless:
                raise WorkersCannotStart(
                    f"every worker died {STILL_BIRTHS} times before it was ready, lastly: {self._last_end}"
                )
            for worker in self._pool.due(time.monotonic()):
                self._start(worker)
            self._note_redis(None)
        except redis.RedisError as error:
            self._note_redis(error)
        time.sleep(PERIOD_S)

    def close(self) -> None:
        """End all workers: they give back what they hold, and those that do not end in time are killed."""
        began_s, workers = time.monotonic(), len(self._handles)
        for handle in self._handles.values():
            handle.hand_back()
        patience_s = self._walltime.patience_s(time.time(), PATIENCE_S)
        deadline_s = began_s + patience_s
        while self._handles and time.monotonic() < deadline_s:
            self._to_release.update(self._ended())
            time.sleep(PERIOD_S)
        for worker, handle in self._handles.items():
            log.warning("worker does not end, killing it name=%s", worker)
            handle.kill()
            self._to_release[worker] = Exit("stopped", "the worker did not end when asked and was killed")
        try:
            for worker, ended in self._to_release.items():
                self._release(worker, ended)
            self._note_hand_back(workers, time.monotonic() - began_s)
            for worker in self._pool.workers:
                self._watch.forget_worker(worker)
            self._membership.leave()
        except redis.RedisError as error:
            log.warning("redis is away, giving nothing back error=%s", error)
        self._see_the_killed_end()

    def _note_redis(self, error: redis.RedisError | None) -> None:
        """Log that Redis is away, and that it is back, once each."""
        if error is not None and self._away_since_s is None:
            self._away_since_s = time.monotonic()
            log.warning("redis is away, trying again error=%s", error)
        elif error is None and self._away_since_s is not None:
            log.warning("redis is back away_s=%.1f", time.monotonic() - self._away_since_s)
            self._away_since_s = None

    def _look_at_the_time(self) -> None:
        """Ask now and then when the allocation ends. Raises GoOnLater when it is time to give back."""
        if self._walltime.is_due(time.monotonic()):
            self._walltime.set_end(self._launcher.ends_s(), time.monotonic())
        now_s = time.time()
        if (reason := self._walltime.reason(now_s)) is not None:
            raise GoOnLater(reason)

    def _note_hand_back(self, workers: int, took_s: float) -> None:
        if workers:
            log.info("workers have given back number=%d took_s=%.2f", workers, took_s)
            self._watch.note_hand_back(took_s)

    def _see_the_killed_end(self) -> None:
        """Wait for the end of what was killed, so that what it leaves is removed."""
        deadline_s = time.monotonic() + 1.0
        while self._handles and time.monotonic() < deadline_s:
            list(self._ended())
            time.sleep(PERIOD_S)

    def _ended(self) -> dict[str, Exit]:
        """Workers that ended since the last call."""
        self._given_up = [handle for handle in self._given_up if handle.poll() is None]
        polled = [(worker, handle.poll()) for worker, handle in self._handles.items()]
        ended = {worker: how for worker, how in polled if how is not None}
        for worker in ended:
            del self._handles[worker]
        return ended

    def _end_the_silent(self) -> None:
        """A worker whose end got lost on its way here has ended itself by now; its slot is to work again."""
        now_s = time.monotonic()
        if not self._silence.is_due(now_s):
            return
        said = {worker: self._watch.worker_status(worker) for worker in self._handles}
        for worker in self._silence.look(said, now_s):
            reason = f"it has not reported for {self._silence.patience_s:.0f} s, and its launcher reports no end"
            log.warning("worker is silent, killing it name=%s reason=%s", worker, reason)
            self._given_up.append(self._handles.pop(worker))
            self._given_up[-1].kill()
            self._to_release[worker] = Exit("lost", reason)

    def _settle(self) -> None:
        """Note how workers ended, by what they had said of themselves, and give back what they held."""
        for worker, ended in list(self._to_release.items()):
            said = self._watch.worker_status(worker)
            self._release(worker, ended)
            if ended is not PREDECESSOR:
                self._note_end(worker, ended, said)
            if worker not in self._pool.workers:
                self._leaving.pop(worker, None)
                self._watch.forget_worker(worker)
            elif ended is not PREDECESSOR:
                self._report(worker)
            del self._to_release[worker]
            self._pool.released(worker)

    def _beat(self) -> None:
        """Say that the pool lives. Who has lost its name, having been silent for too long, has lost its workers too."""
        if not self._membership.beat(workers=len(self._pool.workers), ends_s=self._walltime.ends_s, room=self._room):
            raise PoolNameTaken(f"another pool has taken the name {self._membership.pool!r}")

    def _resize(self) -> None:
        """Keep as many workers as requested. Workers that are to end give back what they hold."""
        now_s = time.monotonic()
        for worker, deadline_s in self._leaving.items():
            if worker in self._handles and now_s > deadline_s:
                log.warning("worker does not end, killing it name=%s", worker)
                self._handles[worker].kill()
        if now_s - self._sized_s < SIZE_EVERY_S:
            return
        self._sized_s = now_s
        wanted = self._membership.wanted_size()
        if wanted is None or wanted == len(self._pool.workers):
            return
        new, leaving = self._pool.resize([worker_name(self._membership.pool, n) for n in range(wanted)])
        log.info("pool resized workers=%d", wanted)
        for worker in leaving:
            self._leaving[worker] = now_s + LEAVE_S
            if worker in self._handles:
                self._handles[worker].hand_back()
            else:
                self._watch.forget_worker(worker)
        for worker in new:
            if worker not in self._handles:
                self._to_release.setdefault(worker, PREDECESSOR)

    def _note_end(self, worker: str, ended: Exit, said: WorkerStatus | None) -> None:
        """Report an end to the decisions, with what the worker had reported. Called once for each end."""
        if self._noted.get(worker) is ended:
            return
        self._noted[worker] = ended
        came_up = said is not None and said.came_up
        completed = said.completed if said is not None else 0
        now_s, lost = time.monotonic(), ended.kind == "lost"
        wait_s = self._pool.ended(worker, now_s, productive=completed > 0, came_up=came_up, lost=lost)
        self._last_end = ended.reason
        self._phases.pop(worker, None)
        self._faults.pop(worker, None)
        if not came_up:
            self._faults[worker] = ended.reason[:REASON_CHARACTERS]
        log.warning("worker ended name=%s kind=%s reason=%s wait_s=%.1f", worker, ended.kind, ended.reason, wait_s)

    def _release(self, worker: str, ended: Exit) -> None:
        reason = f"{worker} is gone: {ended.reason}"
        for candidate_id in self._watch.release_worker(worker, reason, charged=ended.charged):
            log.info("candidate given back id=%s worker=%s", candidate_id, worker)

    def _start(self, worker: str) -> None:
        """Start a worker; that there was no place for it is an end as well."""
        self._report(worker)
        self._pool.started(worker, time.monotonic())
        try:
            self._handles[worker] = self._launcher.start(worker)
        except CannotLaunch as error:
            self._to_release[worker] = Exit("cannot launch", str(error))
            return
        log.info("worker launched name=%s", worker)

    def _say_who_begins(self) -> None:
        """Say that a worker waits in the queue of a scheduler, or no more; from its start on it speaks for itself."""
        for worker, handle in self._handles.items():
            if self._phases[worker] != _phase_of(handle):
                self._report(worker)

    def _report(self, worker: str) -> None:
        phase = _phase_of(self._handles.get(worker))
        ends_s, fault = self._walltime.ends_s, self._faults.get(worker)
        self._watch.report_worker(
            WorkerStatus(worker=worker, seen_s=time.time(), phase=phase, ends_s=ends_s, fault=fault)
        )
        self._phases[worker] = phase


def _phase_of(handle: Handle | None) -> Phase:
    return "waiting" if handle is not None and handle.waiting else "starting"


def open_pool(
    connection_file: Path,
    connection: Connection,
    client: redis.Redis,
    membership: PoolMembership,
    settings: PoolSettings,
    lammps: LammpsSettings,
    until_s: float | None = None,
) -> PoolService:
    """A pool with as many workers as its settings say. They are the campaign's settings, or differ from them.

    Args:
        until_s: when it must have given back, in seconds since the epoch; None where only its launcher knows.
    """
    limits = AttemptLimits(max_attempts=settings.max_attempts)
    watch = LeaseWatch(client, connection.keys, lease_s=settings.lease_s, limits=limits)
    worker = ("-m", "mpi4py", "-m", "moireloop_worker", "--connection", str(connection_file))
    command = (sys.executable, *worker, "--ranks", str(settings.ranks))
    launch = Launch(
        command,
        settings.ranks,
        Path(connection.folder) / "logs",
        connection.campaign,
        interface=interface_of(connection.network) if settings.nodes > 1 else None,
        options=settings.launcher_options,
        pool=membership.pool,
        cores=settings.cores or lammps.threads,
        gpus=settings.gpus,
        nodes=settings.nodes,
    )
    names = [worker_name(membership.pool, number) for number in range(settings.number)]
    walltime = Walltime(settings.reserve_s, time.time(), until_s, watch.longest_hand_back_s())
    hear_notices(walltime.notice, hand_back=hands_back(settings.on_term))
    launcher = open_launcher(settings.launcher, launch)
    room, silent_s = (lambda: room_for(settings, lammps)), abandoned_after_s(settings.lease_s)
    return PoolService(Pool(names), launcher, watch, membership, walltime, room, silent_s)


def membership_of(
    connection: Connection, client: redis.Redis, pool: str, settings: PoolSettings, lammps: LammpsSettings
) -> PoolMembership:
    """The entry of a pool that runs on this host, not claimed yet."""
    launcher, workers, room = chosen_launcher(settings.launcher), settings.number, room_for(settings, lammps)
    return PoolMembership(
        client, connection.keys, pool, host=socket.gethostname(), launcher=launcher, workers=workers, room=room
    )


def open_main_pool(connection_file: Path, until_s: float | None = None) -> PoolService:
    """The pool that a session starts for itself: it replaces any earlier holder of its name."""
    connection = read_connection(connection_file)
    client = connection.open_redis()
    stored = read_settings(client, connection.keys)
    settings, lammps = stored.section("workers", PoolSettings), stored.section("lammps", LammpsSettings)
    membership = membership_of(connection, client, MAIN, settings, lammps)
    membership.take_over()
    return open_pool(connection_file, connection, client, membership, settings, lammps, until_s)


def main(arguments: Sequence[str]) -> int:
    """Run the main pool until SIGTERM; returns its exit code."""
    parser = argparse.ArgumentParser(prog="moireloop_worker.pool.service")
    parser.add_argument("--connection", type=Path, required=True)
    parser.add_argument("--until-s", type=float, default=None, help="deadline for giving back, seconds since the epoch")
    chosen = parser.parse_args(arguments)
    connection_file: Path = chosen.connection.resolve()
    return run_service("pool", lambda: open_main_pool(connection_file, chosen.until_s))


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
