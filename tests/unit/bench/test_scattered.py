"""Landscapes of irregular cells."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scattered import SCATTERED, Scattered
from bench.search import Trace, search
from moireloop_broker.contract.search import Target
from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import Strategy


@pytest.mark.parametrize("landscape", SCATTERED, ids=lambda landscape: landscape.name)
def test_the_target_is_as_rare_as_stated(landscape: Scattered) -> None:
    """Its share of four thousand runs, evenly over the cube, is the cells' share, and near the wanted one."""
    share = landscape.share(landscape.target_deg)
    assert share == pytest.approx(landscape.rare, rel=0.3)
    rng = np.random.default_rng(1)
    drawn = np.array([landscape.draw(point, rng) for point in sobol_points(4096, landscape.dimension, seed=1)])
    assert np.mean(np.abs(drawn - landscape.target_deg) <= 0.1) == pytest.approx(share, rel=0.4)


def test_a_cell_has_its_preferred_twist_and_three_others() -> None:
    """In the shares that it says."""
    landscape, rng = Scattered(1, preferred=0.6), np.random.default_rng(0)
    drawn = np.array([landscape.draw(landscape.sites[7], rng) for _ in range(2000)])
    assert set(drawn) == set(landscape.twists_deg[7])
    assert np.mean(drawn == landscape.twists_deg[7, 0]) == pytest.approx(0.6, abs=0.04)


def test_seeds_give_other_landscapes_and_the_same_one_again() -> None:
    """Sites and twists."""
    one, again, other = Scattered(1), Scattered(1), Scattered(2)
    np.testing.assert_array_equal(one.twists_deg, again.twists_deg)
    assert one.target_deg == again.target_deg
    assert not np.array_equal(one.sites, other.sites)


def searched(landscape: Scattered, strategy: Strategy | None, samples: int) -> Trace:
    """A search for a twist that the landscape does not have, so that it goes to its end."""
    targets = [Target(twist_deg=landscape.target_deg, tolerance_deg=1e-3)]
    return search(landscape, strategy, targets, initial=6, n_batch=1, budget=samples, seed=1)


def cells(landscape: Scattered, trace: Trace) -> int:
    apart = np.linalg.norm(trace.points[:, None] - landscape.sites, axis=-1)
    return len(np.unique(apart.argmin(axis=1)))


@pytest.mark.parametrize("seed", [1, 2])
def test_auto_looks_into_nearly_as_many_cells_as_a_sobol_sequence(seed: int) -> None:
    """It finds that it cannot tell where unseen twists are, and goes on evenly instead of around its near misses."""
    landscape = Scattered(seed)
    ours, even = (cells(landscape, searched(landscape, who, 50)) for who in (AutoStrategy(1), None))
    assert ours >= 0.75 * even
