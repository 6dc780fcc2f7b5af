"""What is read off searches and grids: cycles, hits, efficiency, spread, recipes, roughness, intervals."""

from __future__ import annotations

import numpy as np
import pytest

from bench.grid import LEVELS, SEEDS
from bench.landscapes import Plateaus, Smooth
from bench.paper_figures.measures import (
    best_per_cycle_deg,
    closest_deg,
    cycles,
    cycles_to_hit,
    efficiency,
    grid_twists_deg,
    hits,
    interval,
    recipes,
    roughness,
    samples_to_hit,
    spread,
    tolerance_deg,
)
from bench.search import Trace
from moireloop_broker.contract.search import Target
from moireloop_optimizer.sobol import sobol_points

TARGET = Target(twist_deg=8.5, tolerance_deg=0.15)
TWISTS_DEG = [8.5, 20.0, 9.5, np.nan, 8.6, 12.0, 8.4]


def trace_of(twists_deg: list[float], initial: int, points: np.ndarray | None = None) -> Trace:
    """A search of these twists; at Sobol points where none are given."""
    where = sobol_points(len(twists_deg), 3, seed=0) if points is None else points
    return Trace(where, np.array(twists_deg), np.zeros(len(twists_deg), dtype=np.int64), initial)


def test_the_best_of_each_cycle_is_of_that_cycle_alone() -> None:
    """The initial samples come first; a cycle without a better sample shows its own, a short last one counts."""
    best = best_per_cycle_deg(trace_of(TWISTS_DEG, 2), TARGET, 2)
    np.testing.assert_allclose(best, [0.0, 1.0, 0.1, 0.1])


def test_a_cycle_without_a_twist_is_infinitely_far() -> None:
    """It takes part as such, and hides no other cycle."""
    assert best_per_cycle_deg(trace_of([9.0, np.nan, np.nan, 8.6], 1), TARGET, 2)[1] == np.inf


def test_cycles_cover_the_proposed_samples_once() -> None:
    """In their order, without the initial ones."""
    trace = trace_of(TWISTS_DEG, 2)
    np.testing.assert_array_equal(np.concatenate([batch.points for batch in cycles(trace, 2)]), trace.points[2:])


def test_hits_are_of_proposed_samples() -> None:
    """An initial sample on the target is no merit of a strategy."""
    np.testing.assert_array_equal(hits(trace_of(TWISTS_DEG, 2), TARGET), [4, 6])


def test_efficiency_counts_hits_by_sample_and_by_cycle() -> None:
    """Two hits in five proposed samples, made in three cycles of two."""
    found = efficiency(trace_of(TWISTS_DEG, 2), TARGET, 2)
    assert found.per_100_samples == pytest.approx(40.0)
    assert found.per_cycle == pytest.approx(2 / 3)


def test_larger_batches_need_fewer_cycles_to_the_same_sample() -> None:
    """The third proposed sample is in the third cycle of one, the second of two, the first of three."""
    trace = trace_of(TWISTS_DEG, 2)
    assert samples_to_hit(trace, TARGET) == 3
    assert [cycles_to_hit(trace, TARGET, n) for n in (1, 2, 3)] == [3, 2, 1]


def test_a_search_without_a_hit_took_all_its_samples() -> None:
    """Of the proposed ones, and all its cycles."""
    trace = trace_of([20.0, 21.0, np.nan, 22.0], 1)
    assert (samples_to_hit(trace, TARGET), cycles_to_hit(trace, TARGET, 2)) == (3, 2)


def test_closest_is_over_all_samples() -> None:
    """Initial ones too, as the paper counts its samples."""
    assert closest_deg(trace_of(TWISTS_DEG, 2), TARGET) == 0.0


def test_spread_of_random_points_is_that_of_the_cube() -> None:
    """The mean distance of two random points of the unit cube is 0.6617 (Robbins 1978)."""
    assert spread(trace_of([9.0] * 1013, 13), 1000) == pytest.approx(0.6617, abs=0.005)


