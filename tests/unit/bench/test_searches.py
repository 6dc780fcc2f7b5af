"""The searches that the figures are drawn from, and the file that keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.landscapes import Smooth
from bench.paper_figures.searches import AS_PUBLISHED, BESIDE, Setup, all_searched, read, searched, setups
from bench.published import Published, PublishedName
from moireloop_optimizer.runs import Observed
from moireloop_optimizer.sobol import sobol_points

NOTHING = np.zeros((0, 3))
NAMES: list[PublishedName] = ["qei", "thompson", "thompson-draws"]
RANDOM = [Setup("random", 15, 8.5, repetition) for repetition in range(2)]


def observed() -> Observed:
    """Eight points on a slope."""
    points = sobol_points(8, 3, seed=1)
    return Observed(points, -points.sum(axis=1))


def test_all_strategies_begin_with_the_same_samples() -> None:
    """The same points and the same twists; another repetition has others."""
    traces = [searched(Smooth(), Setup(name, 2, 8.5, 0), initial=6, budget=8) for name in AS_PUBLISHED | BESIDE]
    for trace in traces[1:]:
        np.testing.assert_array_equal(trace.points[:6], traces[0].points[:6])
        np.testing.assert_array_equal(trace.twist_deg[:6], traces[0].twist_deg[:6])
        assert not np.array_equal(trace.points[6:], traces[0].points[6:])
    other = searched(Smooth(), Setup("random", 2, 8.5, 1), initial=6, budget=8)
    assert not np.array_equal(other.points[:6], traces[0].points[:6])


@pytest.mark.parametrize("name", NAMES)
def test_a_published_strategy_climbs_and_repeats_itself(name: PublishedName) -> None:
    """On a slope the best of its points lies above all known ones; the same seed and data give the same points."""
    first, again = (Published(name, 3).suggest(3, observed(), NOTHING, index=8) for _ in range(2))
    assert first.made_by == name
    assert first.points.min() >= 0.0
    assert first.points.max() <= 1.0
    assert -first.points.sum(axis=1).min() > observed().values.max()
    assert np.unique(first.points, axis=0).shape == (3, 3)
    np.testing.assert_array_equal(first.points, again.points)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_strategy_without_data_is_a_sobol_set(name: PublishedName) -> None:
    """Where nothing was learnt, or all values are the same."""
    flat = Observed(sobol_points(4, 3, seed=0), np.zeros(4))
    made = Published(name, 2).suggest(3, flat, NOTHING, index=4)
    assert made.made_by == "sobol"
    np.testing.assert_array_equal(made.points, sobol_points(3, 3, seed=2, index=4))


def test_more_repetitions_go_on_from_fewer() -> None:
    """So that the kept samples of fewer serve more."""
    few, many = setups(2, beside=True), setups(3, beside=True)
    assert many[: len(few)] == few
    assert len(set(many)) == len(many)


def test_samples_are_kept(tmp_path: Path) -> None:
    """What was searched is read back as it was, and searched no second time."""
    cache = tmp_path / "traces.parquet"
    made = list(all_searched(Smooth(), RANDOM, cache, "here"))[-1]
    again = read(cache, "here")
    assert list(again) == RANDOM
    for setup, trace in made.items():
        np.testing.assert_array_equal(again[setup].points, trace.points)
        np.testing.assert_array_equal(again[setup].twist_deg, trace.twist_deg)
        assert again[setup].initial == trace.initial
    assert len(list(all_searched(Smooth(), RANDOM, cache, "here"))) == 1


def test_samples_of_another_source_are_not_used(tmp_path: Path) -> None:
    """A grid that was made again makes all searches again."""
    cache = tmp_path / "traces.parquet"
    list(all_searched(Smooth(), RANDOM[:1], cache, "before"))
    assert read(cache, "after") == {}


def test_searches_are_kept_as_they_come(tmp_path: Path) -> None:
    """A run that is broken off loses the search that it was at, and no other."""
    cache = tmp_path / "traces.parquet"
    next(all_searched(Smooth(), RANDOM, cache, "here"))
    assert list(read(cache, "here")) == RANDOM[:1]
