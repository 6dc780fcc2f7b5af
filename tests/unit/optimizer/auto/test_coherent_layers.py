"""Upper layers that a cell admits, against counting them one by one."""

from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest

from moireloop_optimizer.auto.coherent_layers import DISTORTION, LEAST_LOG_WEIGHT, LONGEST, SITES, CoherentUppers
from moireloop_optimizer.auto.hexagonal import SAME_DEG
from moireloop_optimizer.auto.layer_pairs import LayerPairs, Reaches
from moireloop_optimizer.auto.twist_process import Floats, mass_within
from moireloop_optimizer.sobol import sobol_points
from tests.helpers.lattice_pairs import HEXAGONAL

ANGSTROM = 3.16
SQUARED = np.array([[7, -2], [3, 6]])
"""Whole numbers of a layer whose cell has 48 sites."""


def lattice_of(cell: Floats, whole: Floats) -> Floats:
    """The layer of which the cell's vectors are whole numbers."""
    layer: Floats = np.linalg.inv(whole) @ cell
    return layer


def commensurate_deg(m: int, n: int) -> float:
    """Twist of the two undistorted layers that have the vector (m, n), and (n, m), in common.

    Source: Shallcross et al., "Electronic structure of turbostratic graphene", Physical Review B 81, 165105 (2010).
    """
    return float(np.degrees(np.arccos((m * m + 4 * m * n + n * n) / (2.0 * (m * m + m * n + n * n)))))


def rotated_cell(m: int, n: int) -> Floats:
    """The hexagonal cell of that vector, in the lattice along x: (2, 2)."""
    cell: Floats = np.array([[m, n], [-n, m + n]]) @ HEXAGONAL * ANGSTROM
    return cell


@pytest.mark.parametrize(("m", "n"), [(3, 2), (5, 3), (8, 5)])
def test_the_undistorted_layer_of_a_commensurate_cell_is_likeliest(m: int, n: int) -> None:
    """Over a layer along x no twist but 0 is as likely as the commensurate one, wherever one looks."""
    cell, lower = rotated_cell(m, n), ANGSTROM * HEXAGONAL
    admitted = CoherentUppers(cell[None], lower[None], lower[None])
    wanted_deg = commensurate_deg(m, n)
    wanted_deg = min(wanted_deg, 60.0 - wanted_deg)
    there = admitted.hits(wanted_deg, 0.1)[0]
    others = [admitted.hits(twist, 0.1)[0] for twist in np.arange(0.5, 30.0, 0.2) if abs(twist - wanted_deg) > 0.3]
    assert there > max(others)
    assert admitted.hits(0.0, 0.1)[0] >= there * 0.999


def counted(cell: Floats, lower: Floats, target_deg: float, tolerance_deg: float) -> float:
    """The probability for a lower layer that alone is known, by trying all whole numbers up to 12."""
    sites = np.linalg.det(cell) / np.linalg.det(lower)
    stretch_of = np.linalg.inv(HEXAGONAL)
    weights, hits = 0.0, 0.0
    for p, q, r, s in product(range(-12, 13), repeat=4):
        if not 0.93 * sites <= p * s - q * r <= 1.07 * sites or p * p + p * q + q * q > 100:
            continue
        layer = lattice_of(cell, np.array([[p, q], [r, s]]))
        left, (most, least), right = np.linalg.svd(stretch_of @ layer)
        rotation = left @ right
        log_weight = -0.5 * ((np.log(most / least) / DISTORTION) ** 2 + (np.log((p * s - q * r) / sites) / SITES) ** 2)
        if log_weight < LEAST_LOG_WEIGHT:
            continue
        apart_deg = np.degrees(np.arctan2(rotation[0, 1], rotation[0, 0])) - turned_by_svd(lower)
        twist_deg = abs((apart_deg + 30.0) % 60.0 - 30.0)
        weights += np.exp(log_weight)
        hits += np.exp(log_weight) * mass_within(target_deg, tolerance_deg, np.array(twist_deg), SAME_DEG)
    return float(hits / weights) * 2.0 / 3.0


def turned_by_svd(layer: Floats) -> float:
    left, _, right = np.linalg.svd(np.linalg.inv(HEXAGONAL) @ layer)
    rotation = left @ right
    return float(np.degrees(np.arctan2(rotation[0, 1], rotation[0, 0])))


def test_what_is_counted_is_all_that_there_is() -> None:
    """In a sheared cell of 48 sites; 2/3 is the share of coherent layers after one of one."""
    lower = ANGSTROM * HEXAGONAL @ np.array([[1.0, 0.0], [0.03, 1.0]])
    cell = SQUARED @ lower
    admitted = CoherentUppers(cell[None], lower[None], lower[None])
    for target_deg in (8.0, 17.0, 29.0):
        assert admitted.hits(target_deg, 1.5)[0] == pytest.approx(counted(cell, lower, target_deg, 1.5), rel=1e-6)
    assert admitted.hits(15.0, 15.0 + 1.0)[0] == pytest.approx(2.0 / 3.0)


