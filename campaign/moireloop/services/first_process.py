"""The first process of a container: passes signals on, and takes in the dead whose parents have gone (adapter).

The kernel gives every orphan of a container to its process 1, and lets signals without a handler pass it by.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

PASSED_ON: Final = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
)  # fmt: skip


def as_first_process(run: Callable[[], int]) -> int:
    """Carry `run` out in a child, and see it and all orphans to their ends; returns its exit code in both processes.

    To be called before there are threads. A child that a signal ended has 128 and the signal's number, as in a shell.
    """
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # a signal waits until it can be passed on
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        return run()

    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
