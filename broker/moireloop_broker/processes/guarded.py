"""Processes that run a user's code, each under a guard, which ends with everything that they started (adapter)."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from moireloop_broker.processes import guard
from moireloop_broker.processes.lifeline import lifeline_command

MARK: Final = "MOIRELOOP_GUARDED"
"""Variable in the environment of all that runs under one guard, by which it is found when the guard was killed."""

OUTPUT_BYTES: Final = 256 * 1024

GUARD_S: Final = 3.0
"""How long a guard may take to end; one that was stopped or killed is made up for."""

STRAYS_S: Final = 2.0


def share_of_memory() -> int:
    """Memory in bytes that a user's code may take: half of the machine's."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class Guarded:
    """A command under a guard. It ends with all that it started when this process ends, however that does.

    Args:
        command: command line.
        name: of what it is, for the log.
        memory_bytes: memory that each of its processes may take (RLIMIT_DATA); `guard.UNLIMITED` for any.
        pass_fds: descriptors that the command inherits; no other process holds them once it runs.
        env: variables that its environment gets in addition to this process's own.
        stdin, stdout, stderr: as of subprocess.Popen; of each output OUTPUT_BYTES are let through.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        *,
        memory_bytes: int,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> None:
        self._mark = secrets.token_hex(16)
        self._pid: int | None = None
        self._pid_pipe, telling = os.pipe()
        limits = [name, str(OUTPUT_BYTES), str(memory_bytes), str(telling)]
        line = [sys.executable, "-I", "-S", guard.__file__, *limits, "--", *command]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                lifeline_command(line, signal.SIGTERM),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=[telling, *pass_fds],
                env={**os.environ, **(env or {}), MARK: self._mark},
                start_new_session=True,
            )
        finally:
            os.close(telling)

    @property
    def pid(self) -> int:
        """Process id of the command, or of its guard where it did not start; waits for the start."""
        if self._pid is None:
            with os.fdopen(self._pid_pipe, "rb") as pid_file:
                self._pid = int(pid_file.readline() or self._process.pid)
        return self._pid

    @property
    def is_alive(self) -> bool:
        """Whether the command runs."""
        return self._process.poll() is None

    def ends_within(self, patience_s: float) -> bool:
        """Whether it ends by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        return not self.is_alive

    def end(self) -> int:
        """End the command with all that it started, and say how it ended, as subprocess's return codes do."""
        if self.is_alive:
            self._process.terminate()
        if not self.ends_within(GUARD_S):
            guard.kill_descendants(self._process.pid)
            self._process.kill()
            self._process.wait()
        _kill_marked(self._mark)
        if self._pid is None:
            os.close(self._pid_pipe)
            self._pid = self._process.pid
        return self._process.returncode


def _kill_marked(mark: str) -> None:
    """Kill what ran under a guard that was killed itself."""
    deadline_s = time.monotonic() + STRAYS_S
    while (strays := _marked(mark)) and time.monotonic() < deadline_s:
        for death in (signal.SIGSTOP, signal.SIGKILL):
            for pid in strays:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, death)
        time.sleep(0.005)


def _marked(mark: str) -> list[int]:
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
