"""The service's hold on its fit process: one question at a time, restarted when it goes wrong (adapter)."""

from __future__ import annotations

import logging
import signal
from typing import Final

from moireloop_broker.processes.helper import Helper, HelperLost
from moireloop_optimizer.service.fit_protocol import LOADING_S, Answer, Question, pack, unpack_answer
from moireloop_optimizer.strategy_names import is_own

logger = logging.getLogger(__name__)

PROGRAM: Final = "moireloop_optimizer.service.fit_process"

LONGEST_ANSWER_S: Final = 300.0

LONGEST_START_S: Final = 120.0

ALARM_S: Final = 3.0
"""How much later than its own alarm a process that hangs is ended anyway."""

LARGEST_BYTES: Final = 64 * 1024 * 1024


class FitProcessLost(RuntimeError):
    """The fit process died or did not respond in time; the question has no answer. A new process is started."""


class Fitter:
    """One fit process with `threads` threads. `ask` and then `answer` until there is one.

    The process starts with `start`, which loads torch while nothing waits for it, or else with the first question.
    Somebody else's strategy has the seconds of the question, and LOADING_S where the process has to load it.
    """

    def __init__(
        self, threads: int, longest_answer_s: float = LONGEST_ANSWER_S, memory_bytes: int | None = None
    ) -> None:
        self._threads = threads
        self._longest_answer_s = longest_answer_s
        self._memory_bytes = memory_bytes
        self._question: Question | None = None
        self._is_ready = self._is_prepared = self._answered = False
        self._loaded: object = None
        self._helper: Helper | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the fit process, None before its start."""
        return self._helper.pid if self._helper else None

    @property
    def is_warm(self) -> bool:
        """Whether the process has started up and answered before."""
        return self._answered

    def ask(self, question: Question) -> None:
        """Put a question. `answer` reports a process that has died meanwhile."""
        helper = self.start()
        self._question, self._is_prepared = question, False
        helper.send(pack(question))
        if self._is_ready:
            helper.allow(self._limit_s(question))

    def answer(self, wait_s: float) -> Answer | None:
        """The answer to the question put, None while there is none; waits up to `wait_s` for it.

        Raises:
            FitProcessLost: the process has died, or has not responded in time.
        """
        helper = self.start()
        try:
            word = helper.receive(wait_s)
            return None if word is None else self._read(helper, word)
        except HelperLost as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """End the fit process with all that it has started, if it was started."""
        if self._helper is not None:
            self._helper.end()

    def start(self) -> Helper:
        """Start the fit process, unless it was started before."""
        if self._helper is not None:
            return self._helper
        self._is_ready = self._is_prepared = self._answered = False
        self._question = self._loaded = None
        threads = str(self._threads)
        self._helper = Helper(
            PROGRAM,
            [threads],
            "fit process",
            env={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            memory_bytes=self._memory_bytes,
            largest_bytes=LARGEST_BYTES,
        )
        self._helper.allow(LONGEST_START_S)
        logger.info("fit process started threads=%d", self._threads)
        return self._helper

    def _read(self, helper: Helper, word: bytes) -> Answer | None:
        """Take in a word: an empty one says that the process is ready, or that it has loaded what it was asked for."""
        if not word and not self._is_ready:
            self._is_ready = True
            helper.allow(None if self._question is None else self._limit_s(self._question))
            return None
        question = self._question
        if question is None or bool(word) != self._is_prepared:
            raise helper.lost("sent a reply without a request")
        if not word:
            self._is_prepared, self._loaded = True, question.strategy
            helper.allow(self._limit_s(question))
            return None
        return self._read_answer(helper, word, question)

    def _read_answer(self, helper: Helper, word: bytes, question: Question) -> Answer:
        try:
            answer = unpack_answer(word)
        except ValueError as error:
            raise helper.lost(f"sent an invalid reply: {error}"[:300]) from error
        if {len(answer.points), len(answer.aims), len(answer.made_by)} != {question.n}:
            raise helper.lost(f"sent an invalid reply: expected {question.n} points, got {len(answer.points)}")
        self._answered, self._question = True, None
        helper.allow(None)
        return answer

    def _limit_s(self, question: Question) -> float:
        """Seconds until the next word about a question."""
        if is_own(question.strategy):
            return self._longest_answer_s
        return (question.suggest_s if self._loaded == question.strategy else LOADING_S) + ALARM_S

    def _lost(self, error: HelperLost) -> FitProcessLost:
        self._helper = None
        self.start()
        what = "took longer than optimizer.suggest_s" if error.code == -signal.SIGALRM else str(error)
        return FitProcessLost(f"fit process {what}; exit status {error.code}")
