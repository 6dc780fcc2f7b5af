"""How a process ended, in words, and how a service says that starting it again does not help (adapter)."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Final, NoReturn

EXIT_DIED: Final = 1

EXIT_CANNOT_SERVE: Final = 69
"""EX_UNAVAILABLE of sysexits.h."""

EXIT_NOT_ITS_FAULT: Final = 74
"""EX_IOERR of sysexits.h: a worker ended for want of something that is not its candidate's business."""


EXIT_GO_ON: Final = 75
"""EX_TEMPFAIL of sysexits.h: everything was given back, and there is more to do, in another allocation."""


class GoOnLater(RuntimeError):
    """The allocation ends, or is wanted back: another allocation continues the rest. The text says why."""


class CannotServe(RuntimeError):
    """A service cannot do its work here, and starting it again does not help; the text says what is missing."""


def leave(code: int) -> NoReturn:
    """End this process when its exit handlers have run and its output is written, without taking Python apart.

    That takes a second where large libraries were loaded, which is missing when an allocation ends.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def exit_reason(code: int) -> str:
    """How a process ended, in words, from its return code."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    return f"ended with exit code {code}"


def end_of_group(leader: subprocess.Popen[bytes]) -> int | None:
    """Return code of a process that leads a process group, None while it runs; what is left of the group is killed.

    The group is killed while its dead leader still has its number. The kernel may give a number to any process once
    the dead one was waited for.
    """
    if leader.returncode is None:
        if os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        signal_group(leader, signal.SIGKILL)
    return leader.poll()


def signal_group(leader: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the process group that a process leads; nothing where its leader was waited for already."""
    if leader.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader.pid, number)


@dataclass
class _End:
    asked_s: float | None = None


_end = _End()


def end_soon() -> None:
    """This process was asked to end: from now on a Redis server that is away is hardly waited for."""
    _end.asked_s = time.monotonic()


NOISE: Final = re.compile(r"^\s*$|^=|PID \d+ RUNNING AT|EXIT (CODE|STRING)|CLEANUP MESSAGES|typically refers|FAQ page")


def last_words(words: bytes) -> str:
    """The last line of a log that says something, without MPI's own remarks. Pure."""
    lines = words.decode(errors="replace").splitlines()
    said = [line.strip() for line in lines if not NOISE.search(line) and not line.startswith("Abort(")]
    return said[-1][:1000] if said else ""
