"""Rotation and distortion of lattices, against singular values."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_optimizer.auto.hexagonal import SPOKES, distortion, folded, in_plane, spacing, turned_deg
from tests.helpers.lattice_pairs import HEXAGONAL

RNG = np.random.default_rng(5)
LATTICES = 3.16 * HEXAGONAL @ (np.eye(2) + 0.15 * RNG.standard_normal((40, 2, 2)))


def test_rotation_and_stretches_are_those_of_the_polar_decomposition() -> None:
    """Which singular values give, another way to it."""
    left, stretches, right = np.linalg.svd(np.linalg.inv(HEXAGONAL) @ LATTICES)
    rotation = left @ right
    assert turned_deg(LATTICES) == pytest.approx(np.degrees(np.arctan2(rotation[:, 0, 1], rotation[:, 0, 0])))
    a, b = (in_plane(LATTICES) @ spokes for spokes in (SPOKES, SPOKES.conj()))
    assert distortion(a, b) == pytest.approx(np.log(stretches[:, 0] / stretches[:, 1]))
    assert np.abs(a) + np.abs(b) == pytest.approx(stretches[:, 0])


def test_a_flat_or_left_handed_lattice_is_infinitely_distorted() -> None:
    """And no warning comes of it."""
    for vectors in (np.array([[1.0, 0.0], [2.0, 0.0]]), 1e9 * HEXAGONAL[::-1], np.zeros((2, 2))):
        a, b = (in_plane(vectors[None]) @ spokes for spokes in (SPOKES, SPOKES.conj()))
        assert np.isinf(distortion(a, b)).all()


def test_angles_are_folded_by_the_symmetry_of_the_lattice() -> None:
    """Sixty degrees are none, and the sign is none."""
    assert folded(np.array([0.0, 60.0, -60.0, 359.0, 31.0, -8.2, 188.2])) == pytest.approx([0, 0, 0, 1, 29, 8.2, 8.2])


def test_spacing_is_that_of_the_regular_lattice_of_the_same_area() -> None:
    """A shear leaves it alone, and a stretch by two along one axis makes it the root of two."""
    sheared = 3.16 * HEXAGONAL @ np.array([[1.0, 0.0], [0.3, 1.0]])
    assert spacing(np.stack([3.16 * HEXAGONAL, sheared, sheared * [2.0, 1.0]])) == pytest.approx(
        [3.16, 3.16, 3.16 * np.sqrt(2.0)]
    )
