"""The fit process: answers, priority, death."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.service.fit_protocol import Answer, Question, pack, packed_rows, unpack_question
from moireloop_optimizer.service.fitter import FitProcessLost, Fitter
from moireloop_optimizer.sobol import sobol_points
from tests.helpers.waiting import wait_until

POINTS = sobol_points(10, 2, seed=0)
SPACE = SearchSpace({"temperature_k": [1500.0, 3000.0], "lattice_strain": [0.0, 0.05]})


pytestmark = pytest.mark.timeout(300)

OTHERS = Path(__file__).with_name("strategies_of_others.py")
XOPT = "xopt.generators.bayesian:ExpectedImprovementGenerator"


def question(strategy: str = "qei", n: int = 2, **more: Any) -> Question:
    return Question(
        strategy=strategy,
        seed=1,
        n=n,
        index=10,
        space=SPACE,
        points=packed_rows(POINTS),
        twist_deg=packed_rows(10.0 * POINTS[:, 0]),
        sigma_deg=packed_rows(np.full(len(POINTS), 0.1)),
        pending=packed_rows([[0.5, 0.5]]),
        targets=[Target(twist_deg=4.0)],
        **more,
    )


def answered(fitter: Fitter) -> Answer:
    answer: Answer = wait_until(lambda: fitter.answer(0.05), "the fit process answers", 240)
    return answer


def ask_and_wait(fitter: Fitter, put: Question) -> Answer:
    fitter.ask(put)
    return answered(fitter)


@pytest.mark.parametrize("strategy", ["auto", "qei", "thompson", "random"])
def test_it_suggests_points_inside(fitter: Fitter, strategy: str) -> None:
    """By the strategy asked for, and the same again to the same question."""
    fitter.ask(question(strategy))
    first = answered(fitter)
    fitter.ask(question(strategy))
    assert answered(fitter).points == first.points
    assert first.made_by == [strategy] * 2
    points = np.array(first.points)
    assert points.shape == (2, 2)
    assert ((points >= 0) & (points <= 1)).all()


def test_lattices_reach_the_process(fitter: Fitter) -> None:
    """Runs of a question that was packed have them; and it is answered."""
    lattices = np.random.default_rng(0).random((len(POINTS), 12))
    lattices[3] = np.nan
    put = question("auto", lattices=packed_rows(lattices))
    runs = unpack_question(pack(put)).runs
    assert runs.lattices is not None
    assert runs.lattices.reshape(-1, 12) == pytest.approx(lattices, nan_ok=True)
    assert question().runs.lattices is None
    assert ask_and_wait(fitter, put).made_by == ["auto"] * 2


def test_it_gives_way_to_the_md(fitter: Fitter) -> None:
    """It runs at nice 10."""
    fitter.ask(question("random"))
    answered(fitter)
    assert psutil.Process(fitter.pid).nice() == min(19, os.nice(0) + 10)


def test_its_death_is_reported_and_a_new_one_responds() -> None:
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


def test_generator_of_xopt_suggests(fitter: Fitter) -> None:
    """Expected improvement of Xopt, named by module and class: one of two points comes close to the target."""
    fitter.ask(question(XOPT, options={"n_monte_carlo_samples": 64}))
    answer = answered(fitter)
    assert answer.made_by == ["ExpectedImprovementGenerator"] * 2
    assert not answer.fit_failed
    points = np.array(answer.points)
    assert points.shape == (2, 2)
    assert np.abs(10.0 * points[:, 0] - 4.0).min() < 0.5


def test_generator_from_a_file_suggests(fitter: Fitter) -> None:
    """It lives from question to question, and starts over with other options."""
    fitter.ask(question(f"{OTHERS}:Middle"))
    first = answered(fitter)
    assert np.array(first.points) == pytest.approx(np.array([[0.6, 0.6], [0.61, 0.61]]))
    assert first.made_by == ["Middle", "Middle"]
    fitter.ask(question(f"{OTHERS}:Middle", options={"step": 0.02}))
    assert np.array(answered(fitter).points) == pytest.approx(np.array([[0.7, 0.7], [0.72, 0.72]]))


def test_generator_goes_on_in_another_process() -> None:
    """Killed while it was waited for: the next process gets the whole history, and answers as the first one did."""
    fitter = Fitter(threads=1)
    try:
        fitter.ask(question(f"{OTHERS}:Middle"))
        first = answered(fitter)
        assert fitter.pid is not None
        os.kill(fitter.pid, signal.SIGKILL)
        with pytest.raises(FitProcessLost):
            ask_and_wait(fitter, question(f"{OTHERS}:Middle"))
        fitter.ask(question(f"{OTHERS}:Middle"))
        assert answered(fitter).points == first.points
    finally:
        fitter.close()


def test_generator_that_fails_is_made_up_for(fitter: Fitter) -> None:
    """Its process lives on; the points are from the Sobol sequence, and marked."""
    before = fitter.pid
    fitter.ask(question(f"{OTHERS}:Raises"))
    answer = answered(fitter)
    assert (answer.made_by, answer.fit_failed) == (["sobol", "sobol"], True)
    assert fitter.pid == before


@pytest.mark.parametrize(
    ("name", "reason"), [("Hangs", r"took longer than optimizer\.suggest_s; exit status -14"), ("Dies", "status -11")]
)
def test_generator_that_hangs_or_dies_is_reported(name: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process ends, after the seconds that it may take and no later; another one answers the next question."""
    fitter = Fitter(threads=1)
    try:
        fitter.ask(question(f"{OTHERS}:Middle", suggest_s=0.5))
        answered(fitter)
        fitter.ask(question(f"{OTHERS}:{name}", suggest_s=0.5))
        with pytest.raises(FitProcessLost, match=reason):
            answered(fitter)
        fitter.ask(question("random"))
        assert answered(fitter).made_by == ["random"] * 2
    finally:
        fitter.close()


def left_alive(folder: Path) -> list[int]:
    """Daemons that strategies have left behind and that have not ended."""
    pids = [int(path.name.removeprefix("pid-")) for path in folder.iterdir()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Stops", r"did not finish within 3\.5 s; exit status -9"),
        ("Half", r"did not finish within 3\.5 s; exit status -9"),
        ("Rubbish", "sent an invalid reply: "),
    ],
)
def test_wild_generator_ends_in_time(name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does, a few seconds after its own time the process is ended with all that it started."""
    monkeypatch.setenv("LEFT", str(tmp_path))
    fitter = Fitter(threads=1)
    try:
        with pytest.raises(FitProcessLost, match=reason):
            ask_and_wait(fitter, question(f"{OTHERS}:{name}", suggest_s=0.5))
        assert len(list(tmp_path.iterdir())) == (name == "Stops")
        assert left_alive(tmp_path) == []
    finally:
        fitter.close()


def test_what_a_generator_leaves_behind_ends_with_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes back twice by a fork, and is heard once."""
    monkeypatch.setenv("LEFT", str(tmp_path))
    fitter = Fitter(threads=1)
    try:
        for _ in range(2):
            assert ask_and_wait(fitter, question(f"{OTHERS}:Forks")).made_by == ["Forks"] * 2
        wait_until(lambda: len(left_alive(tmp_path)) == 2, "both daemons are there")
    finally:
        fitter.close()
    assert left_alive(tmp_path) == []
