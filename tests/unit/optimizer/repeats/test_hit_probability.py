"""Equal points, and how often a recipe hits: against counts by hand and independent calculations."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from moireloop_broker.contract.search import SearchSpace
from moireloop_optimizer.repeats.hit_probability import HitProbability, equal_rows, jeffreys_interval, repeats_of

SPACE = SearchSpace.model_validate({"temperature_k": [1500.0, 4500.0], "lattice_strain": [-0.013, 0.05]})
UNIT = st.floats(0.0, 1.0)


def test_equal_points_share_a_group_in_the_order_of_their_first_rows() -> None:
    """Whatever stands between them."""
    points = np.array([[0.5, 0.5], [0.1, 0.5], [0.5, 0.5], [0.1, 0.1], [0.1, 0.5]])
    assert equal_rows(points).tolist() == [0, 1, 0, 2, 1]
    assert equal_rows(points[:0]).tolist() == []


@settings(deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=20))
def test_the_way_to_parameters_and_back_keeps_a_point(rows: list[tuple[float, float]]) -> None:
    """The rounding of the way, several times over, parts no point from itself, also on the edge of a decimal."""
    points = np.array(rows)
    again = points
    for _ in range(3):
        again = SPACE.to_unit(SPACE.from_unit(again))
    label = equal_rows(np.concatenate([points, again]))
    assert label[: len(rows)].tolist() == label[len(rows) :].tolist()


@pytest.mark.parametrize("step", [1e-7, -1e-7])
def test_points_that_differ_by_more_than_rounding_are_apart(step: float) -> None:
    """One coordinate is enough."""
    assert equal_rows(np.array([[0.5, 0.5], [0.5, 0.5 + step]])).tolist() == [0, 1]


def test_thousands_of_points_are_grouped_at_once() -> None:
    """5000 points that are 1250 recipes: found, and in a fraction of a second."""
    distinct = np.random.default_rng(1).random((1250, 3))
    points = np.tile(distinct, (4, 1))
    began_s = time.process_time()
    label = equal_rows(points)
    assert time.process_time() - began_s < 5.0
    assert label.tolist() == list(range(1250)) * 4


def test_only_runs_after_the_first_hit_count() -> None:
    """The run that made us look, and the miss before it, do not; another recipe's runs neither."""
    label = np.array([0, 1, 0, 0, 0, 1, 0])
    is_hit = np.array([False, True, True, True, False, False, True])
    repeats = repeats_of(label, is_hit)
    assert repeats.first_hit.tolist() == [2, 1]
    assert (repeats.hits.tolist(), repeats.trials.tolist()) == ([2, 0], [3, 1])


def test_a_recipe_without_a_hit_has_no_trials() -> None:
    """However often it was run."""
    repeats = repeats_of(np.array([0, 0, 0]), np.zeros(3, dtype=bool))
    assert (repeats.first_hit.tolist(), repeats.trials.tolist()) == ([-1], [0])


@pytest.mark.parametrize("hits", range(1, 6))
def test_interval_is_that_of_jeffreys(hits: int) -> None:
    """The 2.5 and 97.5 % quantiles of Beta(hits + 1/2, misses + 1/2), by another routine."""
    low, high = HitProbability(hits, 6).interval
    assert (low, high) == pytest.approx(beta.ppf([0.025, 0.975], hits + 0.5, 6 - hits + 0.5))


def test_interval_of_a_published_example() -> None:
    """Table 5 of Brown, Cai and DasGupta (2001): 2 of 10 gives 0.044 to 0.503."""
    assert HitProbability(2, 10).interval == pytest.approx((0.044, 0.503), abs=5e-4)


def test_interval_reaches_the_ends() -> None:
    """Without a hit it begins at 0, without a miss it ends at 1, without a trial it is everything."""
    assert HitProbability(0, 4).interval[0] == 0.0
    assert HitProbability(4, 4).interval[1] == 1.0
    assert HitProbability(0, 0).interval == (0.0, 1.0)
    assert (HitProbability(0, 0).estimate, HitProbability(3, 4).estimate) == (None, 0.75)


@pytest.mark.parametrize("trials", [4, 10, 30])
def test_interval_covers_the_truth_about_as_often_as_it_says(trials: int) -> None:
    """Over all probabilities, 95 % on the mean (the exact sum over all numbers of hits), never far below."""
    truth = np.linspace(0.005, 0.995, 199)
    hits = np.arange(trials + 1)
    low, high = jeffreys_interval(hits, np.full(trials + 1, trials))
    weight = beta.pdf(truth[:, np.newaxis], hits + 1, trials - hits + 1) / (trials + 1)
    coverage = (weight * ((low <= truth[:, np.newaxis]) & (truth[:, np.newaxis] <= high))).sum(axis=1)
    assert coverage.mean() == pytest.approx(0.95, abs=0.01)
    assert coverage.min() > 0.83


def test_recipes_chosen_for_a_hit_are_not_overrated() -> None:
    """Of many recipes that hit one time in twenty, those that hit once go on to hit one time in twenty."""
    draws = np.random.default_rng(3).random((20_000, 5)) < 0.05
    chosen = draws[draws[:, 0]]
    label = np.repeat(np.arange(len(chosen)), 5)
    repeats = repeats_of(label, chosen.ravel())
    assert repeats.hits.sum() / repeats.trials.sum() == pytest.approx(0.05, abs=0.01)
    assert chosen.mean() > 0.2
