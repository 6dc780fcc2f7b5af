"""Runs a command that dies with its parent: `python -I -S lifeline.py PARENT_PID SIGNAL -- COMMAND...` (adapter).

Linux sends SIGNAL to the command when the process that started it is gone, however that one ended (prctl(2),
PR_SET_PDEATHSIG, kept across execve but not across fork). The small program in between sets this up in its own
process, since running Python between fork and exec of a process with threads is not safe. SIGUSR1 and SIGALRM, which
schedulers send to every process of a job, kill none that is started so: who wants to hear them says so itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

ANY_PARENT = 0


def lifeline_command(command: list[str], death_signal: signal.Signals, *, parent: int | None = None) -> list[str]:
    """The command line that runs `command` so that it gets `death_signal` when its parent process ends.

    The parent is the calling process, or with ANY_PARENT whichever starts the command line (mpiexec starts ranks
    through a separate process). The thread that starts a process counts as its parent: start long-lived
    processes from the main thread.
    """
    expected = os.getpid() if parent is None else parent
    return [sys.executable, "-I", "-S", __file__, str(expected), str(int(death_signal)), "--", *command]


def _main(arguments: list[str]) -> None:
    expected, death_signal = int(arguments[0]) or os.getppid(), int(arguments[1])
    command = arguments[arguments.index("--") + 1 :]
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit("expected prctl to accept PR_SET_PDEATHSIG, got an error")
    parent = os.getppid()
    if parent != expected or (parent == 1 and arguments[0] == str(ANY_PARENT)):
        sys.exit(f"expected parent process {expected}, got {parent}: it has already ended")
    for notice in (signal.SIGUSR1, signal.SIGALRM):
        signal.signal(notice, signal.SIG_IGN)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    _main(sys.argv[1:])
