"""Coordination numbers and the paper's order parameter, of crystals, their sizes, and frames of molecular dynamics."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from moireloop_analyzer.refusal import Refusal
from moireloop_analyzer.structure.coordination import Coordination, coordination, first_peak_share, neighbour_counts
from tests.helpers.bilayers import Bilayer
from tests.helpers.mx2 import CHALCOGENS, METALS, mx2


def numbers(bilayer: Bilayer) -> Coordination:
    found = coordination(
        bilayer.positions, bilayer.types, bilayer.cell, bilayer.pbc, metal_types=METALS, chalcogen_types=CHALCOGENS
    )
    assert isinstance(found, Coordination), found
    return found


def order(bilayer: Bilayer) -> float:
    share = first_peak_share(bilayer.positions, bilayer.cell, bilayer.pbc)
    assert isinstance(share, float), share
    return share


@pytest.mark.parametrize("stacking", ["R", "H"])
def test_a_crystal_has_six_and_three(stacking: str) -> None:
    """Each metal has six chalcogens and six metals, each chalcogen three metals, whatever the other layer does."""
    found = numbers(mx2(3, 2, repeats=2, stacking=stacking))
    assert set(found.around_metals) == {6}
    assert set(found.around_chalcogens) == {3}
    assert set(found.in_plane) == {6}
    assert (found.six_fold_share, found.mean_in_plane) == (1.0, 6.0)


def test_a_missing_chalcogen_is_missed_by_its_three_metals() -> None:
    """Of 76 metals three have five neighbours."""
    bilayer = mx2(3, 2, repeats=2)
    kept = np.arange(len(bilayer.types)) != np.flatnonzero(bilayer.types == 2)[0]
    found = numbers(Bilayer(bilayer.positions[kept], bilayer.types[kept], bilayer.cell))
    metals = len(found.around_metals)
    assert found.six_fold_share == pytest.approx(1.0 - 3.0 / metals)
    assert found.mean_around_metals == pytest.approx(6.0 - 3.0 / metals)
    assert found.mean_around_chalcogens == 3.0


def test_without_chalcogens_there_is_no_number_of_them() -> None:
    """Beads have neighbours in the plane, and no bonds: None and not a division by zero."""
    bilayer = mx2(3, 2)
    metals = np.isin(bilayer.types, METALS)
    found = numbers(Bilayer(bilayer.positions[metals], bilayer.types[metals], bilayer.cell))
    assert found.mean_around_chalcogens is None
    assert found.mean_around_metals == 0.0
    assert found.mean_in_plane == 6.0


def test_an_atom_is_neighbour_of_its_images() -> None:
    """One atom in a cell of 3.16 by 3.16 has four at that distance, its own."""
    counts = neighbour_counts(
        [[0.5, 0.5, 0.5]], [7], np.diag([3.16, 3.16, 9.0]), (True, True, False), cutoff_angstrom=4.0
    )
    assert isinstance(counts, dict)
    assert counts[7].tolist() == [4]


def test_broken_positions_are_refused() -> None:
    """Also by the order parameter."""
    broken = np.full((3, 3), np.nan)
    assert isinstance(coordination(broken, [1, 1, 2], np.eye(3)), Refusal)
    assert isinstance(first_peak_share(broken, np.eye(3), (True, True, False)), Refusal)


def test_the_seeds_order_is_the_share_of_bonds_in_its_window() -> None:
    """A chain of bonds of 2.5 and 2.9 angstrom by turns has one half, in any number of atoms."""
    for pairs in (5, 50):
        positions = np.array([[5.4 * cell + place, 1.0, 1.0] for cell in range(pairs) for place in (0.0, 2.5)])
        cell = np.diag([5.4 * pairs, 20.0, 20.0])
        assert first_peak_share(positions, cell, (True, False, False)) == pytest.approx(0.5)


def test_the_seeds_order_without_pairs_is_zero() -> None:
    """No atoms within the cutoff of each other."""
    assert first_peak_share(np.array([[0.0, 0, 0], [9.0, 9.0, 9.0]]), np.eye(3) * 20, (False, False, False)) == 0.0


@pytest.mark.parametrize("ends", [2.4, 2.6])
def test_the_ends_of_the_window_belong_to_it(ends: float) -> None:
    """As the paper writes it, [2.4, 2.6]."""
    assert first_peak_share([[0.0, 0, 0], [ends, 0, 0]], np.eye(3) * 20, (False, False, False)) == 1.0


def test_the_seeds_order_of_a_crystal_is_one_at_any_size() -> None:
    """All bonds of 2.407 angstrom are in the window, in 42 atoms and in 4104."""
    for m, n, repeats in ((2, 1, 1), (3, 2, 2), (3, 2, 6)):
        assert order(mx2(m, n, repeats)) == 1.0


def test_the_seeds_order_of_shaken_crystals_is_that_of_a_normal_bond(rng: np.random.Generator) -> None:
    """Bonds of length 2.407 that spread by sqrt(2) u: the share in the window is one of the normal distribution."""
    noise, bond = 0.03, math.hypot(3.16 / math.sqrt(3.0), 1.57)
    spread = math.sqrt(2.0) * noise
    low, high = ((end - bond) / (spread * math.sqrt(2.0)) for end in (2.4, 2.6))
    expected = 0.5 * (math.erf(high) - math.erf(low))
    sizes = [order(mx2(3, 2, repeats).shaken(noise, rng)) for repeats in (4, 12)]
    assert sizes == pytest.approx([expected, expected], abs=0.03)
    assert order(mx2(3, 2, 4).shaken(0.4, rng)) < 0.35


def frames(model: str) -> list[tuple[float, Bilayer]]:
    """Temperature and atoms of the frames of molecular dynamics with a force field."""
    with np.load(Path(__file__).with_name("mos2_frames.npz")) as stored:
        ends = np.cumsum(stored["atoms"])[:-1]
        atoms = zip(np.split(stored["positions"], ends), np.split(stored["types"], ends), strict=True)
        every = zip(stored["model"], stored["temperature_k"], stored["cell"], atoms, strict=True)
        return [(float(t), Bilayer(p.astype(float), k, cell)) for name, t, cell, (p, k) in every if name == model]


def test_heat_lowers_the_seeds_order() -> None:
    """In crystals of REBO, all bonds still there: at 300 K above 0.8, at 1000 K above 0.6, at 1500 K and more below."""
    orders = [(temperature_k, order(bilayer)) for temperature_k, bilayer in frames("mos2-rebo")]
    cold, warm, hot = (
        [share for temperature_k, share in orders if low < temperature_k < high]
        for low, high in ((200, 400), (850, 1100), (1400, 2000))
    )
    assert min(cold) > 0.8 > max(warm)
    assert min(warm) > 0.6 > max(hot)


def test_a_molten_layer_has_less_order_than_the_crystal_below_it() -> None:
    """The prepared bilayer of ReaxFF: upper layer molten, lower one at 300 K; and fewer metals with six chalcogens."""
    bilayer = frames("mos2-reaxff")[-1][1]
    below, above = (
        Bilayer(bilayer.positions[chosen], bilayer.types[chosen], bilayer.cell)
        for chosen in (bilayer.types <= 2, bilayer.types > 2)
    )
    assert order(above) < order(below) - 0.2
    shares = [numbers(layer).six_fold_share for layer in (below, above)]
    assert shares[0] is not None
    assert shares[1] is not None
    assert shares[1] < shares[0] - 0.3
