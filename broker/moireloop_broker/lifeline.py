"""Runs a command that dies with its parent: `python -S lifeline.py PARENT_PID SIGNAL -- COMMAND...` (adapter).

Linux sends SIGNAL to the command when the process that started it is gone, however that one ended (prctl(2),
PR_SET_PDEATHSIG, kept across execve). The small program in between sets this up in its own process, since running
Python between fork and exec of a process with threads is not safe.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def lifeline_command(command: list[str], death_signal: signal.Signals) -> list[str]:
    """The command line that runs `command` so that it gets `death_signal` when the calling process ends.

    The calling thread counts as the parent: start long-lived processes from the main thread.
    """
    return [sys.executable, "-S", "-E", __file__, str(os.getpid()), str(int(death_signal)), "--", *command]


def _main(arguments: list[str]) -> None:
    parent, death_signal = int(arguments[0]), int(arguments[1])
    command = arguments[arguments.index("--") + 1 :]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"expected parent process {parent}, got {os.getppid()}: it is gone already")
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    _main(sys.argv[1:])
