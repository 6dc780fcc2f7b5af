"""The moire wavelength against textbook values and against a beat of two lattices."""

from __future__ import annotations

import math

import pytest

from moireloop_analyzer.geometry.moire import moire_wavelength
from tests.helpers.bilayers import SPACING, commensurate, twist_of


def test_mos2_at_8_7_degrees_has_20_8_angstrom() -> None:
    """The value of the literature for a = 3.16 angstrom."""
    assert moire_wavelength(8.7, 3.16, 3.16) == pytest.approx(20.8, abs=0.05)


@pytest.mark.parametrize("twist", [0.1, 1.0, 8.7, 21.8, 30.0])
def test_equal_lattices_have_a_over_twice_the_sine_of_half_the_twist(twist: float) -> None:
    """L = a / (2 sin(theta / 2))."""
    expected = 3.16 / (2.0 * math.sin(math.radians(twist) / 2.0))
    assert moire_wavelength(twist, 3.16, 3.16) == pytest.approx(expected, rel=1e-12)


def test_mismatch_alone_beats_at_the_inverse_of_the_difference() -> None:
    """1 / L = 1 / a - 1 / b without twist."""
    assert moire_wavelength(0.0, 3.16, 3.30) == pytest.approx(1.0 / (1.0 / 3.16 - 1.0 / 3.30))


def test_equal_lattices_without_twist_have_no_moire() -> None:
    """An infinite wavelength is None."""
    assert moire_wavelength(0.0, 3.16, 3.16) is None


@pytest.mark.parametrize(("m", "n"), [(2, 1), (3, 2), (5, 4), (8, 7)])
def test_a_cell_of_neighbouring_indices_is_the_moire_cell(m: int, n: int) -> None:
    """For m - n = 1 the commensurate cell itself is the moire cell, of length a sqrt(m^2 + m n + n^2)."""
    estimate = twist_of(commensurate(m, n))
    assert estimate.moire_angstrom == pytest.approx(SPACING * math.sqrt(m * m + m * n + n * n), rel=1e-9)
