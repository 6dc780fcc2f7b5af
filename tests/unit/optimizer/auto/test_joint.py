"""What the default strategy makes of growths of the chamber that differ from the simulation by a known discrepancy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.hit_model import FitCache, HitModel
from moireloop_optimizer.auto.joint import JointModel
from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.auto.twist_process import TwistProcess, fit_theta
from moireloop_optimizer.growths import Growths
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points

NOTHING = np.zeros((0, 2))
TARGET = Target(twist_deg=9.5, tolerance_deg=0.3)


def simulated(points: Points) -> Points:
    return np.asarray(12.0 + 8.0 * np.sin(4.0 * points[:, 0]) + 2.0 * points[:, 1])


def half_explored(seed: int, growths: int = 16) -> Runs:
    """Runs in one half of the space, growths in the whole of it, 0.7 to 2.5 degrees above the simulation."""
    rng = np.random.default_rng(seed)
    points, grown = sobol_points(24, 2, seed=seed) * [0.5, 1.0], sobol_points(growths, 2, seed=seed + 7)
    heater = rng.uniform(size=(growths, 1))
    there = simulated(grown) + 1.5 + grown[:, 1] - 0.8 * heater[:, 0] + rng.normal(0, 0.05, growths)
    twist_deg = simulated(points) + rng.normal(0, 0.05, len(points))
    return Runs(
        points, twist_deg, np.full(len(points), 0.05), growths=Growths(grown, heater, there, np.full(growths, 0.05))
    )


@pytest.mark.parametrize("seed", range(2))
def test_the_computer_learns_of_places_where_only_the_chamber_was(seed: int) -> None:
    """The model's twists there are nearly right, within their errors, and the proposals with them."""
    runs = half_explored(seed)
    far = sobol_points(100, 2, seed=3) * [0.4, 1.0] + [0.6, 0.0]
    off, proposed = [], []
    for learnt in (runs, replace(runs, growths=None)):
        model = HitModel(learnt, NOTHING, [TARGET], FitCache())
        off.append(model.twist_at(far).mean_deg - simulated(far))
        made = AutoStrategy(seed).suggest(4, learnt, NOTHING, [TARGET], index=24)
        assert not made.fit_failed
        proposed.append(np.abs(simulated(made.points) - TARGET.twist_deg))
    assert np.sqrt(np.mean(off[0] ** 2)) < 0.2 * np.sqrt(np.mean(off[1] ** 2))
    sigma_deg = np.sqrt(HitModel(runs, NOTHING, [TARGET], FitCache()).twist_at(far).variance_deg2)
    assert float((np.abs(off[0]) < 2.0 * sigma_deg).mean()) > 0.85
    assert np.mean(proposed[0]) < 0.5 * np.mean(proposed[1])


def test_few_growths_and_few_runs_teach_nothing() -> None:
    """Below three growths, or eight runs, the model is the one without them, bit for bit."""
    runs = half_explored(0)
    for few in (replace(runs.first(7)), replace(runs, growths=half_explored(0, 2).growths)):
        model = HitModel(few, NOTHING, [TARGET], FitCache())
        alone = HitModel(replace(few, growths=None), NOTHING, [TARGET], FitCache())
        assert model.joint is None
        np.testing.assert_array_equal(
            model.probability(runs.points, [TARGET]), alone.probability(runs.points, [TARGET])
        )


def test_growths_that_cannot_be_fitted_are_left_out() -> None:
    """The search goes on by the runs alone."""
    runs = half_explored(0)
    assert runs.growths is not None
    broken = replace(runs, growths=replace(runs.growths, twist_deg=np.full(16, np.inf)))
    made, alone = (
        AutoStrategy(0).suggest(1, each, NOTHING, [TARGET], index=24) for each in (broken, replace(runs, growths=None))
    )
    np.testing.assert_array_equal(made.points, alone.points)


def test_the_posterior_is_the_one_of_a_single_process() -> None:
    """Beside conditioning on runs and growths at once, written out as one Gaussian of all values."""
    runs = half_explored(1)
    growths = runs.growths
    assert growths is not None
    process = TwistProcess(runs.points, runs.twist_deg, fit_theta(runs.points, runs.twist_deg, seed=0))
    joint = JointModel(process, growths)
    few = sobol_points(5, 2, seed=9)
    every = np.concatenate([few, growths.points])
    at = process.at(every)
    covariance = process.covariance_deg2(every, at, every, at)
    over = growths.chamber[:, None] / np.exp(joint.theta[2:]) - growths.chamber / np.exp(joint.theta[2:])
    apart = np.sqrt(5.0) * np.linalg.norm(over, axis=-1)
    added = np.exp(2 * joint.theta[0]) * (1 + apart + apart**2 / 3) * np.exp(-apart) + 9.0
    seen = covariance[5:, 5:] + added + np.diag(growths.sigma_deg**2 + np.exp(2 * joint.theta[1]))
    gain = covariance[:5, 5:] @ np.linalg.inv(seen)
    prediction = joint.at(few)
    np.testing.assert_allclose(
        prediction.mean_deg, at.mean_deg[:5] + gain @ (growths.twist_deg - at.mean_deg[5:]), atol=1e-5
    )
    left = covariance[:5, :5] - gain @ covariance[5:, :5]
    np.testing.assert_allclose(prediction.variance_deg2, np.diag(left), atol=1e-5)
    shared = process.covariance_deg2(few, prediction, few, prediction)
    np.testing.assert_allclose(shared - np.diag(np.diag(shared)), left - np.diag(np.diag(left)), atol=1e-5)
