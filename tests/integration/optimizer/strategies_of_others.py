"""Generators as a user's file may have them, most of them bad: named by tests as strategies_of_others.py:Class."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

from gest_api.vocs import VOCS


class Middle:
    """Always the middle of the search space, a little farther along the first parameter each time."""

    def __init__(self, vocs: VOCS, step: float = 0.01) -> None:
        self.vocs = vocs
        self.step = step
        self.ingested = 0

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        return [self._point(0.5 + self.step * (self.ingested + number)) for number in range(num_points)]

    def ingest(self, results: list[dict[str, Any]]) -> None:
        self.ingested += len(results)

    def _point(self, share: float) -> dict[str, float]:
        bounds = zip(self.vocs.variable_names, self.vocs.bounds, strict=True)
        return {name: low + min(share, 1.0) * (high - low) for name, (low, high) in bounds}


class Raises(Middle):
    """Has no idea."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        raise RuntimeError("no idea")


class Hangs(Middle):
    """Never comes back."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        while True:
            time.sleep(1)


class Dies(Middle):
    """Takes its process along."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        os.kill(os.getpid(), signal.SIGSEGV)
        return []


def _leaves_a_daemon() -> None:
    """A double fork into a separate session, whose process id goes into a file of the folder LEFT."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            Path(os.environ["LEFT"], f"pid-{os.getpid()}").touch()
            time.sleep(600)
        os._exit(0)
    os.wait()


def _write_to_pipes(data: bytes) -> None:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2 and stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.write(int(name), data)


class Stops(Middle):
    """Leaves a daemon behind and stops its process."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        _leaves_a_daemon()
        os.kill(os.getpid(), signal.SIGSTOP)
        return []


class Half(Middle):
    """Leaves half a message in the pipe, and hangs without hearing an alarm."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        _write_to_pipes(b"\x00\x00\x10\x00half of it")
        time.sleep(600)
        return []


class Rubbish(Middle):
    """Says what is no answer."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        _write_to_pipes(b"\x00\x00\x00\x04\x81\xa1a\x01")
        return super().suggest(num_points)


class Forks(Middle):
    """Comes back twice, and leaves a daemon behind."""

    def suggest(self, num_points: int) -> list[dict[str, float]]:
        _leaves_a_daemon()
        os.fork()
        return super().suggest(num_points)
