"""Bonds under periodic boundaries, against a brute force over all images."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moireloop_analyzer.geometry.box import Box, Floats, box_of
from moireloop_analyzer.layers.neighbours import FIRST_SHELL, MOST_NEIGHBOURS, SEARCHED, SHORTEST, Bonds, bonds_of
from moireloop_analyzer.refusal import Refusal


def boxed(plane: Floats, periodic: tuple[bool, bool]) -> Box:
    """The box of a cell with these rows a and b; a along x."""
    cell = np.diag([1.0, 1.0, 20.0])
    cell[:2, :2] = plane
    box = box_of(cell, (*periodic, False))
    assert isinstance(box, Box)
    return box


def by_brute_force(points: Floats, plane: Floats, periodic: tuple[bool, bool], longest: float) -> list[list[float]]:
    """For each point the sorted distances to all others and images within reach, over six cells each way."""
    steps = [range(-6, 7) if wraps else range(1) for wraps in periodic]
    moves = np.array(list(itertools.product(*steps))) @ plane
    found = []
    for point in points:
        distances = np.linalg.norm(points[None] + moves[:, None] - point, axis=2).ravel()
        found.append(sorted(distances[(distances > 1e-9) & (distances <= longest)].tolist()))
    return found


def lengths_of(bonds: Bonds) -> dict[int, list[float]]:
    """For each atom of the layer the sorted lengths of its bonds, from the table and the images."""
    found = {}
    for place, atom in enumerate(bonds.atoms.tolist()):
        count = int(bonds.counts[place])
        there = bonds.points[bonds.table[place, :count]] + bonds.bins.moves[bonds.codes[place, :count]]
        found[atom] = sorted(np.linalg.norm(there - bonds.points[place], axis=1).tolist())
    return found


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cells=st.integers(1, 6),
    periodic=st.tuples(st.booleans(), st.booleans()),
    tilt=st.floats(-0.8, 0.8),
)
def test_bonds_are_those_of_a_brute_force(seed: int, cells: int, periodic: tuple[bool, bool], tilt: float) -> None:
    """Noisy lattices in tilted cells, down to cells thinner than a bond, in any periodicity."""
    rng = np.random.default_rng(seed)
    plane = cells * np.array([[3.2, 0.0], [3.2 * tilt, 2.9]])
    sites = np.array(list(itertools.product(range(cells), repeat=2))) / cells
    points = ((sites + 0.1 / cells * rng.random((len(sites), 2))) % 1.0) @ plane
    bonds = bonds_of(points, boxed(plane, periodic))
    assert isinstance(bonds, Bonds)
    area = abs(np.linalg.det(plane)) if all(periodic) else 0.0
    radius = SEARCHED * math.sqrt(2.0 * area / (math.sqrt(3.0) * len(points))) if area else math.inf
    longest = min(FIRST_SHELL * bonds.spacing, radius)
    expected = by_brute_force(points, plane, periodic, longest)
    found = lengths_of(bonds)
    for atom, lengths in enumerate(expected):
        if math.isfinite(radius) or len(found[atom]) == len(lengths[:MOST_NEIGHBOURS]):
            kept = [length for length in lengths if length > SHORTEST * bonds.spacing][:MOST_NEIGHBOURS]
            assert found[atom] == pytest.approx(kept, abs=1e-9)


def test_images_say_by_which_cells_a_neighbour_is_moved() -> None:
    """moves = images @ plane, and every atom of a perfect lattice has six neighbours at its spacing."""
    plane = 5.0 * np.array([[3.16, 0.0], [1.58, 3.16 * math.sqrt(0.75)]])
    sites = np.array(list(itertools.product(range(5), repeat=2))) / 5.0
    bonds = bonds_of(sites @ plane, boxed(plane, (True, True)))
    assert isinstance(bonds, Bonds)
    assert np.allclose(bonds.bins.images @ plane, bonds.bins.moves)
    assert bonds.counts.tolist() == [6] * 25
    assert all(np.allclose(lengths, 3.16) for lengths in lengths_of(bonds).values())


@pytest.mark.parametrize(
    ("points", "plane", "reason"),
    [
        (np.full((100, 2), 1.0), np.eye(2) * 50.0, "100 atoms lie within a square of"),
        (np.random.default_rng(0).random((20, 2)) * [1e-4, 50.0], np.diag([1e-4, 50.0]), "the cell is far thinner"),
    ],
    ids=["piled up", "thin cell"],
)
def test_a_search_without_bound_is_refused(points: Floats, plane: Floats, reason: str) -> None:
    """The reason is given before the search is tried."""
    bonds = bonds_of(points, boxed(plane, (True, True)))
    assert isinstance(bonds, Refusal)
    assert bonds.reason.startswith(reason)
