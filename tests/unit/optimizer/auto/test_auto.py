"""The default strategy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.hit_model import FitCache, schedule
from moireloop_optimizer.auto.strategy import NAME, AutoStrategy
from moireloop_optimizer.runs import Runs, is_within
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import STAND_IN

NOTHING = np.zeros((0, 3))
TARGET = Target(twist_deg=8.5, tolerance_deg=0.1)
FAR = Target(twist_deg=25.0, tolerance_deg=0.1)


def twists_deg(points: Points) -> Points:
    """A slope with a wave across it, from 0 to 30 degrees."""
    slope: Points = 15.0 + 9.0 * np.sin(3.0 * points[:, 0] + points[:, 1]) + 5.0 * (points[:, 2] - 0.5)
    return slope


def runs(points: Points) -> Runs:
    return Runs(points, twists_deg(points), np.full(len(points), 0.05))


def searched(targets: list[Target], seed: int, most: int = 40) -> Runs:
    """One point at a time after six of a Sobol sequence, until all targets are reached."""
    strategy, data = AutoStrategy(seed), runs(sobol_points(6, 3, seed=seed))
    while len(data) < most and not all(is_within(data.twist_deg, target).any() for target in targets):
        made = strategy.suggest(1, data, NOTHING, targets, index=len(data))
        data = runs(np.concatenate([data.points, made.points]))
    return data


@pytest.mark.parametrize("seed", range(4))
def test_a_smooth_landscape_takes_a_dozen_runs_more(seed: int) -> None:
    """One point in some 150 hits by chance."""
    data = searched([TARGET], seed)
    assert is_within(data.twist_deg, TARGET).any()
    assert len(data) <= 18


def test_targets_share_what_is_known() -> None:
    """Two together take fewer runs than one after the other would."""
    both, alone = ([len(searched(targets, seed)) for seed in range(4)] for targets in ([TARGET, FAR], [FAR]))
    assert np.mean(both) <= 1.5 * np.mean(alone)


def test_each_point_has_the_target_that_it_most_likely_hits() -> None:
    """And none goes to a target that a run has reached."""
    data = searched([TARGET], 0)
    made = AutoStrategy(0).suggest(4, data, NOTHING, [TARGET, FAR], index=len(data))
    assert set(made.aims) == {1}
    assert set(made.made_by) == {NAME}


def test_the_same_runs_in_the_same_order_give_the_same_points() -> None:
    """Bit for bit, whether a strategy has followed the campaign from its beginning or starts over."""
    points = sobol_points(40, 3, seed=2)
    followed = AutoStrategy(1)
    for count in range(6, 40, 3):
        followed.suggest(1, runs(points[:count]), NOTHING, [TARGET], index=count)
    ours, fresh = (one.suggest(2, runs(points), NOTHING, [TARGET], index=40) for one in (followed, AutoStrategy(1)))
    np.testing.assert_array_equal(ours.points, fresh.points)


def test_what_is_pending_is_not_asked_for_again() -> None:
    """With its own suggestion on its way, it looks elsewhere; a batch has no point twice."""
    data = runs(sobol_points(14, 3, seed=3))
    strategy = AutoStrategy(0)
    first = strategy.suggest(1, data, NOTHING, [TARGET], index=14).points
    second = strategy.suggest(1, data, first, [TARGET], index=14).points
    assert np.linalg.norm(first - second) > 0.01
    batch = strategy.suggest(8, data, NOTHING, [TARGET], index=14).points
    apart = np.linalg.norm(batch[:, None] - batch, axis=-1)[np.triu_indices(8, 1)]
    assert apart.min() > 1e-3


def test_a_reached_target_is_searched_for_elsewhere() -> None:
    """Other recipes lie away from the known one."""
    data = searched([TARGET], 1)
    known = data.points[is_within(data.twist_deg, TARGET)]
    made = AutoStrategy(1).suggest(3, data, NOTHING, [TARGET], index=len(data))
    assert np.linalg.norm(made.points[:, None] - known, axis=-1).min() > 0.05


def test_a_target_next_to_a_reached_one_is_found() -> None:
    """Runs that are meant for it lie among those that led to the other one, and count."""
    close = Target(twist_deg=9.0, tolerance_deg=0.1)
    for seed in range(4):
        data = searched([TARGET, close], seed)
        assert is_within(data.twist_deg, close).any()
        assert len(data) <= 24


@pytest.mark.filterwarnings("error")
def test_runs_outside_of_the_space_do_no_harm() -> None:
    """A space made smaller leaves results far outside, and the model goes on with repeats."""
    points = sobol_points(40, 3, seed=1)
    twist_deg = np.where(points[:, 0] < 0.5, 8.2, 21.3)
    points[:2, 2] += 9.0
    made = AutoStrategy(0).suggest(
        1, Runs(points, twist_deg, np.full(40, 0.05)), NOTHING, [Target(twist_deg=2.8)], index=40
    )
    assert ((made.points >= 0.0) & (made.points <= 1.0)).all()
    assert not made.fit_failed


def test_a_refused_region_is_left() -> None:
    """Half of the cube never has a twist: no point goes there for a twist that the other half has too."""
    points = sobol_points(60, 3, seed=5)
    twist_deg = np.where(points[:, 1] > 0.5, np.nan, twists_deg(points))
    data = Runs(points, twist_deg, np.full(60, 0.05))
    both_have = [Target(twist_deg=20.0, tolerance_deg=0.1)]
    chosen = [AutoStrategy(seed).suggest(1, data, NOTHING, both_have, index=60).points[0, 1] for seed in range(4)]
    assert max(chosen) < 0.55


def test_fits_are_begun_from_the_one_before() -> None:
    """Between two numbers of the schedule there is no fit, and only fits that are still of use are kept."""
    cache, points = FitCache(), sobol_points(60, 3, seed=6)
    first, one_more, everything = (runs(points[:count]) for count in (50, 51, 60))
    fit = cache.at(first)
    assert cache.at(one_more) is fit
    assert cache.at(everything) is not fit
    assert len(cache.fits) <= 3


def test_runs_with_known_lattices_have_a_separate_fit() -> None:
    """The same points and twists with other lattices are other runs."""
    cache, known = FitCache(), runs(sobol_points(20, 3, seed=6))
    bare = cache.at(known)
    assert cache.at(replace(known, lattices=np.ones((20, 3, 2, 2)))) is not bare


def test_the_schedule_grows_by_an_eighth() -> None:
    """Each fit at first, then ever fewer; never beyond the number of runs."""
    steps = schedule(5000)
    assert steps[:10] == list(range(1, 11))
    assert steps[-1] <= 5000
    assert len(steps) < 80


def test_points_that_the_model_cannot_tell_from_others_are_those_of_the_sobol_sequence() -> None:
    """Twists by lot from thirty values, one of them wanted and never seen: most of a batch, each at its own index."""
    points, lot = sobol_points(60, 3, seed=4), np.random.default_rng(4).integers(30, size=60)
    data = Runs(points, np.where(lot == 8, 9.0, lot), np.full(60, 0.05))
    made = AutoStrategy(3).suggest(10, data, NOTHING, [Target(twist_deg=8.0, tolerance_deg=0.1)], index=60)
    even = np.array([one == STAND_IN for one in made.made_by])
    assert even.sum() >= 7
    assert not made.fit_failed
    np.testing.assert_array_equal(made.points[even], sobol_points(10, 3, seed=3, index=60)[even])
