"""Repeats of recipes that hit, before the strategy's own proposals."""

from __future__ import annotations

import numpy as np

from moireloop_broker.contract.search import Target
from moireloop_optimizer.repeats.replicates import Replicating
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategies import strategy_named
from moireloop_optimizer.strategy import REPLICATE

POINTS = sobol_points(20, 3, seed=1)
TWISTS = np.where(np.arange(20) == 7, 8.5, 2.0 + np.arange(20.0))
RUNS = Runs(POINTS, TWISTS, np.full(20, 0.05))
TARGETS = [Target(twist_deg=8.5, tolerance_deg=0.05)]
NOTHING = np.zeros((0, 3))


def test_a_recipe_that_hit_is_repeated_first() -> None:
    """As often as the goal says, at exactly its point and for its target; the strategy makes the rest."""
    made = Replicating(strategy_named("thompson", 0), 3).suggest(5, RUNS, NOTHING, TARGETS, index=20)
    assert made.made_by == (REPLICATE,) * 3 + ("thompson",) * 2
    np.testing.assert_array_equal(made.points[:3], np.repeat(POINTS[7:8], 3, axis=0))
    assert made.aims == (0,) * 5
    assert made.points.shape == (5, 3)


def test_a_goal_of_zero_asks_for_none() -> None:
    """The strategy is as it was."""
    alone = strategy_named("thompson", 0).suggest(3, RUNS, NOTHING, TARGETS, index=20)
    made = Replicating(strategy_named("thompson", 0), 0).suggest(3, RUNS, NOTHING, TARGETS, index=20)
    np.testing.assert_array_equal(made.points, alone.points)


def test_a_recipe_outside_of_the_bounds_of_now_is_not_repeated() -> None:
    """After a resume with narrower bounds."""
    outside = Runs(POINTS + 2.0, TWISTS, RUNS.sigma_deg)
    made = Replicating(strategy_named("random", 0), 3).suggest(3, outside, NOTHING, TARGETS, index=20)
    assert set(made.made_by) == {"random"}
    assert ((made.points >= 0.0) & (made.points <= 1.0)).all()
