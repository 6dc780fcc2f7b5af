"""Experiments that differ from the simulation by what is known: it is found again, with honest errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.auto.joint import JointModel
from moireloop_optimizer.auto.twist_process import TwistProcess, fit_theta
from moireloop_optimizer.discrepancy import chamber_advice
from moireloop_optimizer.growths import Growths
from tests.helpers.grown import grown, measured_pattern

SPACE = SearchSpace({"temperature_k": [1500.0, 4500.0], "shear_strain": [0.0, 0.3]})

Discrepancy = Callable[[np.ndarray], np.ndarray]


def simulated(points: np.ndarray) -> np.ndarray:
    return np.asarray(12.0 + 8.0 * points[:, 0] - 5.0 * points[:, 1] ** 2)


def curved(chamber: np.ndarray) -> np.ndarray:
    """A discrepancy over a parameter of the search space and one that the simulation does not know."""
    return np.asarray(1.5 + np.sin(3.0 * chamber[:, 0]) - 0.8 * chamber[:, 2])


def models(added: Discrepancy, seed: int, patterns: int = 20) -> tuple[TwistProcess, JointModel]:
    rng = np.random.default_rng(seed)
    runs = rng.uniform(size=(40, 2))
    twists = simulated(runs) + rng.normal(0, 0.1, 40)
    chamber = rng.uniform(size=(patterns, 3))
    there = simulated(chamber[:, :2]) + added(chamber) + rng.normal(0, 0.1, patterns)
    process = TwistProcess(runs, twists, fit_theta(runs, twists, seed=0))
    return process, JointModel(process, Growths(chamber[:, :2], chamber[:, 2:], there, np.full(patterns, 0.05)))


@pytest.fixture(scope="module")
def fitted() -> list[tuple[TwistProcess, JointModel]]:
    return [models(curved, seed) for seed in range(3)]


def test_a_known_discrepancy_is_found_with_honest_errors(fitted: list[tuple[TwistProcess, JointModel]]) -> None:
    """At places that were never grown: within its errors, and far nearer than the simulation is by itself."""
    off, whitened, alone = [], [], []
    for number, (process, model) in enumerate(fitted):
        chamber = np.random.default_rng(100 + number).uniform(size=(100, 3))
        truth = simulated(chamber[:, :2]) + curved(chamber)
        there, added = model.experiment(chamber[:, :2], chamber), model.discrepancy(chamber)
        off.append(there.mean_deg - truth)
        whitened.append((added.mean_deg - curved(chamber)) / added.sigma_deg)
        alone.append(process.at(chamber[:, :2]).mean_deg - truth)
    rms = [float(np.sqrt(np.mean(np.square(each)))) for each in (off, alone)]
    assert rms[0] < 0.3 * rms[1]
    within = float((np.abs(np.concatenate(whitened)) < 2.0).mean())
    assert 0.85 < within <= 1.0


def test_where_nothing_differs_nothing_is_learnt() -> None:
    """A chamber that does what the simulation says: the discrepancy is nought within its errors, and small."""
    _, model = models(lambda chamber: np.zeros(len(chamber)), 5)
    added = model.discrepancy(np.random.default_rng(6).uniform(0.1, 0.9, size=(50, 3)))
    assert float(np.abs(added.mean_deg).max()) < 0.4
    assert (np.abs(added.mean_deg) < 3.0 * added.sigma_deg).all()


def test_the_simulation_is_not_bent_to_the_chamber(fitted: list[tuple[TwistProcess, JointModel]]) -> None:
    """Both have one posterior, and still the simulation predicts runs, not growths."""
    process, model = fitted[0]
    points = np.random.default_rng(8).uniform(size=(100, 2))
    prediction = model.at(points)
    assert float(np.sqrt(np.mean((prediction.mean_deg - simulated(points)) ** 2))) < 0.15
    assert (prediction.variance_deg2 <= process.at(points).variance_deg2 + 1e-9).all()


def test_chamber_and_computer_are_sent_to_different_places() -> None:
    """The chamber is three degrees above the simulation: for the same twist it goes elsewhere than the computer."""
    rng = np.random.default_rng(9)
    results: list[Result] = []
    patterns: list[PatternMeasured] = []
    for number, point in enumerate(rng.uniform(size=(40, 2))):
        (place,) = SPACE.from_unit(point[None])
        results.append(grown(number, float(simulated(point[None])[0] + rng.normal(0, 0.05)), place))
    for number, point in enumerate(rng.uniform(size=(12, 2))):
        (place,) = SPACE.from_unit(point[None])
        heater = float(rng.uniform(800, 900))
        twist = float(simulated(point[None])[0]) + 3.0
        patterns.append(measured_pattern(f"p{number}", min(twist, 30.0), {**place, "heater_k": heater}))
    untold = [measured_pattern("x", 9.0, {"heater_k": 850.0}), measured_pattern("y", None, patterns[0].parameters)]
    advice = chamber_advice(results, [*patterns, *untold], SPACE, Target(twist_deg=17.0))
    assert advice.reason is None
    assert (advice.chamber or {}).keys() == {"temperature_k", "shear_strain", "heater_k"}
    assert advice.patterns == 12
    assert advice.discrepancy_deg == pytest.approx(3.0, abs=0.4)
    assert advice.probability is not None
    assert advice.probability > 0.8
    at = simulated(SPACE.to_unit([advice.chamber or {}]))[0]
    assert at + 3.0 == pytest.approx(17.0, abs=0.5)
    assert simulated(SPACE.to_unit([advice.computer or {}]))[0] == pytest.approx(17.0, abs=0.5)


def test_too_few_are_a_reason() -> None:
    """Neither a discrepancy nor a place is made up."""
    results = [grown(number, 8.0, {"temperature_k": 2000.0, "shear_strain": 0.1}) for number in range(9)]
    target = Target(twist_deg=8.0)
    assert "at least 8 results" in str(chamber_advice(results[:3], [], SPACE, target).reason)
    few = chamber_advice(
        results, [measured_pattern("p", 8.0, {"temperature_k": 2000.0, "shear_strain": 0.1})], SPACE, target
    )
    assert "at least 3 patterns with a twist and the parameters temperature_k, shear_strain, and there are 1" in str(
        few.reason
    )
