"""All our strategies on data that carry nothing, or too much of one thing: never a crash, a NaN, a point outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategies import strategy_named
from moireloop_optimizer.strategy_names import OWN_NAMES

TARGETS = [Target(twist_deg=8.5, tolerance_deg=0.1), Target(twist_deg=25.0, tolerance_deg=0.1)]
SPREAD = sobol_points(12, 3, seed=4)
SAME = np.full((12, 3), 0.3)
CORNERS = np.array([[i, j, k] for i in (0.0, 1.0) for j in (0.0, 1.0) for k in (0.0, 1.0)])
NOTHING = np.zeros((0, 3))


def runs(points: np.ndarray, twist_deg: object) -> Runs:
    twists = np.broadcast_to(np.asarray(twist_deg, dtype=float), len(points)).copy()
    return Runs(np.asarray(points, dtype=float), twists, np.where(np.isfinite(twists), 0.05, np.nan))


CASES = {
    "nothing": runs(NOTHING, []),
    "one result": runs(SPREAD[:1], 8.0),
    "one refused": runs(SPREAD[:1], np.nan),
    "all refused": runs(SPREAD, np.nan),
    "all refused but one": runs(SPREAD, [8.0] + [np.nan] * 11),
    "identical points": runs(SAME, np.linspace(0.0, 30.0, 12)),
    "identical points and results": runs(SAME, 8.2),
    "constant results": runs(SPREAD, 8.2),
    "constant at the target": runs(SPREAD, 8.5),
    "nearly constant": runs(SPREAD, 8.2 + 1e-13 * np.arange(12)),
    "results at the bounds": runs(CORNERS, [0.0, 30.0] * 4),
    "duplicated candidates": runs(np.repeat(SPREAD[:4], 5, axis=0), np.tile([0.0, 8.2, 12.7, 25.3], 5)),
    "points all but the same": runs(0.5 + 1e-12 * SPREAD, np.linspace(0.0, 30.0, 12)),
    "two values": runs(SPREAD, [0.0, 30.0] * 6),
    "far outside of the bounds": runs(1e7 * (SPREAD - 0.5), np.linspace(0.0, 30.0, 12)),
    "points that are none": runs(np.where(SPREAD > 0.5, np.nan, SPREAD), np.linspace(0.0, 30.0, 12)),
}


@pytest.mark.parametrize("name", OWN_NAMES)
@pytest.mark.parametrize("case", CASES)
def test_points_are_finite_and_inside(name: str, case: str) -> None:
    """Whatever has been measured, with something pending at the same places."""
    data = CASES[case]
    made = strategy_named(name, 5).suggest(3, data, data.points[:2], TARGETS, index=len(data))
    assert made.points.shape == (3, 3)
    assert np.isfinite(made.points).all()
    assert ((made.points >= 0.0) & (made.points <= 1.0)).all()
    assert len(made.aims) == len(made.made_by) == 3
    assert set(made.aims) <= {0, 1}


@settings(max_examples=25, deadline=None)
@given(
    points=arrays(float, (9, 2), elements=st.floats(0.0, 1.0)),
    twist_deg=arrays(float, 9, elements=st.one_of(st.floats(0.0, 30.0), st.just(float("nan")), st.just(8.2))),
)
def test_auto_takes_any_results(points: np.ndarray, twist_deg: np.ndarray) -> None:
    """Any nine points and twists, some without one."""
    made = strategy_named("auto", 0).suggest(2, runs(points, twist_deg), points[:1], TARGETS, index=9)
    assert ((made.points >= 0.0) & (made.points <= 1.0)).all()


@pytest.mark.parametrize("name", OWN_NAMES)
def test_ranges_of_a_trillionth_are_kept_to(name: str) -> None:
    """Between two floats that are a few steps apart there is a candidate, and it lies between them."""
    low, high = 1500.0, 1500.0 + 1e-12
    space = SearchSpace.model_validate({"temperature_k": [low, high], "lattice_strain": [0.0, 1e-12]})
    points = space.to_unit(space.from_unit(sobol_points(8, 2, seed=1)))
    made = strategy_named(name, 0).suggest(2, runs(points, np.linspace(0.0, 30.0, 8)), points[:0], TARGETS, index=8)
    for parameters in space.from_unit(made.points):
        assert low <= parameters["temperature_k"] <= high
        assert 0.0 <= parameters["lattice_strain"] <= 1e-12
