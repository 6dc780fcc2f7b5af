"""The moire cell beside its definition: over its vectors lattices come into step, at its corners they are."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_analyzer.geometry.moire import moire_corner, moire_vectors, moire_wavelength, sixty, turned_to
from tests.helpers.bilayers import BASIS, SPACING, commensurate_twist_deg, rotation
from tests.helpers.mx2 import lattices_of, mx2


def test_the_moire_cell_of_a_commensurate_bilayer_tiles_its_cell() -> None:
    """For (n + 1, n) cells the moire cell is the cell itself, of the wavelength that the formula says."""
    for n in (1, 2, 5):
        bilayer, (lower, upper) = mx2(n + 1, n), lattices_of(n + 1, n)
        vectors = moire_vectors(lower, upper)
        assert vectors is not None
        wavelength = moire_wavelength(commensurate_twist_deg(n + 1, n), SPACING, SPACING)
        assert np.linalg.norm(vectors, axis=0) == pytest.approx([wavelength, wavelength])
        whole = np.linalg.inv(vectors) @ bilayer.cell[:2, :2].T
        assert whole == pytest.approx(np.round(whole), abs=1e-9)
        assert abs(np.linalg.det(whole)) == pytest.approx(1.0)


@pytest.mark.parametrize("twist_deg", [-27.0, -3.0, 1.1, 8.7, 29.0])
@pytest.mark.parametrize("stretch", [1.0, 1.03])
def test_over_its_vectors_both_lattices_come_into_step(twist_deg: float, stretch: float) -> None:
    """upper^-1 L - lower^-1 L are whole numbers, for heterobilayers and strained lattices too."""
    strain = np.array([[1.01, 0.006], [0.006, 0.99]])
    lower, upper = rotation(17.0) @ BASIS, stretch * strain @ rotation(17.0 + twist_deg) @ BASIS
    vectors = moire_vectors(lower, upper)
    assert vectors is not None
    steps = np.linalg.inv(turned_to(lower, upper)) @ vectors - np.linalg.inv(sixty(lower)) @ vectors
    assert steps == pytest.approx(np.eye(2), abs=1e-9)


def test_without_twist_and_mismatch_there_is_no_moire_cell() -> None:
    """Of equal lattices, also by other vectors."""
    assert moire_vectors(BASIS, BASIS) is None
    assert moire_vectors(BASIS, rotation(60.0) @ BASIS) is None
    assert moire_vectors(BASIS, 1.05 * BASIS) is not None


def test_at_its_corners_both_lattices_are_in_step(rng: np.random.Generator) -> None:
    """There the atom's place within the cell of one lattice is that in the other's, near to where it was asked for."""
    lower, upper = rotation(5.0) @ BASIS, rotation(12.0) @ BASIS
    origins = rng.random((2, 2)) * 3.0
    near = np.array([31.0, 18.0])
    corner = moire_corner(lower, origins[0], upper, origins[1], near)
    vectors = moire_vectors(lower, upper)
    assert corner is not None
    assert vectors is not None
    apart = [np.linalg.inv(v) @ (corner - o) for v, o in ((upper, origins[1]), (lower, origins[0]))]
    assert (apart[0] - apart[1]) == pytest.approx(np.round(apart[0] - apart[1]), abs=1e-9)
    assert np.linalg.norm(corner - near) <= np.linalg.norm(vectors, axis=0).max()
