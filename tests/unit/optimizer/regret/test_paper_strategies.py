"""The paper's strategies on analytic landscapes and on data that carry nothing."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_broker.contract.search import Points
from moireloop_optimizer.regret.strategies import PaperName, paper_strategy
from moireloop_optimizer.runs import Observed
from moireloop_optimizer.sobol import sobol_points

NOTHING = np.zeros((0, 3))
MODELS: list[PaperName] = ["qei", "thompson"]
ALL: list[PaperName] = ["qei", "thompson", "random"]


SUMMIT = np.array([0.7, 0.35, 0.6])


def objective(points: Points) -> Points:
    """Negative regret against 30 degrees of a landscape that is flat at 0 except for one hill of 30 degrees."""
    twist_deg: Points = 30.0 * np.exp(-8.0 * ((points - SUMMIT) ** 2).sum(axis=1))
    return -np.abs(twist_deg - 30.0)


def observed(n: int, seed: int = 0) -> Observed:
    points = sobol_points(n, 3, seed=seed)
    return Observed(points, objective(points))


def least_regret(name: PaperName, seed: int, *, initial: int = 8, rounds: int = 5, each: int = 2) -> float:
    """Least regret in degrees after a search of initial + rounds * each evaluations."""
    strategy = paper_strategy(name, seed)
    points = sobol_points(initial, 3, seed=seed)
    for _ in range(rounds):
        data = Observed(points, objective(points))
        made = strategy.suggest(each, data, NOTHING, index=len(points))
        points = np.concatenate([points, made.points])
    return float(-objective(points).max())


@pytest.mark.slow
def test_models_beat_the_random_search() -> None:
    """At the same budget of 18 evaluations, over two seeds, both come three times as close on average."""
    regrets = {name: np.mean([least_regret(name, seed) for seed in range(2)]) for name in ALL}
    assert regrets["qei"] < regrets["random"] / 3, regrets
    assert regrets["thompson"] < regrets["random"] / 3, regrets


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_and_data_give_the_same_points(name: PaperName) -> None:
    """Bit for bit; another index gives other points."""
    first, again = (paper_strategy(name, 3).suggest(2, observed(12), NOTHING, index=12) for _ in range(2))
    np.testing.assert_array_equal(first.points, again.points)
    assert first.made_by == name
    other = paper_strategy(name, 3).suggest(2, observed(12), NOTHING, index=14)
    assert not np.array_equal(first.points, other.points)


@pytest.mark.parametrize("name", MODELS)
def test_pending_points_are_counted(name: PaperName) -> None:
    """With its own suggestion pending, a strategy suggests something else."""
    strategy = paper_strategy(name, 0)
    first = strategy.suggest(1, observed(12), NOTHING, index=12).points
    second = strategy.suggest(1, observed(12), first, index=12).points
    assert np.linalg.norm(first - second) > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_many_pending_points_do_no_harm(name: PaperName) -> None:
    """Sixty pending points, some of them equal, some outside the bounds of a resumed campaign."""
    pending = np.concatenate([sobol_points(58, 3, seed=9), np.full((2, 3), 0.5), [[3.0, -2.0, 0.5]]])
    made = paper_strategy(name, 0).suggest(2, observed(12), pending, index=12)
    assert made.made_by == name
    assert ((made.points >= 0) & (made.points <= 1)).all()


def test_a_batch_has_no_point_twice() -> None:
    """A batch of the paper's size of 15 by Thompson sampling."""
    points = paper_strategy("thompson", 0).suggest(15, observed(12), NOTHING, index=12).points
    assert len(np.unique(points, axis=0)) == 15


@pytest.mark.slow
def test_a_batch_longer_than_the_greedy_part_goes_on() -> None:
    """Eighteen points by expected improvement, all different and inside."""
    points = paper_strategy("qei", 0).suggest(18, observed(10), NOTHING, index=10).points
    assert points.shape == (18, 3)
    assert len(np.unique(points, axis=0)) == 18


def data(points: list[list[float]], values: list[float]) -> Observed:
    return Observed(np.array(points, dtype=float).reshape(-1, 3), np.array(values, dtype=float))


DEGENERATE = {
    "no result": data([], []),
    "one result": data([[0.5, 0.5, 0.5]], [-3.0]),
    "equal points": data([[0.5, 0.5, 0.5]] * 4, [-1.0, -2.0, -3.0, -4.0]),
    "constant objective": data(sobol_points(5, 3, seed=0).tolist(), [-2.0] * 5),
    "far outside": data([[1e200] * 3, [1e9] * 3, [-1e9] * 3], [-1.0, -2.0, -3.0]),
}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("name", MODELS)
def test_data_that_carry_nothing_give_sobol_points(name: PaperName, case: str) -> None:
    """No model is possible; the points come from the sequence, inside the bounds."""
    made = paper_strategy(name, 7).suggest(3, DEGENERATE[case], NOTHING, index=5)
    assert made.made_by == "sobol"
    np.testing.assert_array_equal(made.points, sobol_points(3, 3, seed=7, index=5))


AWKWARD = {
    "two results": data([[0.2, 0.2, 0.2], [0.8, 0.8, 0.8]], [-1.0, -2.0]),
    "equal points among others": data([[0.5, 0.5, 0.5]] * 6 + [[0.1, 0.9, 0.3]], [-1.0, -5, -9, -1, -5, -9, -3]),
    "one outlier": data(sobol_points(8, 3, seed=0).tolist(), [-2.0] * 7 + [-30.0]),
    "nearly constant": data(sobol_points(8, 3, seed=0).tolist(), [-2.0 - 1e-7 * k for k in range(8)]),
    "one dimension varies": data([[0.5, 0.5, x] for x in (0.0, 0.3, 0.6, 1.0)], [-1.0, -2.0, -3.0, -1.5]),
    "outside the bounds": data([[2.0, 0.5, 0.5], [0.5, -3.0, 0.5], [0.5, 0.5, 0.5]], [-1.0, -2.0, -3.0]),
    "nearly equal points": data([[0.5, 0.5, 0.5 + 1e-13 * k] for k in range(9)], [-1.0 - k for k in range(9)]),
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", MODELS)
def test_awkward_data_give_points_inside(name: PaperName, case: str) -> None:
    """Finite and inside the unit cube, with a pending point on top of a result."""
    made = paper_strategy(name, 0).suggest(2, AWKWARD[case], AWKWARD[case].points[:1], index=9)
    assert np.isfinite(made.points).all()
    assert ((made.points >= 0) & (made.points <= 1)).all()
    assert made.points.shape == (2, 3)


def test_results_that_are_not_numbers_are_left_out() -> None:
    """One NaN among good values changes nothing."""
    good = observed(8)
    spoilt = Observed(np.concatenate([good.points, [[0.1, 0.2, 0.3]]]), np.append(good.values, np.nan))
    expected = paper_strategy("thompson", 0).suggest(1, good, NOTHING, index=8).points
    np.testing.assert_array_equal(paper_strategy("thompson", 0).suggest(1, spoilt, NOTHING, index=8).points, expected)
