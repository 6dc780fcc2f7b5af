"""The processes of one campaign: started, watched, started again when they die, and ended (adapter)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moireloop_broker.processes.backoff import Revival
from moireloop_broker.processes.exits import EXIT_CANNOT_SERVE, EXIT_GO_ON, exit_reason, signal_group
from moireloop_broker.processes.file_lock import locks_within
from moireloop_broker.processes.lifeline import lifeline_command

log = logging.getLogger(__name__)

HEALTHY_S = 30.0

LAST_WORDS = 600

MAX_CRASHES = 7


@dataclass(frozen=True)
class ServiceSpec:
    """One service: its name, its command line and where its output goes."""

    name: str
    command: Sequence[str]
    log_file: Path


@dataclass(frozen=True)
class Crash:
    """A service that ended unexpectedly, how, and how many times in a row, without a healthy life in between.

    `is_final` is whether the service itself says that starting it again does not help, `restarts` whether it is started
    again here. With `gave_back` it is the pool, which has ended for good, since its allocation ends.
    """

    service: str
    reason: str
    deaths: int
    is_final: bool
    restarts: bool = True
    gave_back: bool = False


@dataclass
class _Running:
    spec: ServiceSpec
    process: subprocess.Popen[bytes] | None = None
    revival: Revival = field(default_factory=Revival)


class ServiceSet:
    """The services that run now, in the order in which they were started.

    Each inherits a lock, which is free again only when the last of them has ended, however the process that
    started them did.
    """

    def __init__(self, lock_file: Path) -> None:
        self._services: dict[str, _Running] = {}
        self._lock_file = lock_file
        self._lock: int | None = None

    def claim(self, patience_s: float = 0.0, interrupted: Callable[[], bool] = lambda: False) -> bool:
        """Take the lock; False where services of an earlier session still run after `patience_s`, or if interrupted."""
        lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        if not locks_within(lock, patience_s, interrupted):
            os.close(lock)
            return False
        self._lock = lock
        return True

    def release(self) -> None:
        """Let go of the lock, when all services were stopped."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def start(self, spec: ServiceSpec) -> None:
        """Start a service; it dies with this process, whatever this process dies of.

        It has its own process group in this process's session. If it is stopped (SIGSTOP) when this process dies, the
        kernel continues it, so that it notices (setpgid(2), orphaned process groups).
        """
        running = self._services.setdefault(spec.name, _Running(spec))
        spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        with spec.log_file.open("ab") as output:
            running.process = subprocess.Popen(  # noqa: S603
                lifeline_command(list(spec.command), signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=[] if self._lock is None else [self._lock],
            )
        running.revival.started(time.monotonic())
        log.info("service started name=%s pid=%d", spec.name, running.process.pid)

    def watch(self) -> list[Crash]:
        """Start again what has died and waited long enough; returns the crashes seen since the last call."""
        return [crash for running in list(self._services.values()) if (crash := self._watch_one(running)) is not None]

    def _watch_one(self, running: _Running) -> Crash | None:
        now_s = time.monotonic()
        if running.process is None:
            if running.revival.is_due(now_s):
                self.start(running.spec)
            return None
        code = running.process.poll()
        if code is None:
            return None
        running.process = None
        if code == EXIT_GO_ON:
            del self._services[running.spec.name]
            return Crash(running.spec.name, _last_line(running.spec.log_file), 0, is_final=False, gave_back=True)
        running.revival.ended(now_s, healthy_s=HEALTHY_S)
        reason = exit_reason(code)
        if code != -signal.SIGKILL:
            reason += f"; {_last_line(running.spec.log_file)}"
        return Crash(running.spec.name, reason, running.revival.deaths, is_final=code == EXIT_CANNOT_SERVE)

    def ask(self, names: Sequence[str]) -> None:
        """Send services SIGTERM and wait for none: `stop` does, later."""
        for name in names:
            running = self._services.get(name)
            if running is not None and running.process is not None:
                running.process.terminate()

    def stop(self, names: Sequence[str], patience_s: float) -> None:
        """End services with SIGTERM, and with SIGKILL those that have not ended after `patience_s`."""
        stopping = [self._services.pop(name) for name in names if name in self._services]
        processes = [r.process for r in stopping if r.process is not None]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + patience_s
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("service does not end, killing it pid=%d", process.pid)
                _kill_group(process)

    def names(self) -> list[str]:
        """Names of the services, in the order in which they were started."""
        return list(self._services)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    signal_group(process, signal.SIGKILL)
    process.wait()


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        if lines:
            return f"last output: {lines[-1].strip()[:LAST_WORDS]}"
    return "it left no output"