def test_spread_of_a_batch_at_one_point_is_zero() -> None:
    """However far the batches are from each other."""
    points = np.repeat([[0.1, 0.1, 0.1], [0.9, 0.9, 0.9]], 3, axis=0)
    assert spread(trace_of([9.0] * 6, 0, points), 3) == 0.0


def test_recipes_are_apart_and_the_closest_represents_its_neighbours() -> None:
    """Two hits side by side are one recipe."""
    points = np.array([[0.1, 0.1, 0.1], [0.12, 0.1, 0.1], [0.9, 0.9, 0.9], [0.5, 0.5, 0.5]])
    assert recipes(trace_of([8.4, 8.5, 8.55, 20.0], 0, points), TARGET) == [1, 2]


def test_the_interval_of_equal_values_is_one_point() -> None:
    """And lies on the side of zero where they are."""
    found = interval([2.0, 2.0, 2.0])
    assert (found.low, found.mean, found.high, found.sign) == (2.0, 2.0, 2.0, 1)


def test_the_interval_of_three_values_is_their_range() -> None:
    """So that three repetitions decide only where they agree."""
    found = interval([-1.0, 1.0, 3.0])
    assert (found.low, found.high, found.sign) == (-1.0, 3.0, 0)


def test_the_interval_narrows_with_repetitions() -> None:
    """As one over the root of their number: four times as many halve it."""
    values = np.random.default_rng(1).standard_normal(400)
    wide, narrow = interval(values[:100].tolist()), interval(values.tolist())
    assert (narrow.high - narrow.low) / (wide.high - wide.low) == pytest.approx(0.5, abs=0.12)


def test_a_grid_has_the_twists_of_its_landscape() -> None:
    """Each place the twist of the smooth landscape there, apart from its noise; the seeds differ."""
    found = grid_twists_deg(Smooth())
    assert found.shape == (*map(len, LEVELS.values()), SEEDS)
    assert found[0, 0, 0, 0] == pytest.approx(Smooth().mean_deg(np.zeros(3)), abs=0.1)
    assert found[-1, -1, -1, 0] == pytest.approx(Smooth().mean_deg(np.ones(3)), abs=0.1)
    assert found[0, 0, 0, 0] != found[0, 0, 0, 1]


def test_noise_is_as_rough_as_chance_and_a_slope_is_not() -> None:
    """Neighbours of a random field differ like any two runs, neighbours of a slope by its step."""
    shape = tuple(map(len, LEVELS.values()))
    noise = np.random.default_rng(0).uniform(0.0, 30.0, (*shape, SEEDS))
    found = roughness(noise)
    assert found.any_deg == pytest.approx(10.0, abs=0.4)
    assert [*found.neighbours_deg, found.seeds_deg] == pytest.approx([found.any_deg] * 4, abs=0.5)
    slope = np.broadcast_to(np.arange(shape[0], dtype=float)[:, None, None, None], noise.shape)
    assert roughness(slope).neighbours_deg == pytest.approx((1.0, 0.0, 0.0))
    assert found.explained == pytest.approx(0.0, abs=0.1)
    assert roughness(slope).explained == 1.0


def test_half_of_the_variance_is_explained_where_places_and_seeds_scatter_alike() -> None:
    """Independent normal parts of the same width."""
    shape = tuple(map(len, LEVELS.values()))
    rng = np.random.default_rng(0)
    twists = rng.standard_normal((*shape, 1)) + rng.standard_normal((*shape, SEEDS))
    assert roughness(twists).explained == pytest.approx(0.5, abs=0.05)


def test_the_tolerance_takes_in_the_nearest_twist_there_is() -> None:
    """Plateaus have 8.2 and nothing nearer to 8.5; where twists are continuous it is the paper's."""
    assert tolerance_deg(grid_twists_deg(Plateaus()), 8.5) == pytest.approx(0.35)
    assert tolerance_deg(np.array([8.5, np.nan]), 8.5) == 0.15
