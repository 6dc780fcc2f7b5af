"""The paper's Algorithm 1 from many starting atoms: the direction of rows, not the rotation of lattices."""

from __future__ import annotations

import math

import numpy as np
import pytest

from moireloop_analyzer.twist import measure_twist
from tests.helpers.bilayers import BASIS, Bilayer, Floats, commensurate, commensurate_twist_deg, rotation, square


def by_rows(bilayer: Bilayer) -> tuple[float, float]:
    """Signed twist and its standard error by rows, in degrees."""
    estimate = measure_twist(
        bilayer.positions,
        bilayer.types,
        bilayer.cell,
        bilayer.pbc,
        metal_types=(1, 2),
        chalcogen_types=(),
        estimator="row",
    )
    assert estimate.signed_deg is not None, estimate.reason
    assert estimate.sigma_deg is not None
    return estimate.signed_deg, estimate.sigma_deg


def nearest_row_deg(lattice: Floats) -> float:
    """Direction of the row of a lattice (2, 2), vectors as columns, that is nearest to x; of its three rows."""
    steps = np.array([[1, 0], [0, 1], [-1, 1]]) @ lattice.T
    slopes = np.degrees(np.arctan2(steps[:, 1], steps[:, 0]))
    folded = slopes - 180.0 * np.round(slopes / 180.0)
    return float(folded[np.abs(folded).argmin()])


@pytest.mark.parametrize("twist", [-29.0, -8.7, 0.0, 3.0, 15.0, 29.0])
def test_without_strain_rows_turn_as_lattices_do(twist: float) -> None:
    """A perfect flake, to machine precision."""
    assert by_rows(square(twist, length=40.0))[0] == pytest.approx(twist, abs=1e-9)


def test_a_closed_cell_has_rows_that_go_round_it() -> None:
    """Rows longer than the cell close on themselves."""
    assert by_rows(commensurate(3, 2))[0] == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-9)


@pytest.mark.parametrize("twist", [0.0, 2.76, 8.2, 15.0, 25.0])
@pytest.mark.parametrize("both", [True, False], ids=["whole cell", "upper layer"])
def test_under_shear_rows_turn_with_their_steps(twist: float, both: bool) -> None:
    """x' = x + 0.055 y leaves a row along x where it is; other rows turn by what the shear does to their steps."""
    shear = np.array([[1.0, 0.055], [0.0, 1.0]])
    bilayer = square(twist, length=40.0)
    moved = bilayer.positions.copy()
    sheared = np.full(len(moved), True) if both else bilayer.types == 2
    moved[sheared, :2] = moved[sheared, :2] @ shear.T
    lower = shear @ BASIS if both else BASIS
    expected = nearest_row_deg(shear @ rotation(twist) @ BASIS) - nearest_row_deg(lower)
    assert by_rows(Bilayer(moved, bilayer.types, bilayer.cell, bilayer.pbc))[0] == pytest.approx(expected, abs=1e-9)


def test_a_shear_of_5_5_percent_turns_a_lattice_but_not_its_row() -> None:
    """The difference between both conventions: 1.58 degrees."""
    bilayer = square(0.0, length=40.0)
    moved = bilayer.positions.copy()
    moved[bilayer.types == 2, 0] += 0.055 * moved[bilayer.types == 2, 1]
    assert by_rows(Bilayer(moved, bilayer.types, bilayer.cell, bilayer.pbc))[0] == pytest.approx(0.0, abs=1e-9)


def test_ghosts_bridge_vacancies(rng: np.random.Generator) -> None:
    """A tenth of the atoms missing: rows go on behind the gaps, and without noise they are exact."""
    assert by_rows(square(8.7, length=60.0).thinned(0.1, rng))[0] == pytest.approx(8.7, abs=1e-9)


@pytest.mark.parametrize("periodic", [False, True], ids=["flake", "seam"])
def test_the_error_of_rows_is_what_they_scatter_by(periodic: bool) -> None:
    """40 noisy layers of 60 angstrom: right on average, and with errors of about one sigma; no row crosses a seam."""
    rng = np.random.default_rng(5)
    found = np.array(
        [
            by_rows(square(8.7, length=60.0, periodic=periodic, seed=seed).thinned(0.05, rng).shaken(0.1, rng))
            for seed in range(40)
        ]
    )
    errors = (found[:, 0] - 8.7) / found[:, 1]
    assert abs(found[:, 0].mean() - 8.7) < 0.02
    assert 0.7 < math.sqrt(float(np.mean(errors**2))) < 1.4
