"""The median by selection is numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_analyzer.geometry.median import median_of


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 64, 501, 1000])
@pytest.mark.parametrize("kinds", [1, 2, 5, 10**6])
def test_the_median_is_that_of_numpy(count: int, kinds: int) -> None:
    """Of few and many values, most of them equal or none, in any order."""
    rng = np.random.default_rng([count, kinds])
    values = rng.integers(kinds, size=count) / 7.0
    for ordered in (values, np.sort(values), np.sort(values)[::-1]):
        assert median_of(np.array(ordered), count) == pytest.approx(float(np.median(values)), rel=1e-15)


def test_only_the_first_values_count() -> None:
    """What lies behind them stays where it is."""
    values = np.array([3.0, 1.0, 2.0, -9.0, -9.0])
    assert median_of(values, 3) == 2.0
    assert values[3:].tolist() == [-9.0, -9.0]


def test_a_nan_ends_the_search() -> None:
    """Whatever the place of NaN among the values, there is an answer."""
    for place in range(5):
        values = np.arange(5.0)
        values[place] = np.nan
        median_of(values, 5)
