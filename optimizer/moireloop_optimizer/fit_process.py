"""The process that fits: `python -m moireloop_optimizer.fit_process FD THREADS` (main).

It answers the questions that come through the inherited pipe until that one closes, at nice 10 once it is ready and
with a fixed number of threads, so that neither the service nor the MD waits for it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from multiprocessing.connection import Connection

import numpy as np
import torch

from moireloop_optimizer.fit_protocol import Answer, Question, pack, unpack_question
from moireloop_optimizer.objective import Runs, Target
from moireloop_optimizer.strategies import strategy_named

NICE = 10


def answer(question: Question) -> Answer:
    """The points asked for. Raises ValueError for a strategy that does not exist."""
    strategy = strategy_named(question.strategy, question.seed)
    made = strategy.suggest(question.n, question.runs, question.pending_points, question.targets, index=question.index)
    return Answer(
        points=made.points.tolist(),
        aims=list(made.aims),
        made_by=list(made.made_by),
        fit_failed=made.fit_failed,
        fit_s=made.fit_s,
        acquisition_s=made.acquisition_s,
    )


def _warm_up() -> None:
    """Pay for the imports and first uses inside torch before the first question comes."""
    rng = np.random.default_rng(0)
    few = Runs(rng.random((6, 2)), rng.random(6), np.full(6, np.nan))
    strategy_named("qei", 0).suggest(1, few, few.points[:1], [Target(twist_deg=0.5)], index=0)


def main(arguments: list[str]) -> int:
    """Answer questions until the pipe closes."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(int(arguments[1]))
    _warm_up()
    os.nice(NICE)
    with Connection(int(arguments[0])) as pipe:
        try:
            while True:
                pipe.send_bytes(pack(answer(unpack_question(pipe.recv_bytes()))))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
