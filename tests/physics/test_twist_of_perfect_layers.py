"""On perfect lattices the twist is right to machine precision, whatever cell, origin and order it comes in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from moireloop_analyzer.twist import measure_twist
from tests.helpers.bilayers import (
    BASIS,
    SPACING,
    Bilayer,
    commensurate,
    commensurate_twist_deg,
    crystal,
    rotation,
    square,
    stacked,
    twist_of,
)

COMMENSURATE = [(1, 0), (2, 1), (3, 1), (3, 2), (4, 1), (4, 3), (5, 2), (5, 4), (6, 5), (7, 1)]


@pytest.mark.parametrize(("m", "n"), COMMENSURATE)
def test_a_commensurate_cell_has_the_twist_of_the_law_of_cosines(m: int, n: int) -> None:
    """Periodic bilayers built by counting lattice steps, from 7 atoms a layer, have the twist of their indices."""
    bilayer = commensurate(m, n, repeats=4 if m == 1 else 1)
    assert twist_of(bilayer).twist_deg == pytest.approx(commensurate_twist_deg(m, n), abs=1e-9)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(twist=st.floats(-30, 30), turn=st.floats(0, 360))
def test_a_flake_of_any_twist_is_right_to_machine_precision(twist: float, turn: float) -> None:
    """A piece without periodic boundaries, at any twist and any orientation in its plane."""
    bilayer = square(twist, turn_deg=turn, length=30.0)
    estimate = twist_of(bilayer)
    assert estimate.twist_deg == pytest.approx(abs(twist), abs=1e-8)
    assert estimate.signed_deg is not None
    assert (estimate.signed_deg - twist + 30.0) % 60.0 - 30.0 == pytest.approx(0.0, abs=1e-8)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_orientation_origin_and_order_do_not_matter(seed: int) -> None:
    """A cell turned in space, atoms moved over the periodic boundary and shuffled: the same twist and sense."""
    rng = np.random.default_rng(seed)
    turned = commensurate(3, 2).moved(np.append(rng.uniform(-50, 50, 2), 0.0)).shuffled(rng)
    turned = turned.deformed(Rotation.random(random_state=seed).as_matrix())
    estimate = twist_of(turned)
    assert estimate.signed_deg == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-8)
    assert set(turned.types[estimate.lower_atoms]) == {1}
    assert set(turned.types[estimate.upper_atoms]) == {2}


def test_the_sign_is_positive_where_the_upper_layer_is_turned_counter_clockwise() -> None:
    """The sense as seen from above, for a turn less than 30 degrees and for one that folds."""
    assert twist_of(square(11.0)).signed_deg == pytest.approx(11.0)
    assert twist_of(square(-11.0)).signed_deg == pytest.approx(-11.0)
    assert twist_of(square(41.0)).signed_deg == pytest.approx(-19.0)


def test_a_simple_shear_of_5_5_percent_turns_a_lattice_by_minus_1_58_degrees() -> None:
    """x' = x + 0.055 y has the rotation atan(-0.055 / 2); its row along x does not turn."""
    bilayer = square(0.0)
    sheared = bilayer.positions.copy()
    upper = bilayer.types == 2
    sheared[upper, 0] += 0.055 * sheared[upper, 1]
    estimate = twist_of(Bilayer(sheared, bilayer.types, bilayer.cell, bilayer.pbc))
    assert estimate.signed_deg == pytest.approx(math.degrees(math.atan2(-0.055, 2.0)), abs=1e-9)
    assert estimate.signed_deg == pytest.approx(-1.58, abs=0.01)


def test_shear_of_the_whole_cell_turns_both_layers_by_their_polar_rotation() -> None:
    """A strained and sheared cell: the difference of the polar rotations of both lattices, computed by SVD."""
    matrix = np.eye(3)
    matrix[:2, :2] = [[1.04, 0.06], [0.0, 0.99]]
    estimate = twist_of(commensurate(3, 2, repeats=2).deformed(matrix))
    angles = []
    for turn in (0.0, commensurate_twist_deg(3, 2)):
        u, _, vt = np.linalg.svd(matrix[:2, :2] @ rotation(turn))
        angles.append(math.degrees(math.atan2((u @ vt)[1, 0], (u @ vt)[0, 0])))
    assert estimate.signed_deg == pytest.approx(angles[1] - angles[0], abs=1e-9)


def test_lattice_constant_and_strain_are_those_of_the_deformation() -> None:
    """A stretch along x by 2 % and y by -1 %: constant sqrt(1.02 * 0.99) a, and the strain about that."""
    matrix = np.diag([1.02, 0.99, 1.0])
    estimate = twist_of(commensurate(0, 1, repeats=6).deformed(matrix))
    mean = math.sqrt(1.02 * 0.99)
    assert estimate.lattice_lower_angstrom == pytest.approx(SPACING * mean, abs=1e-9)
    assert estimate.strain_upper == pytest.approx(np.diag([1.02, 0.99]) / mean - np.eye(2), abs=1e-9)


def test_layers_that_wrap_through_a_periodic_box_are_found() -> None:
    """Any shift along a tilted stacking direction leaves the twist, its sense and the layers as they are."""
    bilayer = commensurate(3, 2, repeats=2)
    cell = bilayer.cell.copy()
    cell[2] = [5.0, -3.0, 22.0]
    whole = Bilayer(bilayer.positions, bilayer.types, cell, (True, True, True))
    for shift in np.linspace(0.0, 22.0, 12):
        estimate = twist_of(whole.moved(np.array([1.0, 2.0, shift])))
        assert estimate.signed_deg == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-8), shift


def test_single_precision_positions_cost_less_than_a_millionth_of_a_degree_a_layer() -> None:
    """Frames travel as float32; where the lattice closes over the boundary the cell gives the direction."""
    bilayer = commensurate(5, 4, repeats=2)
    rounded = Bilayer(bilayer.positions.astype(np.float32), bilayer.types, bilayer.cell)
    assert twist_of(rounded).twist_deg == pytest.approx(commensurate_twist_deg(5, 4), abs=1e-6)


def test_metal_atoms_alone_carry_the_twist() -> None:
    """Chalcogen atoms between and above the metal planes change nothing, and indices count all atoms."""
    beads = commensurate(3, 2, repeats=2)
    sulfur = np.concatenate([beads.positions + np.array([1.0, 0.6, rise]) for rise in (1.56, -1.56)])
    positions = np.concatenate([sulfur, beads.positions])
    types = np.repeat([2, 1], [len(sulfur), len(beads.positions)])
    estimate = measure_twist(positions, types, beads.cell)
    assert estimate.twist_deg == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-9)
    assert set(types[estimate.lower_atoms]) == {1}


def test_a_heterobilayer_shows_both_lattice_constants() -> None:
    """Lattices of 3.16 and 3.30 angstrom, twisted by 7 degrees, in a flake."""
    upper = crystal(rotation(7.0) @ BASIS * 3.30 / SPACING, 60.0, np.zeros(2))
    estimate = twist_of(stacked(crystal(BASIS, 60.0, np.zeros(2)), upper, 60.0, periodic=False))
    assert estimate.twist_deg == pytest.approx(7.0, abs=1e-8)
    assert estimate.lattice_lower_angstrom == pytest.approx(3.16, abs=1e-9)
    assert estimate.lattice_upper_angstrom == pytest.approx(3.30, abs=1e-9)
