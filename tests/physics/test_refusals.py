"""Where there is no twist to report, a reason is given and never a number."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.bilayers import BASIS, Bilayer, commensurate, crystal, rotation, square, stacked, twist_of


def scattered(count: int, length: float, rng: np.random.Generator, *, apart: float = 0.0) -> np.ndarray:
    """Random points in a square, no two closer than `apart`."""
    points: list[np.ndarray] = []
    while len(points) < count:
        point = rng.uniform(0, length, 2)
        if not points or np.linalg.norm(np.array(points) - point, axis=1).min() >= apart:
            points.append(point)
    return np.array(points)


@pytest.mark.parametrize("apart", [0.0, 2.2], ids=["gas", "glass"])
@pytest.mark.parametrize("disordered", ["lower", "upper", "both"])
def test_a_disordered_layer_has_no_twist(apart: float, disordered: str, rng: np.random.Generator) -> None:
    """Random points, with and without a smallest distance, have |psi6| near zero and are refused by name."""
    length, perfect = 50.0, crystal(rotation(3.0) @ BASIS, 50.0, np.zeros(2))
    random = [scattered(len(perfect), length, rng, apart=apart) for _ in range(2)]
    lower = perfect if disordered == "upper" else random[0]
    upper = perfect if disordered == "lower" else random[1]
    estimate = twist_of(stacked(lower, upper, length, periodic=True))
    assert estimate.twist_deg is None
    assert estimate.signed_deg is None
    assert estimate.reason is not None
    assert estimate.reason.startswith("upper" if disordered == "upper" else "lower")
    assert estimate.order_lower is not None
    assert estimate.order_upper is not None
    assert (estimate.order_lower < 0.2) == (disordered != "upper")
    assert (estimate.order_upper < 0.2) == (disordered != "lower")


def test_no_random_layer_out_of_300_has_a_twist() -> None:
    """Small random layers, of which a few are ordered by chance if |psi6| alone is asked."""
    rng = np.random.default_rng(7)
    perfect = crystal(BASIS, 25.0, np.zeros(2))
    for _ in range(300):
        bilayer = stacked(perfect, rng.uniform(0, 25.0, perfect.shape), 25.0, periodic=False)
        assert twist_of(bilayer).twist_deg is None


def in_stripes(turns_deg: list[float], edges: list[float], rng: np.random.Generator) -> Bilayer:
    """An upper layer of stripes across x, each turned by its angle, over a perfect lower layer; 60 angstrom square."""
    stripes = []
    for turn, low, high in zip(turns_deg, edges[:-1], edges[1:], strict=True):
        points = crystal(rotation(turn) @ BASIS, 60.0, rng.random(2))
        stripes.append(points[(points[:, 0] >= low + 0.5) & (points[:, 0] < high - 0.5)])
    return stacked(crystal(BASIS, 60.0, np.zeros(2)), np.concatenate(stripes), 60.0, periodic=True).shaken(0.05, rng)


def test_of_two_grains_the_larger_has_the_twist_with_its_share_as_confidence(rng: np.random.Generator) -> None:
    """Six tenths of the upper layer at 4 degrees, four at 24: 4 degrees, unsure, and both grains are listed."""
    estimate = twist_of(in_stripes([4.0, 24.0], [0.0, 36.0, 60.0], rng))
    assert estimate.twist_deg == pytest.approx(4.0, abs=0.1)
    assert estimate.confidence == pytest.approx(0.6, abs=0.04)
    upper = [grain for grain in estimate.grains if grain.layer == "upper"]
    assert [grain.direction_deg for grain in upper] == pytest.approx([4.0, 24.0], abs=0.3)
    assert [grain.share for grain in upper] == pytest.approx([0.6, 0.4], abs=0.05)
    assert np.array_equal(np.sort(upper[0].atoms), np.sort(estimate.upper_grain))


def test_of_three_grains_of_equal_size_none_has_the_twist(rng: np.random.Generator) -> None:
    """A third of the upper layer each at 4, 14 and 24 degrees: refused, and all three are listed."""
    estimate = twist_of(in_stripes([4.0, 14.0, 24.0], [0.0, 20.0, 40.0, 60.0], rng))
    assert estimate.twist_deg is None
    assert estimate.reason is not None
    assert estimate.reason.startswith("upper layer: it is amorphous or polycrystalline")
    upper = [grain for grain in estimate.grains if grain.layer == "upper"]
    assert sorted(grain.direction_deg for grain in upper) == pytest.approx([4.0, 14.0, 24.0], abs=0.3)


def test_a_single_layer_has_no_twist() -> None:
    """The lower layer alone."""
    bilayer = square(8.0)
    below = bilayer.types == 1
    estimate = twist_of(replace(bilayer, positions=bilayer.positions[below], types=bilayer.types[below]))
    assert estimate.reason == "no clear gap between layers: the lattice atoms form one layer"


def test_three_layers_have_no_twist() -> None:
    """A trilayer is not a bilayer."""
    bilayer = square(8.0)
    third = bilayer.positions[bilayer.types == 1] + np.array([0.0, 0.0, 13.0])
    estimate = twist_of(
        Bilayer(np.concatenate([bilayer.positions, third]), np.append(bilayer.types, np.ones(len(third))), bilayer.cell)
    )
    assert estimate.reason == "expected two layers, found 3"


@pytest.mark.parametrize("atoms", [0, 1, 5, 13])
def test_too_few_atoms_have_no_twist(atoms: int) -> None:
    """Fewer lattice atoms than two layers of the smallest commensurate cell."""
    bilayer = commensurate(2, 1)
    estimate = twist_of(replace(bilayer, positions=bilayer.positions[:atoms], types=bilayer.types[:atoms]))
    assert estimate.reason == f"expected at least 14 lattice atoms in two layers, got {atoms}"


def test_a_row_of_atoms_is_not_a_lattice() -> None:
    """Atoms of the upper layer all on one line."""
    row = np.column_stack([np.arange(20) * 3.0, np.full(20, 5.0)])
    estimate = twist_of(stacked(crystal(BASIS, 60.0, np.zeros(2)), row, 60.0, periodic=False))
    assert estimate.twist_deg is None


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_positions_that_are_not_finite_have_no_twist(broken: float) -> None:
    """One broken coordinate is enough."""
    bilayer = square(8.0)
    positions = bilayer.positions.copy()
    positions[3, 1] = broken
    estimate = twist_of(replace(bilayer, positions=positions))
    assert estimate.reason == f"1 of {len(positions)} positions are not finite"


@pytest.mark.parametrize(
    "cell",
    [
        np.zeros((3, 3)),
        np.array([[30.0, 0, 0], [60.0, 0, 0], [0, 0, 20.0]]),
        np.array([[30.0, 0, 0], [np.nan, 30.0, 0], [0, 0, 20.0]]),
        np.array([[30.0, 0, 0], [0, 1e200, 0], [0, 0, 20.0]]),
        np.array([[1e-9, 0, 0], [0, 30.0, 0], [0, 0, 20.0]]),
        np.array([[1e7, 0, 0], [0, 1e-3, 0], [0, 0, 20.0]]),
    ],
    ids=["zero", "parallel", "nan", "huge", "tiny", "sliver"],
)
def test_a_degenerate_cell_has_no_twist(cell: np.ndarray) -> None:
    """Cells without area, without numbers or far from the size of atoms."""
    estimate = twist_of(replace(commensurate(3, 2), cell=cell))
    assert estimate.twist_deg is None
    assert estimate.reason


def test_a_stacking_vector_in_the_plane_has_no_twist_where_it_is_periodic() -> None:
    """c = a, periodic: there is no up. Not periodic: c is not used."""
    bilayer = commensurate(3, 2)
    cell = bilayer.cell.copy()
    cell[2] = cell[0]
    assert twist_of(replace(bilayer, cell=cell, pbc=(True, True, True))).twist_deg is None
    assert twist_of(replace(bilayer, cell=cell)).twist_deg is not None


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-3])
def test_atoms_piled_up_are_refused_and_take_no_memory(spread: float, rng: np.random.Generator) -> None:
    """Half of 20 000 atoms in one place: a search for pairs there would take gigabytes."""
    layer = crystal(BASIS, 300.0, np.zeros(2))
    layer[: len(layer) // 2] = 150.0 + spread * rng.random((len(layer) // 2, 2))
    estimate = twist_of(stacked(crystal(BASIS, 300.0, np.zeros(2)), layer, 300.0, periodic=True))
    assert estimate.twist_deg is None
    assert estimate.reason is not None
    assert "upper layer" in estimate.reason


def test_atoms_all_in_one_place_or_far_away_are_refused() -> None:
    """Well-formed but insane frames."""
    bilayer = square(8.0)
    for positions in (bilayer.positions * 0.0, bilayer.positions * 1e7, bilayer.positions * 1e20):
        estimate = twist_of(replace(bilayer, positions=positions))
        assert estimate.twist_deg is None
        assert estimate.reason


def test_types_that_are_not_there_are_named() -> None:
    """Atomic numbers in place of types 1 and 2: the reason says what was expected and what came."""
    bilayer = square(8.0)
    estimate = twist_of(replace(bilayer, types=np.full(len(bilayer.types), 42)))
    assert estimate.reason == "no atom is of the types [1, 2]; there are [42]"


@pytest.mark.parametrize("atoms", [7, 8, 9, 10, 12, 16])
@pytest.mark.parametrize("periodic", [True, False])
def test_a_random_layer_of_a_dozen_atoms_has_no_twist(atoms: int, periodic: bool) -> None:
    """A lattice can be laid through a handful of points: that is no direction."""
    rng = np.random.default_rng(atoms)
    length = math.sqrt(atoms * abs(np.linalg.det(BASIS)))
    perfect = crystal(BASIS, 3.0 * length, np.zeros(2)) / 3.0
    for apart in (0.0, 1.9):
        for _ in range(40):
            upper = scattered(atoms, length, rng, apart=apart)
            estimate = twist_of(stacked(perfect, upper, length, periodic=periodic))
            assert estimate.twist_deg is None
            assert estimate.reason is not None
            assert estimate.reason.startswith("upper layer")


def test_atoms_in_a_clump_are_not_a_crystal() -> None:
    """Two perfect lattices of a thousandth of an angstrom: no such crystal, and neither time nor memory is spent."""
    bilayer = commensurate(3, 2)
    tiny = bilayer.positions * np.array([1e-6, 1e-6, 1.0])
    estimate = twist_of(replace(bilayer, positions=tiny))
    assert estimate.twist_deg is None
    assert estimate.reason


def test_a_nearly_square_lattice_is_refused() -> None:
    """Rows at 80 degrees are no triangular lattice under strain."""
    rhombic = 3.16 * np.array([[1.0, math.cos(math.radians(80))], [0.0, math.sin(math.radians(80))]])
    estimate = twist_of(
        stacked(crystal(BASIS, 60.0, np.zeros(2)), crystal(rhombic, 60.0, np.zeros(2)), 60.0, periodic=False)
    )
    assert estimate.twist_deg is None
