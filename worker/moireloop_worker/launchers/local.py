"""Starts workers on this machine and says how they ended (adapter).

A worker of one rank is a separate process; several ranks are started by `rank_starter`. No process outlives the one
that started it: each gets SIGKILL when its parent ends, be it stopped itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from moireloop_broker.processes.exits import EXIT_NOT_ITS_FAULT, end_of_group, last_words, signal_group
from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from moireloop_worker.launchers.launcher import Exit, Launch
from moireloop_worker.launchers.rank_environment import rank_environment
from moireloop_worker.launchers.shared_memory import (
    remove_segment,
    require_room,
    segment_of_group,
    segment_of_process,
    shortage,
)

TAIL_BYTES: Final = 8192

STARTER: Final = "moireloop_worker.launchers.rank_starter"


def starter_command(ranks: int, group: str, command: Sequence[str], report: int | None = None) -> list[str]:
    """The command line that starts the ranks of a command; each ends with the process that starts it.

    Args:
        group: name of the group of ranks, new for each.
        report: descriptor that is to get a line when a rank dies.
    """
    rank = lifeline_command(list(command), signal.SIGKILL, parent=ANY_PARENT)
    return [sys.executable, "-m", STARTER, str(ranks), group, str(report), "--", *rank]


class LocalLauncher:
    """Workers on this machine, each in its own process group."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._environment = rank_environment(os.environ, launch.ranks, launch.interface)

    def start(self, worker: str) -> LocalWorker:
        """Start a worker; call it in the main thread, whose end ends the worker too. Raises CannotLaunch."""
        launch = self._launch
        launch.log_folder.mkdir(parents=True, exist_ok=True)
        note = launch.log_folder / f".{worker}.segment"
        remove_left_segment(note)
        require_room(launch.ranks)
        group = f"moireloop-{uuid.uuid4().hex}"
        ours, theirs = os.pipe()
        command = [*launch.command, "--name", worker]
        if launch.ranks > 1:
            command = starter_command(launch.ranks, group, command, theirs)
        log_file = launch.log_folder / f"{worker}.log"
        with log_file.open("ab") as output, os.fdopen(theirs, "wb"):
            start = output.tell()
            process = subprocess.Popen(  # noqa: S603
                lifeline_command(command, signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment,
                pass_fds=[theirs] if launch.ranks > 1 else [],
            )
        note.write_text(segment_of_group(group) if launch.ranks > 1 else segment_of_process(process.pid))
        return LocalWorker(process, log_file, start, ours, note, launch.ranks)

    def ends_s(self) -> float | None:
        """None: this machine is there for as long as it is."""
        return None


class LocalWorker:
    """A worker started by LocalLauncher; `pid` is its one rank, or the process that starts its ranks."""

    waiting = False

    def __init__(
        self, process: subprocess.Popen[bytes], log_file: Path, log_start: int, report: int, note: Path, ranks: int
    ) -> None:
        self._process = process
        self._log_file = log_file
        self._log_start = log_start
        self._report = report
        self._note = note
        self._ranks = ranks
        self._asked = False
        self._exit: Exit | None = None

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def poll(self) -> Exit | None:
        """How the worker ended, None while it runs. What it left in shared memory is removed."""
        code = end_of_group(self._process)
        if code is not None and self._exit is None:
            self._exit = self._ended(code)
        return self._exit

    def hand_back(self) -> None:
        """SIGTERM to all ranks."""
        self._asked = True
        if end_of_group(self._process) is None:
            os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the worker's process group."""
        self._asked = True
        signal_group(self._process, signal.SIGKILL)

    def _ended(self, code: int) -> Exit:
        death = self._death(code)
        missing = shortage(self._ranks) if death.code else None
        remove_left_segment(self._note)
        return exit_of(death, self._words(), asked=self._asked, missing=missing)

    def _death(self, code: int) -> Death:
        """What the process that starts the ranks says of them; of itself where it says nothing."""
        with os.fdopen(self._report, "rb") as report:
            written = report.read()
        host = socket.gethostname()
        if written:
            rank = json.loads(written)
            return Death(int(rank["code"]), int(rank["pid"]), host)
        return Death(code, self._process.pid, host, is_rank=self._ranks == 1)

    def _words(self) -> bytes:
        with self._log_file.open("rb") as file:
            file.seek(max(self._log_start, self._log_file.stat().st_size - TAIL_BYTES))
            return file.read()


@dataclass(frozen=True)
class Death:
    """The end of a process: its return code (minus the number of the signal that killed it), its pid and host."""

    code: int
    pid: int
    host: str
    is_rank: bool = True

    @property
    def who(self) -> str:
        """The process in words."""
        return f"rank died (pid {self.pid} on {self.host})" if self.is_rank else "the starter of its ranks was"


def exit_of(death: Death, words: bytes, *, asked: bool, missing: str | None = None) -> Exit:
    """How a worker ended. Pure.

    Args:
        death: of the rank that died first.
        words: the end of the worker's log, of which the last words are quoted.
        asked: whether it was asked to end.
        missing: what this machine lacks for a worker, which then is why it died.
    """
    if asked or death.code == 0:
        return Exit("stopped", "stopped on request" if asked else "ended by itself")
    if death.code < 0:
        reason = f"{death.who}{':' * death.is_rank} killed by {_signal_name(-death.code)}"
        if missing is not None and -death.code == signal.SIGBUS:
            return Exit("fault", f"{reason}: {missing}")
        return Exit("signal", reason)
    last = last_words(words[-TAIL_BYTES:])
    reason = f"{death.who}: exit code {death.code}" + (f": {last}" if last else "")
    if missing is not None:
        return Exit("fault", f"{reason}: {missing}")
    return Exit("fault" if death.code == EXIT_NOT_ITS_FAULT else "error", reason)


def remove_left_segment(note: Path) -> None:
    """Remove the shared memory that a note in the log folder names, and the note."""
    with contextlib.suppress(OSError):
        remove_segment(note.read_text(encoding="ascii").strip())
        note.unlink()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
