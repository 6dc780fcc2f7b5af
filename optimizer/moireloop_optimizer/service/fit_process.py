"""The process that fits: `python -m moireloop_optimizer.service.fit_process FD THREADS` (main).

It sends an empty message when it is ready. Then it answers the questions that come through the inherited pipe until the
pipe closes: an empty message when the strategy is loaded, and then the answer. Once ready it runs at nice 10 and with
a fixed number of threads, so that neither the service nor the MD waits for it. If a user's strategy exceeds its time
limit, SIGALRM ends the process, whatever hangs there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import torch

from moireloop_broker.contract.search import Target
from moireloop_optimizer.generators.foreign import ForeignStrategy
from moireloop_optimizer.generators.source import generator_class
from moireloop_optimizer.repeats.replicates import Replicating
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.service.fit_protocol import LOADING_S, Answer, Question, pack, unpack_question
from moireloop_optimizer.strategies import strategy_named
from moireloop_optimizer.strategy import Strategy
from moireloop_optimizer.strategy_names import OWN_NAMES, is_own, made_by

NICE = 10


class Answerer:
    """Keeps a strategy from one question to the next, as long as questions are for the same one."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._strategy: Strategy

    def answer(self, question: Question) -> Answer:
        """The points asked for, once the question has been prepared for."""
        made = Replicating(self._strategy, question.replicates).suggest(
            question.n, question.runs, question.pending_points, question.targets, index=question.index
        )
        return Answer(
            points=made.points.tolist(),
            aims=list(made.aims),
            made_by=list(made.made_by),
            fit_failed=made.fit_failed,
            fit_s=made.fit_s,
            acquisition_s=made.acquisition_s,
        )

    def prepare(self, question: Question) -> None:
        """Load the strategy of a question; a user's strategy is imported for that."""
        key = (question.strategy, question.seed, question.options, question.space)
        if self._key != key:
            self._strategy, self._key = _strategy_of(question), key
        if isinstance(self._strategy, ForeignStrategy):
            self._strategy.load()


def _strategy_of(question: Question) -> Strategy:
    if is_own(question.strategy):
        return strategy_named(question.strategy, question.seed)
    return ForeignStrategy(
        lambda: generator_class(question.strategy),
        made_by(question.strategy),
        question.space,
        question.options,
        question.seed,
    )


def _answer_in_time(answerer: Answerer, question: Question, prepared: Callable[[], None]) -> Answer:
    """The answer. Somebody else's strategy brings the process down when it takes too long, whatever it hangs in.

    A copy of this process that the strategy made by fork ends here.
    """
    me = os.getpid()
    is_bounded = not is_own(question.strategy)
    signal.setitimer(signal.ITIMER_REAL, LOADING_S if is_bounded else 0.0)
    answerer.prepare(question)
    _end_copies(me)
    prepared()
    signal.setitimer(signal.ITIMER_REAL, question.suggest_s if is_bounded else 0.0)
    answer = answerer.answer(question)
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    _end_copies(me)
    return answer


def _end_copies(me: int) -> None:
    if os.getpid() != me:
        os._exit(0)


def _warm_up() -> None:
    """Pay for the imports and first uses inside torch before the first question comes."""
    rng = np.random.default_rng(0)
    few = Runs(rng.random((6, 2)), rng.random(6), np.full(6, np.nan))
    for name in OWN_NAMES:
        strategy_named(name, 0).suggest(1, few, few.points[:1], [Target(twist_deg=0.5)], index=0)


def main(arguments: list[str]) -> int:
    """Answer questions until the pipe closes."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ignored by services, and so by what they start
    torch.set_num_threads(int(arguments[1]))
    _warm_up()
    os.nice(NICE)
    answerer = Answerer()
    with Connection(int(arguments[0])) as pipe:
        try:
            pipe.send_bytes(b"")
            while True:
                question = unpack_question(pipe.recv_bytes())
                pipe.send_bytes(pack(_answer_in_time(answerer, question, lambda: pipe.send_bytes(b""))))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
