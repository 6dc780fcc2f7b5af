"""Keeps the workers of a campaign alive: `python -m moireloop_worker.pool.service --connection FILE` (main)."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import redis

from moireloop_broker.connection import Connection, read_connection
from moireloop_broker.processes.exits import CannotServe
from moireloop_broker.processes.service_loop import run_service
from moireloop_broker.state.settings_store import read_settings
from moireloop_broker.state.work_queue import AttemptLimits, WorkQueue
from moireloop_worker.launchers.launcher import Exit, Handle, Launcher
from moireloop_worker.launchers.local import LocalLauncher
from moireloop_worker.pool.decisions import STILL_BIRTHS, Pool
from moireloop_worker.settings import PoolSettings

log = logging.getLogger(__name__)

PERIOD_S: Final = 0.05

PATIENCE_S: Final = 10.0

FORERUNNER: Final = Exit("lost", "the pool that had started the worker is gone")


class WorkersCannotStart(CannotServe):
    """No worker ever becomes ready to take a candidate; the text has the last words of one."""


class PoolService:
    """Starts workers, gives back what dead ones held, and starts them again.

    What a worker held is given back before its successor starts, also when Redis is away for a while. `step`
    raises WorkersCannotStart when no worker ever becomes ready to take a candidate.
    """

    def __init__(self, pool: Pool, launcher: Launcher, queue: WorkQueue) -> None:
        self._pool = pool
        self._launcher = launcher
        self._queue = queue
        self._handles: dict[str, Handle] = {}
        self._last_end = ""
        self._to_release: dict[str, Exit] = dict.fromkeys(pool.workers, FORERUNNER)

    def step(self) -> None:
        """Look after all workers once, then wait a little."""
        for worker, ended in self._ended():
            now_s = time.monotonic()
            wait_s = self._pool.ended(worker, now_s, productive=ended.productive, came_up=ended.came_up)
            log.warning("worker ended name=%s reason=%s wait_s=%.1f", worker, ended.reason, wait_s)
            self._to_release[worker] = ended
            self._last_end = ended.reason
        self._release()
        if self._pool.cannot_start:
            raise WorkersCannotStart(
                f"every worker died {STILL_BIRTHS} times before it was ready, lastly: {self._last_end}"
            )
        for worker in self._pool.due(time.monotonic()):
            self._handles[worker] = self._launcher.start(worker)
            self._pool.started(worker, time.monotonic())
            log.info("worker started name=%s", worker)
        time.sleep(PERIOD_S)

    def close(self) -> None:
        """End all workers: they give back what they hold, and those that do not end in time are killed."""
        for handle in self._handles.values():
            handle.terminate()
        deadline_s = time.monotonic() + PATIENCE_S
        while self._handles and time.monotonic() < deadline_s:
            self._to_release.update(self._ended())
            time.sleep(PERIOD_S)
        for worker, handle in self._handles.items():
            log.warning("worker does not end, killing it name=%s", worker)
            handle.kill()
            self._to_release[worker] = Exit("stopped", "the worker did not end when asked and was killed")
        self._release()

    def _ended(self) -> list[tuple[str, Exit]]:
        """Workers that ended since the last call."""
        polled = [(worker, handle.poll()) for worker, handle in self._handles.items()]
        ended = [(worker, how) for worker, how in polled if how is not None]
        for worker, _ in ended:
            del self._handles[worker]
        return ended

    def _release(self) -> None:
        try:
            for worker, ended in list(self._to_release.items()):
                reason = f"{worker} is gone: {ended.reason}"
                for candidate_id in self._queue.release_worker(worker, reason, charged=ended.charged):
                    log.info("candidate given back id=%s worker=%s", candidate_id, worker)
                del self._to_release[worker]
                self._pool.released(worker)
        except redis.RedisError as error:
            log.warning("redis is away, trying again error=%s", error)


def open_pool(connection_file: Path) -> PoolService:
    """The pool that the campaign's settings describe."""
    connection = read_connection(connection_file)
    client = connection.open_redis()
    settings = PoolSettings.model_validate(read_settings(client, connection.keys, "workers"))
    limits = AttemptLimits(max_attempts=settings.max_attempts)
    queue = WorkQueue(client, connection.keys, lease_s=settings.lease_s, limits=limits)
    return PoolService(Pool(settings.count), _launcher(settings, connection, connection_file), queue)


def _launcher(settings: PoolSettings, connection: Connection, connection_file: Path) -> Launcher:
    command = [sys.executable, "-m", "mpi4py", "-m", "moireloop_worker", "--connection", str(connection_file)]
    return LocalLauncher(command, settings.ranks, Path(connection.folder) / "logs")


def main(arguments: Sequence[str]) -> int:
    """Run the pool until SIGTERM; answers its exit code."""
    parser = argparse.ArgumentParser(prog="moireloop_worker.pool.service")
    parser.add_argument("--connection", type=Path, required=True)
    connection_file: Path = parser.parse_args(arguments).connection.resolve()
    return run_service("pool", lambda: open_pool(connection_file))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
