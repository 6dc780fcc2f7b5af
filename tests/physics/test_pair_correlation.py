"""The pair correlation function beside an ideal gas, a count by brute force, and crystals whose shells are known."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest

from moireloop_analyzer.refusal import Refusal
from moireloop_analyzer.structure.coordination import neighbour_counts
from moireloop_analyzer.structure.pair_correlation import PairCorrelation, pair_correlation
from tests.helpers.bilayers import SPACING, Floats
from tests.helpers.mx2 import HALF_THICKNESS, mx2

GAS = 1500
SHEARED = np.array([[31.0, 0.0, 0.0], [9.0, 26.0, 0.0], [-2.0, 3.0, 14.0]])
SQUARE = np.array([[28.0, 0.0, 0.0], [0.0, 33.0, 0.0], [0.0, 0.0, 12.0]])


def found(*args: object, **options: object) -> PairCorrelation:
    result = pair_correlation(*args, **options)  # type: ignore[arg-type]
    assert isinstance(result, PairCorrelation), result
    return result


def by_brute_force(positions: Floats, cell: Floats, pbc: tuple[bool, ...], radius: float, bins: int) -> Floats:
    """Neighbours of an atom in each bin, over all images that can matter, each distance looked at."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    fractions = positions @ np.linalg.inv(cell)
    inside = (fractions - np.floor(fractions) * np.array(pbc)) @ cell
    reach = [math.ceil(radius / height) + 1 if wraps else 0 for height, wraps in zip(heights, pbc, strict=True)]
    total = np.zeros(bins)
    for lap in itertools.product(*(range(-r, r + 1) for r in reach)):
        distances = np.linalg.norm(inside[None] + np.array(lap) @ cell - inside[:, None], axis=-1)
        if lap == (0, 0, 0):
            distances = distances[~np.eye(len(inside), dtype=bool)]
        total += np.histogram(distances[distances < radius], bins, (0.0, radius))[0]
    return total / len(positions)


@pytest.mark.parametrize("pbc", list(itertools.product((True, False), repeat=3)))
@pytest.mark.parametrize("radius", [4.0, 37.0])
def test_pairs_are_those_of_brute_force(pbc: tuple[bool, bool, bool], radius: float, rng: np.random.Generator) -> None:
    """In a sheared cell with any periodic directions, up to a radius beyond the cell, from positions outside it too."""
    positions = rng.uniform(-1.3, 1.7, (70, 3)) @ SHEARED
    ours = found(positions, np.ones(70), SHEARED, pbc, radius_angstrom=radius, bins=40)
    assert ours.pairs_per_atom == pytest.approx(by_brute_force(positions, SHEARED, pbc, radius, 40), abs=1e-9)


def gases(cell: Floats, pbc: tuple[bool, bool, bool], rng: np.random.Generator, radius: float) -> list[PairCorrelation]:
    """Twelve draws of an even density in a cell. One alone is off all over where its heights happen to be uneven."""
    return [
        found(rng.random((GAS, 3)) @ cell, rng.integers(1, 3, GAS), cell, pbc, radius_angstrom=radius, bins=20)
        for _ in range(12)
    ]


def is_one(draws: list[Floats]) -> bool:
    """Whether the mean over draws is 1 in each bin, within five of its standard errors and what N - 1 for N makes."""
    values = np.array(draws)
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    return bool(np.all(np.abs(values.mean(axis=0) - 1.0) < 5.0 * error + 2.0 / GAS))


@pytest.mark.parametrize("cell", [SHEARED, SQUARE])
@pytest.mark.parametrize("pbc", [(True, True, False), (True, True, True), (False, True, True)])
def test_an_ideal_gas_has_one_everywhere(cell: Floats, pbc: tuple[bool, bool, bool], rng: np.random.Generator) -> None:
    """Random points give 1, below and beyond the thickness of the slab, total and partial."""
    if pbc == (False, True, True):
        cell = cell[[2, 0, 1]]
    draws = gases(cell, pbc, rng, 11.0 if all(pbc) else 25.0)  # nearer than an atom's own images
    assert is_one([g.total for g in draws])
    for pair in ((1, 1), (1, 2), (2, 2)):
        assert is_one([g.partial[pair] for g in draws])
    if not all(pbc):
        thickness = abs(np.linalg.det(cell)) / np.linalg.norm(np.cross(*cell[np.array(pbc)]))
        assert np.mean([g.thickness_angstrom for g in draws]) == pytest.approx(thickness, rel=0.01)


@pytest.mark.parametrize("pbc", [(True, False, False), (False, False, False)])
def test_an_ideal_gas_in_a_wire_or_a_box(pbc: tuple[bool, bool, bool], rng: np.random.Generator) -> None:
    """One everywhere too where fewer directions are periodic."""
    assert is_one([g.total for g in gases(SQUARE, pbc, rng, 10.0)])


