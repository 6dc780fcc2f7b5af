"""Pairs under periodic boundaries, against a brute force over all images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moireloop_analyzer.neighbours import Floats, pairs_within, why_unsearchable


def by_brute_force(
    points: Floats, cell: Floats, periodic: tuple[bool, ...], radius: float
) -> list[tuple[int, int, float]]:
    """Each pair of atoms and images once, with its distance, over up to four cells each way."""
    found = []
    steps = [range(-4, 5) if wraps else range(1) for wraps in periodic]
    for shift in itertools.product(*steps):
        offset = np.array(shift, dtype=float) @ cell
        for i, j in itertools.product(range(len(points)), repeat=2):
            if i > j or (i == j and shift <= tuple([0] * len(shift))):
                continue
            distance = float(np.linalg.norm(points[j] + offset - points[i]))
            if distance <= radius:
                found.append((i, j, distance))
    return sorted(found)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), periodic=st.tuples(st.booleans(), st.booleans()), tilt=st.floats(-0.8, 0.8))
def test_pairs_are_those_of_a_brute_force(seed: int, periodic: tuple[bool, bool], tilt: float) -> None:
    """Tilted cells smaller than twice the radius, atoms outside of the cell, any periodicity."""
    rng = np.random.default_rng(seed)
    cell = np.array([[3.0, 0.0], [3.0 * tilt, 2.5]])
    points = rng.uniform(-0.5, 1.5, (4, 2)) @ cell
    pairs = pairs_within(points, cell, periodic, 3.3)
    lengths = np.linalg.norm(pairs.vectors, axis=1)
    ours = sorted(zip(pairs.first.tolist(), pairs.second.tolist(), lengths.tolist(), strict=True))
    expected = by_brute_force(points, cell, periodic, 3.3)
    assert [pair[:2] for pair in ours] == [pair[:2] for pair in expected]
    assert np.allclose([pair[2] for pair in ours], [pair[2] for pair in expected])


def test_vectors_are_those_of_the_shifts() -> None:
    """vector = second + shift cells - first, also for atoms far outside of the cell."""
    rng = np.random.default_rng(1)
    cell = np.array([[9.0, 0.0], [2.0, 8.0]])
    points = rng.uniform(-100, 100, (30, 2))
    pairs = pairs_within(points, cell, (True, True), 3.0)
    assert len(pairs) > 0
    assert np.allclose(points[pairs.second] + pairs.shifts @ cell - points[pairs.first], pairs.vectors, atol=1e-9)


def test_three_dimensions_work_alike() -> None:
    """A simple cubic crystal has three pairs per atom."""
    points = np.array(list(itertools.product(range(4), repeat=3)), dtype=float)
    assert len(pairs_within(points, np.eye(3) * 4, (True, True, True), 1.1)) == 3 * 64


@pytest.mark.parametrize(
    ("points", "cell"),
    [
        (np.zeros((100, 2)), np.eye(2) * 50.0),
        (np.random.default_rng(0).random((20, 2)), np.diag([1e-4, 50.0])),
        (np.array([[0.0, 0.0], [1e30, 1e30]]), np.eye(2) * 50.0),
    ],
    ids=["piled up", "thin cell", "scattered"],
)
def test_a_search_without_bound_is_foreseen(points: Floats, cell: Floats) -> None:
    """The reason is given before the search is tried."""
    assert why_unsearchable(points, cell, (True, True), 3.0)
