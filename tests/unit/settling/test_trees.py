"""Trees tell probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_analyzer.settling.trees import BINS, RATE, SHRINKAGE, _codes, _cuts, _grown, fit_trees


def made(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of which two matter together, the probabilities that they make, and outcomes."""
    rng = np.random.default_rng(seed)
    features = rng.random((rows, 4))
    probability = np.where((features[:, 0] > 0.5) & (features[:, 1] > 0.3), 0.9, 0.2)
    return features, probability, (rng.random(rows) < probability).astype(float)


def test_probabilities_are_found() -> None:
    """A step in two features together is found to a few percent on rows that were not fitted."""
    features, _, outcomes = made(4000, 1)
    fresh, probability, _ = made(500, 2)
    fitted = fit_trees(features, outcomes, np.ones(4000)).probability(fresh)
    assert np.mean(np.abs(fitted - probability)) < 0.04
    assert fitted.min() > 0
    assert fitted.max() < 1


def test_weight_replaces_rows() -> None:
    """A row of weight 3 counts like three rows."""
    features, _, outcomes = made(400, 1)
    weights = np.where(np.arange(400) < 200, 3.0, 1.0)
    repeated = np.repeat(np.arange(400), weights.astype(int))
    weighted = fit_trees(features, outcomes, weights).probability(features).mean()
    assert (
        abs(weighted - fit_trees(features[repeated], outcomes[repeated], np.ones(800)).probability(features).mean())
        < 0.02
    )


def test_constant_data_are_accepted() -> None:
    """Rows that are all alike, or too few to split, get their share of the outcomes."""
    probability = fit_trees(np.ones((10, 2)), np.array([1.0] * 5 + [0.0] * 5), np.ones(10)).probability(np.ones((1, 2)))
    assert abs(probability[0] - 0.5) < 1e-9


def test_sums_of_the_larger_part_are_what_is_left() -> None:
    """Only the smaller part of a split is summed: leaves come to the values that their rows give by themselves."""
    features, _, outcomes = made(1000, 3)
    cuts = tuple(_cuts(column) for column in features.T)
    codes = _codes(features, cuts)
    places = codes + BINS * np.arange(codes.shape[1])
    gradient, curvature = outcomes - outcomes.mean(), np.full(1000, 0.25)
    tree = _grown(codes, places, gradient, curvature)
    values = tree.values(codes)
    assert len(np.unique(values)) > 2
    for value in np.unique(values):
        its = values == value
        assert value == pytest.approx(RATE * gradient[its].sum() / (curvature[its].sum() + SHRINKAGE))
