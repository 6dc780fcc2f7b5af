"""How well a model tells where twists lie that no run has shown."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scattered import Scattered
from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.foresight import OF_LAYERS, OF_TWISTS, gains, trust
from moireloop_optimizer.auto.hit_model import FitCache
from moireloop_optimizer.auto.repeated_twists import Habits, RepeatedTwists, RunsWithout
from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.auto.twist_process import TwistProcess, fit_theta
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points

NOTHING = np.zeros((0, 3))


def slope_deg(points: Points) -> Points:
    slope: Points = 15.0 + 9.0 * np.sin(3.0 * points[:, 0] + points[:, 1]) + 5.0 * (points[:, 2] - 0.5)
    return slope


def plateaus_deg(points: Points) -> Points:
    steps: Points = 3.0 * np.round(slope_deg(points) / 3.0)
    return steps


def scattered_deg(points: Points, seed: int) -> Points:
    landscape, rng = Scattered(seed), np.random.default_rng(seed)
    return np.array([landscape.draw(point, rng) for point in points])


def trusted(points: Points, twist_deg: Points) -> float:
    return FitCache().at(Runs(points, twist_deg, np.full(len(points), 0.05))).trust


def test_a_model_of_layers_is_trusted_before_there_is_evidence() -> None:
    """A model that was never tested makes all proposals; one that gained nothing on forty twists makes few."""
    assert trust(np.zeros(0), OF_LAYERS) == 1.0
    assert trust(np.zeros(40), OF_LAYERS) < 0.25
    assert trust(np.full(40, -0.5), OF_LAYERS) == 0.0


def test_a_model_of_twists_alone_must_show_its_worth() -> None:
    """It makes no proposal while untested, or where it gained little; a clear gain on a few twists is enough."""
    assert trust(np.zeros(0), OF_TWISTS) == 0.0
    assert trust(np.full(10, 0.2), OF_TWISTS) == 0.0
    assert trust(np.full(6, 0.5), OF_TWISTS) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_where_the_twist_follows_the_parameters_the_model_keeps_its_weight(seed: int) -> None:
    """Smooth, and in steps: a twist that was left out lies where those around it say."""
    points = sobol_points(24, 3, seed=seed)
    assert trusted(points, slope_deg(points)) == 1.0
    assert trusted(points, plateaus_deg(points)) == 1.0


def test_where_twists_are_scattered_the_model_loses_it() -> None:
    """Sixty runs in irregular cells with separate twists: a quarter of the proposals at most, in the mean."""
    shares = [
        trusted(points, scattered_deg(points, seed)) for seed in range(5) for points in [sobol_points(60, 3, seed=seed)]
    ]
    assert np.mean(shares) < 0.25


def test_scattered_twists_are_searched_for_at_random() -> None:
    """From the first suggestion on, six of eight landscapes of irregular cells at least get the points of `random`."""
    target, followed = Target(twist_deg=1.0, tolerance_deg=0.1), 0
    for seed in range(8):
        points = sobol_points(24, 3, seed=seed)
        runs = Runs(points, scattered_deg(points, seed), np.full(24, 0.05))
        made = [AutoStrategy(seed).suggest(1, runs.first(n), NOTHING, [target], index=n).points for n in (8, 16, 24)]
        followed += all(
            (point == sobol_points(1, 3, seed=seed, index=n)).all() for n, point in zip((8, 16, 24), made, strict=True)
        )
    assert followed >= 6


def test_repeats_at_one_place_count_once() -> None:
    """Fifty more runs at one place change the gain of no twist by much: they tell nothing of other places."""
    points = sobol_points(30, 3, seed=1)
    twist_deg = plateaus_deg(points)
    process = TwistProcess(points, twist_deg, fit_theta(points, twist_deg, seed=0))
    crowd = np.concatenate([points, np.repeat(points[:1], 50, axis=0)])
    crowd_deg = np.append(twist_deg, np.full(50, twist_deg[0]))
    theta = fit_theta(points, twist_deg, seed=0)
    few = gains(points, twist_deg, process, None, None)
    many = gains(crowd, crowd_deg, TwistProcess(crowd, crowd_deg, theta), None, None)
    assert many.mean() == pytest.approx(few.mean(), abs=0.5)


def test_a_process_without_one_run_is_the_left_out_one() -> None:
    """At the place of that run; and a run is left out at its own place, whether it is named or not."""
    points = sobol_points(20, 3, seed=2)
    twist_deg = slope_deg(points) + np.random.default_rng(0).standard_normal(20)
    process = TwistProcess(points, twist_deg, fit_theta(points, twist_deg, seed=0))
    each = list(np.eye(20, dtype=np.bool_))
    np.testing.assert_allclose(process.density_without(each, twist_deg).diagonal(), process.left_out_density())
    one, both = np.arange(20) == 3, np.isin(np.arange(20), [3, 7])
    density = process.density_without([one, both], np.array([12.0, 12.0]))
    np.testing.assert_allclose(density[0, 7], density[1, 7])


def test_habits_without_a_twist_are_those_of_the_other_runs() -> None:
    """The density where it was equals the density of a model that never saw it."""
    points = sobol_points(40, 3, seed=3)
    twist_deg = plateaus_deg(points)
    out, habits, width = twist_deg == twist_deg[0], Habits(discount=0.4, even=0.5), 2e-4
    beyond = np.full(40, 0.02)
    density = RunsWithout(points, twist_deg, habits).density(out, twist_deg[0], beyond, None)[out]
    others = RepeatedTwists(points[~out], twist_deg[~out], habits)
    mass = others.mass(points[out], twist_deg[0], width / 2, beyond[out] * width, NOTHING)
    np.testing.assert_allclose(density, mass / width, rtol=1e-3)
