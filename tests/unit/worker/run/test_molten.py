"""The order by which a prepared layer counts as molten."""

from __future__ import annotations

import math

import numpy as np
import pytest

from moireloop_analyzer.geometry.box import Box, box_of
from moireloop_analyzer.layers.neighbours import Bonds, bonds_of
from moireloop_analyzer.layers.order import orders
from moireloop_worker.models.growth_model import Configuration, Molten
from moireloop_worker.run.molten import NotMolten, hexatic_order, refuse_crystal

CELL = np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)]]) * 3.16


def lattice(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (cells^2, 2) of a triangular lattice and its periodic cell."""
    rows, columns = np.indices((cells, cells)).reshape(2, -1, 1)
    return rows * CELL[0] + columns * CELL[1], CELL * cells


def test_lattice_has_full_order() -> None:
    """A perfect triangular lattice has 1, however it is turned and wherever its cell begins."""
    places, cell = lattice(6)
    turn = np.array([[math.cos(0.3), math.sin(0.3)], [-math.sin(0.3), math.cos(0.3)]])
    assert hexatic_order(places @ turn + 50.0, cell @ turn) == pytest.approx(1.0, abs=1e-12)


def test_disorder_has_none() -> None:
    """Places at random have about 1 / sqrt(n)."""
    cell = CELL * 30
    orders = [hexatic_order(np.random.default_rng(n).random((900, 2)) @ cell, cell) for n in range(10)]
    assert max(orders) < 0.1


def test_agrees_with_the_analyzers_order() -> None:
    """On a warm lattice, where neighbours are not in doubt, both ways of counting neighbours agree."""
    places, cell = lattice(8)
    warm = places + np.random.default_rng(3).normal(scale=0.15, size=places.shape)
    spanned = np.diag([1.0, 1.0, 20.0])
    spanned[:2, :2] = cell
    box = box_of(spanned, (True, True, False))
    assert isinstance(box, Box)
    inside = warm - np.floor(warm @ box.inverse) @ box.plane
    bonds = bonds_of(inside, box)
    assert isinstance(bonds, Bonds)
    *_, layer = orders(bonds.points, bonds.table, bonds.codes, bonds.counts, bonds.bins.moves)
    assert hexatic_order(warm, cell) == pytest.approx(layer, abs=0.03)


def test_few_atoms_have_no_order() -> None:
    """Six atoms have no six neighbours; nor has an empty layer."""
    assert hexatic_order(np.zeros((6, 2)), CELL) == 0.0
    assert hexatic_order(np.zeros((0, 2)), CELL) == 0.0


def test_crystal_is_refused_with_what_to_do() -> None:
    """A layer that is too ordered is refused; the other layer does not count."""
    places, cell = lattice(6)
    melt = np.random.default_rng(1).random((36, 2)) @ cell
    positions = np.c_[np.r_[places, melt], np.zeros(72)].astype(np.float32)
    box = np.diag([1.0, 1.0, 20.0])
    box[:2, :2] = cell
    types = np.repeat(np.array([1, 3], dtype=np.uint8), 36)
    snapshot = Configuration(10, 0.1, 300.0, box, positions, types)
    refuse_crystal(snapshot, Molten(3, 0.4, 10))
    with pytest.raises(
        NotMolten, match=r"expected a molten upper layer of \|psi6\| at most 0.4 .* got 1.00; melt it hotter"
    ):
        refuse_crystal(snapshot, Molten(1, 0.4, 10))
