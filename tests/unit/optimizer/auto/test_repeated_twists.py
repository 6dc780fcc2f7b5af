"""Twists that come again."""

from __future__ import annotations

import numpy as np

from moireloop_broker.contract.search import Points
from moireloop_optimizer.auto.repeated_twists import Habits, RepeatedTwists, choose_habits
from moireloop_optimizer.sobol import sobol_points

POINTS = sobol_points(40, 2, seed=1)
LEFT = POINTS[:, 0] < 0.5
PLATEAUS = np.where(LEFT, 8.2, 21.3)
EVEN = np.full(40, 1.0 / 30.0)
NOTHING = np.zeros((0, 2))
HABITS = Habits(discount=0.4, even=0.5)


def masses(target_deg: float, points: Points, pending: Points = NOTHING) -> Points:
    model = RepeatedTwists(POINTS, PLATEAUS, HABITS)
    return model.mass(points, target_deg, 0.1, np.full(len(points), 0.2 / 30.0), pending)


def test_plateaus_are_recognized() -> None:
    """Where the same values come again the habits beat a density that knows nothing; smooth twists have none."""
    assert choose_habits(POINTS, PLATEAUS, EVEN) is not None
    twists = 30.0 * POINTS[:, 0]
    near = np.full(40, 1.0 / 0.5)
    assert choose_habits(POINTS, twists, near) is None


def test_a_plateau_gives_its_value_and_no_other() -> None:
    """Deep in the left half 8.2 is all but certain, and 21.3 is not."""
    deep = np.array([[0.05, 0.5]])
    assert masses(8.2, deep)[0] > 0.7
    assert masses(21.3, deep)[0] < 0.05


def test_a_face_of_the_space_looks_as_explored_as_its_middle() -> None:
    """Among runs that lie evenly, a new twist is as likely at a corner as in the middle, within a third."""
    middle, corner = (masses(14.4, np.array([place]))[0] for place in ([0.5, 0.5], [0.0, 0.0]))
    assert 0.75 < corner / middle < 1.33


def test_any_twist_is_expected_where_the_processes_expect_none() -> None:
    """Twists drawn from a few values at random, whatever the place, under processes that are sure of others."""
    anywhere = np.random.default_rng(1).choice([0.0, 2.8, 8.2, 12.7, 21.3], size=40)
    wrong = np.full(40, 1e-4)
    habits = choose_habits(POINTS, anywhere, wrong)
    assert habits is not None
    assert habits.even == 1.0


def test_a_twist_that_came_often_counts_once_among_the_new() -> None:
    """Twenty more runs of the one plateau do not make a new twist nearer to it more likely."""
    more = RepeatedTwists(
        np.concatenate([POINTS, np.repeat(POINTS[:1], 20, axis=0)]), np.append(PLATEAUS, [PLATEAUS[0]] * 20), HABITS
    )
    place, beyond = np.array([[0.2, 0.5]]), np.array([0.2 / 30.0])
    few = masses(9.5, place)[0]
    assert more.mass(place, 9.5, 0.1, beyond, NOTHING)[0] <= few * 1.05


def test_pending_points_make_a_new_twist_less_likely() -> None:
    """Where three runs are on their way already."""
    place = np.array([[0.5, 0.5]])
    assert masses(14.4, place, np.repeat(place, 3, axis=0))[0] < masses(14.4, place)[0]


def test_masses_over_all_targets_sum_to_one() -> None:
    """The parts are a distribution: tolerances side by side hold all of it, with the tails beyond 0 to 30."""
    model = RepeatedTwists(POINTS, PLATEAUS, HABITS)
    place = np.array([[0.4, 0.3]])
    total = 0.0
    for target_deg in np.arange(-29.75, 60.0, 0.5):
        beyond = 0.5 / 30.0 if 0.0 < target_deg < 30.0 else 0.0
        total += model.mass(place, target_deg, 0.25, np.array([beyond]), NOTHING)[0]
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


def test_a_near_miss_that_came_again_and_again_is_none_the_next_time() -> None:
    """Ten runs 0.11 degrees from the target, whose tolerance is 0.1, make a hit there as unlikely as elsewhere."""
    place = np.array([[0.5, 0.5]])
    often = RepeatedTwists(
        np.concatenate([POINTS, np.repeat(place, 10, axis=0)]), np.append(PLATEAUS, [14.51] * 10), HABITS
    )
    beyond, elsewhere = np.array([0.2 / 30.0]), np.array([[0.1, 0.9]])
    assert often.mass(place, 14.4, 0.1, beyond, NOTHING)[0] < 2.0 * often.mass(elsewhere, 14.4, 0.1, beyond, NOTHING)[0]


def test_a_twist_that_hit_hits_again() -> None:
    """One just inside of the tolerance, that came three times, is a hit the next time."""
    place = np.array([[0.5, 0.5]])
    model = RepeatedTwists(
        np.concatenate([POINTS, np.repeat(place, 30, axis=0)]), np.append(PLATEAUS, [14.49] * 30), HABITS
    )
    assert model.mass(place, 14.4, 0.1, np.array([0.2 / 30.0]), NOTHING)[0] > 0.6