def test_a_flat_layer_is_compared_with_a_flat_gas(rng: np.random.Generator) -> None:
    """Points in a plane have no thickness, and still 1 everywhere."""
    draws = []
    for _ in range(12):
        flat = rng.random((GAS, 3)) * [45.0, 40.0, 0.0]
        draws.append(found(flat, np.ones(GAS), np.diag([45.0, 40.0, 20.0]), radius_angstrom=12.0, bins=12))
    assert is_one([g.total for g in draws])
    assert (draws[0].thickness_angstrom, draws[0].density) == (0.0, None)


def test_the_shells_of_a_crystal() -> None:
    """Of a 1H layer: metals at a, sqrt(3) a and 2 a with six each, bonds at 2.41, the chalcogens of a metal at 3.14."""
    bilayer = mx2(3, 2, repeats=2)

    def neighbours(*types: int) -> dict[float, float]:
        chosen = np.isin(bilayer.types, types)
        g = found(bilayer.positions[chosen], bilayer.types[chosen], bilayer.cell, radius_angstrom=6.5, bins=130)
        return {round(0.05 * k, 2): float(g.pairs_per_atom[k]) for k in np.flatnonzero(g.pairs_per_atom)}

    assert 2.40 < math.hypot(SPACING / math.sqrt(3.0), HALF_THICKNESS) < 2.41
    assert neighbours(1) == {3.15: 6.0, 5.45: 6.0, 6.3: 6.0}
    layer = neighbours(1, 2)
    assert min(layer) == 2.4
    assert layer[2.4] == pytest.approx((1 * 6 + 2 * 3) / 3)
    assert neighbours(2)[3.1] == pytest.approx(1.0)


def test_the_same_crystal_at_any_size() -> None:
    """g does not change when the cell is repeated, to rounding of what lies on the border of a bin."""
    small, large = mx2(2, 1), mx2(2, 1, repeats=4)
    g, h = (found(b.positions, b.types, b.cell, radius_angstrom=9.97, bins=53) for b in (small, large))
    assert g.total == pytest.approx(h.total, rel=1e-9)
    assert g.thickness_angstrom == pytest.approx(h.thickness_angstrom)
    assert g.density == pytest.approx(h.density)


def test_a_stray_atom_does_not_make_the_slab_thicker() -> None:
    """One atom 60 angstrom above a bilayer of 504 changes g by less than the share of it that the atom is."""
    bilayer = mx2(3, 2, repeats=3)
    stray = np.vstack([bilayer.positions, [0.0, 0.0, 70.0]])
    g = found(bilayer.positions, bilayer.types, bilayer.cell)
    h = found(stray, np.append(bilayer.types, 1), bilayer.cell)
    assert h.thickness_angstrom == pytest.approx(g.thickness_angstrom, abs=1e-9)
    assert h.total == pytest.approx(g.total, rel=5.0 / len(stray))


@pytest.mark.parametrize(
    ("positions", "cell", "reason"),
    [
        (np.zeros((0, 3)), np.eye(3), "no atoms"),
        (np.full((5, 3), np.nan), np.eye(3), "not finite"),
        (np.full((5, 3), 1e12), np.eye(3), "from the origin"),
        (np.ones((5, 3)), np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 0, 1.0]]), "degenerate"),
        (np.random.default_rng(0).random((50, 3)), np.diag([1e-6, 30.0, 1.0]), "crowded"),
        (np.zeros((90_000, 3)), np.eye(3) * 50.0, "crowded"),
    ],
)
def test_what_cannot_be_counted_is_refused(positions: Floats, cell: Floats, reason: str) -> None:
    """With a reason, and at once."""
    began = time.process_time()
    result = pair_correlation(positions, np.ones(len(positions)), cell)
    assert isinstance(result, Refusal)
    assert reason in result.reason
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_a_radius_without_meaning_is_an_error(radius: float) -> None:
    """Named, with what came."""
    with pytest.raises(ValueError, match="expected a radius above 0"):
        pair_correlation(np.ones((2, 3)), [1, 1], np.eye(3), radius_angstrom=radius)


@pytest.mark.parametrize("cutoff", [np.nan, np.inf, -3.0, 0.0, 1e300])
def test_a_cutoff_without_meaning_is_an_error_for_neighbours_too(cutoff: float) -> None:
    """Compiled code is not asked to search within it."""
    with pytest.raises(ValueError, match="expected a radius above 0"):
        neighbour_counts(np.zeros((3, 3)), [1, 1, 1], np.eye(3) * 10, (True, True, True), cutoff_angstrom=cutoff)


def test_thousands_of_types_are_an_error() -> None:
    """The partial functions of all pairs would take gigabytes."""
    positions = np.random.default_rng(1).uniform(0, 30, (200, 3))
    with pytest.raises(ValueError, match="expected at most 64 types of atoms, got 200"):
        pair_correlation(positions, np.arange(200), np.eye(3) * 30, (True, True, True))
