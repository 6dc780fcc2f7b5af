"""Many points chosen together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.hit_model import FitCache, HitModel
from moireloop_optimizer.auto.strategy import NAME, ONE_BY_ONE, AutoStrategy
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points

TARGETS = [Target(twist_deg=8.5, tolerance_deg=0.1), Target(twist_deg=25.0, tolerance_deg=0.1)]
NUMBER = 40


def runs(count: int, seed: int = 6) -> Runs:
    """A slope with a wave across it, without the runs that hit."""
    points = sobol_points(2 * count, 3, seed=seed)
    twist_deg = 15.0 + 9.0 * np.sin(3.0 * points[:, 0] + points[:, 1]) + 5.0 * (points[:, 2] - 0.5)
    away = np.min([np.abs(twist_deg - target.twist_deg) for target in TARGETS], axis=0) > 0.3
    return Runs(points[away][:count], twist_deg[away][:count], np.full(count, 0.05))


@pytest.fixture(scope="module")
def known() -> Runs:
    return runs(40)


@pytest.fixture(scope="module")
def pending() -> Points:
    return sobol_points(300, 3, seed=1)


@pytest.fixture(scope="module")
def chosen(known: Runs, pending: Points) -> Points:
    return AutoStrategy(0).suggest(NUMBER, known, pending, TARGETS, index=40).points


def test_they_are_distinct(chosen: Points, pending: Points) -> None:
    """No two are near each other, and none is near one that is on its way."""
    apart = (NUMBER + len(pending)) ** (-1 / 3)
    assert pdist(chosen).min() > 0.2 * apart
    assert cdist(chosen, pending).min() > 0.1 * apart


def test_hits_are_likelier_there_than_elsewhere(known: Runs, pending: Points, chosen: Points) -> None:
    """The model that chose them says so, of all of them and of most."""
    model = HitModel(known, pending, TARGETS, FitCache())
    places = (chosen, sobol_points(400, 3, seed=9))
    worth, elsewhere = (model.probability(points, TARGETS).sum(axis=0) for points in places)
    assert worth.mean() > 2.0 * elsewhere.mean()
    assert np.median(worth) > elsewhere.mean()


def test_each_has_the_target_that_it_most_likely_hits(known: Runs, pending: Points) -> None:
    """Both are aimed at by some."""
    made = AutoStrategy(0).suggest(NUMBER, known, pending, TARGETS, index=40)
    model = HitModel(known, pending, TARGETS, FitCache())
    assert set(made.aims) == {0, 1}
    assert list(made.aims) == model.probability(made.points, TARGETS).argmax(axis=0).tolist()
    assert NAME in made.made_by


def test_the_same_question_has_the_same_answer(known: Runs, pending: Points, chosen: Points) -> None:
    """With the seed and the number of points before it; another number gives others."""
    again, later = (AutoStrategy(0).suggest(NUMBER, known, pending, TARGETS, index=index).points for index in (40, 41))
    assert np.array_equal(again, chosen)
    assert not np.array_equal(later, chosen)


def test_a_few_are_chosen_as_before(known: Runs) -> None:
    """Each by a separate search: as many in two questions, the second of which knows the first, as in one."""
    nothing = np.zeros((0, 3))
    both = AutoStrategy(0).suggest(2, known, nothing, TARGETS, index=40).points
    first = AutoStrategy(0).suggest(1, known, nothing, TARGETS, index=40).points
    second = AutoStrategy(0).suggest(1, known, first, TARGETS, index=41).points
    assert ONE_BY_ONE >= 2
    assert np.allclose(both, np.concatenate([first, second]))


def test_in_a_hurry_a_fit_serves_for_a_while() -> None:
    """While another would take more than its share of the time; never to other runs than those that it was made for."""
    cache, few, more = FitCache(), runs(40), runs(60)
    fit = cache.at(few, hurried=True)
    assert cache.at(more, hurried=True) is fit
    assert cache.at(runs(60, seed=7), hurried=True) is not fit
    assert FitCache().at(few) is not fit
    cache = FitCache()
    fit = cache.at(few)
    assert cache.at(more) is not fit
