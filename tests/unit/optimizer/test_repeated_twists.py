"""Twists that come again."""

from __future__ import annotations

import numpy as np

from moireloop_optimizer.repeated_twists import Habits, RepeatedTwists, learn_habits
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.space import Points

POINTS = sobol_points(40, 2, seed=1)
LEFT = POINTS[:, 0] < 0.5
PLATEAUS = np.where(LEFT, 8.2, 21.3)
EVEN = np.full(40, 1.0 / 30.0)
NOTHING = np.zeros((0, 2))
HABITS = Habits(reach=(0.1, 0.1))


def masses(target_deg: float, points: Points, pending: Points = NOTHING) -> Points:
    model = RepeatedTwists(POINTS, PLATEAUS, HABITS)
    return model.mass(points, target_deg, 0.1, np.full(len(points), 0.2 / 30.0), pending)


def test_plateaus_are_recognized() -> None:
    """Where the same values come again the habits beat a density that knows nothing; smooth twists have none."""
    assert learn_habits(POINTS, PLATEAUS, EVEN) is not None
    twists = 30.0 * POINTS[:, 0]
    near = np.full(40, 1.0 / 0.5)
    assert learn_habits(POINTS, twists, near) is None


def test_a_plateau_gives_its_value_and_no_other() -> None:
    """Deep in the left half 8.2 is all but certain, and 21.3 is not."""
    deep = np.array([[0.2, 0.5]])
    assert masses(8.2, deep)[0] > 0.5
    assert masses(21.3, deep)[0] < 0.05


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
    """The parts are a distribution: tolerances side by side hold all of it, but for what is broad beyond 0 to 30."""
    model = RepeatedTwists(POINTS, PLATEAUS, Habits(reach=(0.1, 0.1), near_deg=0.5))
    place = np.array([[0.4, 0.3]])
    total = sum(model.mass(place, t, 0.25, np.array([0.5 / 30.0]), NOTHING)[0] for t in np.arange(0.25, 30.0, 0.5))
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