def test_a_density_is_what_hits_add_up_to() -> None:
    """Over a window, to the width of the steps."""
    lower = ANGSTROM * HEXAGONAL
    admitted = CoherentUppers((SQUARED @ lower)[None], lower[None], lower[None])
    steps = np.arange(5.4, 11.4, 0.002)
    summed = sum(admitted.density(float(twist))[0] for twist in steps) * 0.002
    assert summed == pytest.approx(admitted.hits(8.4, 3.0)[0], rel=1e-3)
    assert summed > 0.0


def test_layers_that_are_not_coherent_make_new_ones_less_likely_so() -> None:
    """Of nine upper layers none is; and the same of nine that are."""
    lower = np.repeat(ANGSTROM * HEXAGONAL[None], 9, axis=0)
    cells = SQUARED @ lower
    turn = np.array([[np.cos(0.1), np.sin(0.1)], [-np.sin(0.1), np.cos(0.1)]])
    assert CoherentUppers(cells, lower, lower @ turn).share == pytest.approx(1.0 / 11.0)
    assert CoherentUppers(cells, lower, lower).share == pytest.approx(10.0 / 11.0)


@pytest.mark.parametrize("mismatch", [0.96, 1.04])
def test_an_upper_layer_of_another_material_is_predicted(mismatch: float) -> None:
    """With its own lattice constant: as many sites as seen, not as many as the lower layer has."""
    lowers = np.repeat(ANGSTROM * HEXAGONAL[None], 9, axis=0)
    other = mismatch * ANGSTROM * HEXAGONAL
    cell = np.array([[8, 5], [-5, 13]]) @ other
    seen = np.repeat(other[None], 9, axis=0)
    admitted = CoherentUppers(np.repeat(cell[None], 9, axis=0), lowers, seen)
    assert (admitted.hits(commensurate_deg(8, 5), 0.1) > 0.2).all()
    assert admitted.share == pytest.approx(10.0 / 11.0)


def test_one_odd_cell_neither_takes_memory_nor_stops_the_others() -> None:
    """Of 1200 runs of one cell; the odd one is nearly twice as large. Two kinds of cells alike are counted."""
    lowers = np.repeat(ANGSTROM * HEXAGONAL[None], 1200, axis=0)
    cells = np.array([[12, 0], [0, 12]]) @ lowers
    cells[7] = np.array([[22, 0], [0, 22]]) @ lowers[7]
    cells[900:] = np.array([[12, 0], [3, 12]]) @ lowers[900:]
    tracemalloc.start()
    admitted = CoherentUppers(cells, lowers, lowers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300e6
    assert admitted.share[7] == 0.0
    assert np.delete(admitted.share, 7) == pytest.approx(1200.0 / 1201.0)


@pytest.mark.parametrize("kind", ["large", "left-handed", "flat", "of another size"])
def test_what_cannot_be_counted_predicts_nothing(kind: str) -> None:
    """And leaves the others alone."""
    lower = np.repeat(ANGSTROM * HEXAGONAL[None], 3, axis=0)
    cells, uppers = SQUARED @ lower, lower.copy()
    match kind:
        case "large":
            cells[1] *= LONGEST
        case "left-handed":
            uppers[1] = uppers[1, ::-1]
        case "of another size":
            uppers[1] *= 1e-3
        case _:
            uppers[1] = 0.0
    admitted = CoherentUppers(cells, lower, uppers)
    assert admitted.share[1] == 0.0
    assert admitted.hits(8.4, 3.0)[1] == 0.0
    assert (admitted.share[[0, 2]] > 0.5).all()
    assert (admitted.hits(8.4, 3.0)[[0, 2]] > 0.0).all()


def test_a_twist_that_no_pair_makes_is_predicted_where_the_cell_admits_it() -> None:
    """Of runs that all have the same two layers: the commensurate twist is likelier than one that the cell has not."""
    points = sobol_points(12, 2, seed=1)
    lattices = np.repeat(np.stack([rotated_cell(5, 3), *[ANGSTROM * HEXAGONAL] * 2])[None], 12, axis=0)
    pairs = LayerPairs(points, np.zeros(12), lattices, Reaches((0.4, 0.4), (0.4, 0.4)))
    there, nowhere = (pairs.hits(points, twist, 0.1, points[:0]).share for twist in (commensurate_deg(5, 3), 29.0))
    assert (there > 10.0 * nowhere).all()
    assert (there > 1e-3).all()
    assert (pairs.hits(points, 15.0, 16.0, points[:0]).known < 1.0).all()
