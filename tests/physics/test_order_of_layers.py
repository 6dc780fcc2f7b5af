"""|psi6| is 1 for a perfect lattice and near 0 for a random set."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.helpers.bilayers import SPACING, commensurate, square, twist_of


@pytest.mark.parametrize("periodic", [True, False])
def test_a_perfect_lattice_has_order_one(periodic: bool) -> None:
    """To machine precision, at a free edge and over a periodic boundary."""
    bilayer = commensurate(3, 2) if periodic else square(13.0)
    estimate = twist_of(bilayer)
    assert estimate.order_lower == pytest.approx(1.0, abs=1e-9)
    assert estimate.order_upper == pytest.approx(1.0, abs=1e-9)


def test_thermal_noise_lowers_the_order_as_the_spread_of_bond_angles_says(rng: np.random.Generator) -> None:
    """For small independent noise u the bond angle spreads by sqrt(2) u / a, and |psi6| = exp(-18 spread^2)."""
    noise = 0.08
    estimate = twist_of(commensurate(3, 2, repeats=6).shaken(noise, rng))
    expected = math.exp(-18.0 * 2.0 * (noise / SPACING) ** 2)
    assert estimate.order_upper == pytest.approx(expected, abs=0.005)
