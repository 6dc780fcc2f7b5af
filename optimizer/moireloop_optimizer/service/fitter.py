"""The service's hold on its fit process: one question at a time, restarted when it dies or takes too long (adapter)."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe

from moireloop_broker.processes.lifeline import lifeline_command
from moireloop_optimizer.service.fit_protocol import Answer, Question, pack, unpack_answer

logger = logging.getLogger(__name__)

LONGEST_ANSWER_S = 300.0

LONGEST_START_S = 120.0

ALARM_S = 60.0
"""How much later than its own alarm a process that hangs is ended all the same."""

CLOSE_S = 5.0


class FitProcessLost(RuntimeError):
    """The fit process died or did not answer in time; the question has no answer. A new process is started."""


class Fitter:
    """One fit process with `threads` threads. `ask` and then `answer` until there is one.

    The process starts with `start`, which loads torch while nothing waits for it, or else with the first question.
    """

    def __init__(self, threads: int, longest_answer_s: float = LONGEST_ANSWER_S) -> None:
        self._threads = threads
        self._longest_answer_s = longest_answer_s
        self._asked_s: float | None = None
        self._answered = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the fit process, None before its start."""
        return self._process.pid if self._process else None

    @property
    def is_warm(self) -> bool:
        """Whether the process has started up and answered before."""
        return self._answered

    def ask(self, question: Question) -> None:
        """Put a question.

        Raises:
            FitProcessLost: the process has died.
        """
        self.start()
        self._asked_s = time.monotonic()
        try:
            self._pipe.send_bytes(pack(question))
        except OSError as error:
            raise self._lost(f"could not be asked: {error}") from error

    def answer(self, wait_s: float) -> Answer | None:
        """The answer to the question put, None while there is none; waits up to `wait_s` for it.

        Raises:
            FitProcessLost: the process has died, or has not answered in time.
        """
        try:
            if self._pipe.poll(wait_s):
                answer = unpack_answer(self._pipe.recv_bytes())
                self._answered, self._asked_s = True, None
                return answer
        except (EOFError, OSError) as error:
            raise self._lost(f"its pipe closed: {error}") from error
        limit_s = self._longest_answer_s + (0.0 if self._answered else LONGEST_START_S)
        if self._asked_s is not None and time.monotonic() - self._asked_s > limit_s:
            raise self._lost(f"no answer within {limit_s:g} s")
        return None

    def close(self) -> None:
        """End the fit process, if it was started."""
        if self._process is None:
            return
        self._pipe.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(CLOSE_S)

    def _lost(self, reason: str) -> FitProcessLost:
        self.close()
        status = self._process.returncode if self._process else None
        self._process = None
        self.start()
        if status == -signal.SIGALRM:
            reason = "took longer than optimizer.suggest_s"
        return FitProcessLost(f"fit process {reason}; exit status {status}")

    def start(self) -> None:
        """Start the fit process; does nothing when it was started before."""
        if self._process is not None:
            return
        self._asked_s, self._answered = None, False
        self._pipe, theirs = Pipe()
        command = [
            sys.executable,
            "-m",
            "moireloop_optimizer.service.fit_process",
            str(theirs.fileno()),
            str(self._threads),
        ]
        environment = os.environ | {"OMP_NUM_THREADS": str(self._threads), "MKL_NUM_THREADS": str(self._threads)}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                lifeline_command(command, signal.SIGKILL), pass_fds=[theirs.fileno()], env=environment
            )
        logger.info("fit process started pid=%d threads=%d", self._process.pid, self._threads)
