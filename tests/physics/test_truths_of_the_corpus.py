"""The stored twists of the corpus against Bragg peaks: a route from positions alone that knows nothing of the analyzer.

Where a layer has grains or a molten patch, a window is put on the atoms marked as its majority; all else is seen as it
lies there, antisites included.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.helpers.bilayers import SPACING, Floats
from tests.helpers.corpus import FAMILIES, Case, disturbed_cases
from tests.helpers.corpus.layers import Flags
from tests.physics import bragg

LONG_WAVES_DEG = 0.2
"""By what a window on one piece of a layer is misled by waves longer than itself."""

SMALL_FAMILIES = [name for name in FAMILIES if name != "large"]


def lattice_of(case: Case) -> Flags:
    """Atoms of a lattice type; where a layer has grains or a molten patch, the atoms of its majority."""
    marked = max(case.plan.grains) > 1 or max(case.plan.molten) > 0
    return case.majority if marked else np.isin(case.bilayer.types, case.metal_types)


def scale_of(case: Case, upper: bool) -> float:
    """By what the places of a layer are multiplied, which turns nothing, for its peaks to be where they are sought."""
    return SPACING / case.plan.spacings[upper] if case.plan.honeycombs[upper] else 1.0


def windowed(case: Case, chosen: Flags) -> tuple[Floats, Floats]:
    """In-plane places of some atoms of one layer, and how much each counts."""
    places, plane = bragg.flattened(case.bilayer, chosen, case.corner)
    if case.plan.boundary in ("closed", "seam"):
        return places, bragg.cell_window(places, plane)
    if case.plan.boundary == "island":
        inside = places @ np.linalg.inv(plane)
        middle = np.angle(np.exp(2j * math.pi * inside).mean(axis=0)) / (2 * math.pi)
        places = (inside - np.rint(inside - middle)) @ plane
    return places, bragg.round_window(places)


def seen_as_a_piece_deg(case: Case) -> float:
    """Signed twist by the peaks of a piece of each layer."""
    lattice = lattice_of(case)
    layers = [windowed(case, lattice & (case.upper == upper)) for upper in (False, True)]
    lower, upper = (
        bragg.direction_of_a_piece_deg(places * scale_of(case, which), window)
        for which, (places, window) in zip((False, True), layers, strict=True)
    )
    return upper - lower


def seen_stacking(case: Case) -> str:
    """R or H by the phases of the chalcogens' peaks."""
    directions = []
    for upper in (False, True):
        metals = windowed(case, np.isin(case.bilayer.types, case.metal_types) & (case.upper == upper))
        others = windowed(case, np.isin(case.bilayer.types, case.chalcogen_types) & (case.upper == upper))
        directions.append(bragg.direction_of_triangles_deg(*metals, *others))
    apart = directions[1] - directions[0]
    return "R" if abs(apart - 120.0 * round(apart / 120.0)) < 30.0 else "H"


def seen_in_its_cell_deg(case: Case) -> float:
    """Signed twist by the peaks at the reciprocal vectors of the cell."""
    lattice = np.isin(case.bilayer.types, case.metal_types)
    layers = [bragg.flattened(case.bilayer, lattice & (case.upper == upper), case.corner) for upper in (False, True)]
    lower, upper = (
        bragg.direction_of_a_closed_layer_deg(places * scale_of(case, which), plane * scale_of(case, which))
        for which, (places, plane) in zip((False, True), layers, strict=True)
    )
    return upper - lower


@pytest.mark.parametrize("family", [name for name in SMALL_FAMILIES if not name.startswith("small")])
def test_a_piece_of_each_layer_points_where_the_truth_says(family: str) -> None:
    """Through a smooth window on each layer, three peaks climbed each for itself give the stored twist.

    Within 0.05 degrees and five times what a fit to all atoms could be off by; more where there are long waves.
    """
    for case in disturbed_cases(4, families=(family,)):
        error = case.error_deg(seen_as_a_piece_deg(case))
        allowed = 0.05 + 5.0 * case.bound_deg + (LONG_WAVES_DEG if case.plan.waves else 0.0)
        assert error == pytest.approx(0.0, abs=allowed), case.name


@pytest.mark.parametrize("family", SMALL_FAMILIES)
def test_layers_that_close_have_their_peaks_where_the_cell_allows(family: str) -> None:
    """The brightest reciprocal vectors of the cell give the stored twist to machine precision, whatever the noise."""
    for case in disturbed_cases(5, seed=1, families=(family,)):
        if case.plan.boundary == "closed":
            assert case.error_deg(seen_in_its_cell_deg(case)) == pytest.approx(0.0, abs=1e-9), case.name


@pytest.mark.parametrize("family", ["bicrystals", "polycrystals"])
def test_the_majority_is_more_than_half_of_its_layer(family: str) -> None:
    """Of the metal atoms of each layer 55 to 85 % stand in the grain whose direction is the truth, or all of them."""
    for case in disturbed_cases(20, families=(family,)):
        metal = np.isin(case.bilayer.types, case.metal_types)
        for upper, grains in zip((False, True), case.plan.grains, strict=True):
            share = np.mean(case.majority[metal & (case.upper == upper)])
            assert share == 1.0 if grains == 1 else 0.5 < share < 0.9, case.name


@pytest.mark.parametrize("family", ["perfect", "noise", "vacancies", "seams", "hetero", "turned"])
def test_stacking_is_that_of_the_phases_of_the_chalcogens(family: str) -> None:
    """At a first peak the chalcogens of two parallel layers scatter before the metals, of antiparallel ones after."""
    for case in disturbed_cases(14, seed=2, families=(family,)):
        if case.stacking is not None:
            assert seen_stacking(case) == case.stacking, case.name
