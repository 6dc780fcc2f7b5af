"""The fit process: answers, priority, death."""

from __future__ import annotations

import os
import signal

import numpy as np
import psutil
import pytest

from moireloop_optimizer.fit_protocol import Answer, Question
from moireloop_optimizer.fitter import FitProcessLost, Fitter
from moireloop_optimizer.objective import Target
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.space import SearchSpace
from tests.waiting import wait_until

POINTS = sobol_points(10, 2, seed=0)
SPACE = SearchSpace({"temperature_k": [1500.0, 3000.0], "lattice_strain": [0.0, 0.05]})


def question(strategy: str = "qei", n: int = 2) -> Question:
    twist_deg = (10.0 * POINTS[:, 0]).tolist()
    return Question(
        strategy=strategy,
        seed=1,
        n=n,
        index=10,
        space=SPACE,
        points=POINTS.tolist(),
        twist_deg=twist_deg,
        sigma_deg=[0.1] * len(POINTS),
        pending=[[0.5, 0.5]],
        targets=[Target(twist_deg=4.0)],
    )


def answered(fitter: Fitter) -> Answer:
    answer: Answer = wait_until(lambda: fitter.answer(0.05), "the fit process answers")
    return answer


@pytest.mark.parametrize("strategy", ["qei", "thompson", "random"])
def test_it_answers_with_points_inside(fitter: Fitter, strategy: str) -> None:
    """By the strategy asked for, and the same again to the same question."""
    fitter.ask(question(strategy))
    first = answered(fitter)
    fitter.ask(question(strategy))
    assert answered(fitter).points == first.points
    assert first.made_by == [strategy] * 2
    points = np.array(first.points)
    assert points.shape == (2, 2)
    assert ((points >= 0) & (points <= 1)).all()


def test_it_gives_way_to_the_md(fitter: Fitter) -> None:
    """It runs at nice 10."""
    fitter.ask(question("random"))
    answered(fitter)
    assert psutil.Process(fitter.pid).nice() == min(19, os.nice(0) + 10)


def test_its_death_is_told_and_a_new_one_answers() -> None:
    """Killed with a question open: that question is lost, the next one is answered by another process."""
    fitter = Fitter(threads=1)
    try:
        fitter.ask(question())
        first = fitter.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with pytest.raises(FitProcessLost, match="exit status -9"):
            answered(fitter)
        assert fitter.pid != first
        assert not fitter.is_warm
        fitter.ask(question())
        assert len(answered(fitter).points) == 2
    finally:
        fitter.close()
    assert fitter.pid is not None
    assert not psutil.pid_exists(fitter.pid)
