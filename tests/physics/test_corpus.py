"""The corpus of disturbed bilayers: reproducible, fair, and what it says it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.helpers.corpus import FAMILIES, case_of, disturbed_cases
from tests.helpers.corpus.layers import least_error_deg


def test_a_number_always_gives_the_same_case() -> None:
    """Generated twice, one case is the same to the last bit, and the next number is another."""
    first, again, other = case_of("combined", 5), case_of("combined", 5), case_of("combined", 6)
    assert np.array_equal(first.bilayer.positions, again.bilayer.positions)
    assert (first.signed_deg, first.stacking) == (again.signed_deg, again.stacking)
    assert first.signed_deg != other.signed_deg


def test_twists_and_boundaries_and_materials_of_all_kinds_occur() -> None:
    """In 390 cases: every ten degrees of twist, both signs, R and H, beads, flakes, seams, cells of either hand."""
    cases = list(disturbed_cases(390))
    signed = np.array([case.signed_deg for case in cases])
    assert np.histogram(signed, bins=np.arange(-30, 31, 10))[0].min() > 20
    assert {case.stacking for case in cases} == {"R", "H", None}
    assert {case.plan.boundary for case in cases} == {"closed", "seam", "flake", "island"}
    assert {case.family for case in cases} == set(FAMILIES) - {"large"}
    hands = {bool(np.linalg.det(case.bilayer.cell) > 0) for case in cases}
    assert hands == {True, False}
    assert min(np.count_nonzero(case.majority & case.upper) for case in cases) == 7
    assert {len(case.bilayer.types) for case in (case_of("large", 0), case_of("large", 1))} & set(
        range(10_000, 130_000)
    )


def test_no_case_is_undetermined_by_its_noise() -> None:
    """Three times the Cramer-Rao bound of the atoms that stand on both lattices is below 0.1 degrees."""
    for case in disturbed_cases(300):
        flat = case.bilayer.positions @ _axes(case.bilayer.cell).T
        bounds = [
            least_error_deg(flat[case.majority & (case.upper == upper)], case.plan.noise) for upper in (False, True)
        ]
        if not case.plan.unwrapped and not case.plan.stacked_periodically:
            assert math.hypot(*bounds) <= case.bound_deg * 1.5, case.name
        assert 3.0 * case.bound_deg <= 0.1, case.name


def test_the_bound_is_the_scatter_of_fits_to_known_sites(rng: np.random.Generator) -> None:
    """Least squares of 2000 noisy copies of a piece of crystal over its sites scatter by the bound."""
    sites = rng.uniform(0, 20, (60, 2)) * [2.0, 1.0]
    about = sites - sites.mean(axis=0)
    turns = []
    for _ in range(2000):
        gradient = np.linalg.lstsq(about, rng.normal(0, 0.1, sites.shape), rcond=None)[0].T
        turns.append(np.degrees((gradient[1, 0] - gradient[0, 1]) / 2))
    assert np.std(turns) == pytest.approx(least_error_deg(sites, 0.1), rel=0.05)


def _axes(cell: np.ndarray) -> np.ndarray:
    along = cell[0] / np.linalg.norm(cell[0])
    normal = np.cross(cell[0], cell[1])
    return np.stack([along, np.cross(normal / np.linalg.norm(normal), along)])
