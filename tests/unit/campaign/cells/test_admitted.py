"""Twists that a periodic cell admits, against the literature and against the bead model's grid of runs."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow.parquet
import pytest

from bench.grid import GRID_FILE, LEVELS
from moireloop.cells.admitted import Floats, admitted_twists, nearest_twists
from moireloop.cells.reach import space_twists
from moireloop_broker.contract.search import SearchSpace
from moireloop_worker.models.crystal import Crystal
from tests.helpers.lattice_pairs import HEXAGONAL

ANGSTROM = 3.16
GRID = SearchSpace({name: [float(levels[0]), float(levels[-1])] for name, levels in LEVELS.items()})
TOLERANCE_DEG = 0.1


def rotated_cell(m: int, n: int) -> Floats:
    """The hexagonal cell of the vector (m, n) of a lattice along x."""
    cell: Floats = np.array([[m, n], [-n, m + n]]) @ HEXAGONAL * ANGSTROM
    return cell


@cache
def found_deg() -> Floats:
    """Twists of all runs of the grid that have one."""
    twists = pyarrow.parquet.read_table(GRID_FILE)["twist_deg"].to_numpy()
    found: Floats = twists[np.isfinite(twists)]
    return found


@pytest.mark.parametrize(
    ("m", "n", "twist_deg"), [(1, 2, 21.787), (2, 3, 13.174), (3, 4, 9.430), (1, 3, 27.796), (5, 6, 6.009)]
)
def test_commensurate_bilayers_of_the_literature(m: int, n: int, twist_deg: float) -> None:
    """Rigid layers; of these cells only the one of 91 sites, 7 x 13, has further twists.

    Source of the angles: the formula of Shallcross et al., Physical Review B 81, 165105 (2010).
    """
    found = admitted_twists(rotated_cell(m, n), ANGSTROM, largest_strain=1e-6)
    assert any(each.twist_deg == pytest.approx(twist_deg, abs=1e-3) for each in found)
    assert len(found) == 2 or m * m + m * n + n * n == 91
    assert max(each.strain for each in found) < 1e-9


def test_layers_of_two_lattices() -> None:
    """Graphene's 4 x 4 on MoS2's 3 x 3 costs some 3 % and is admitted untwisted; at 1 % nothing is."""
    cell = 3 * 3.16 * HEXAGONAL
    assert admitted_twists(cell, 3.16, 2.46, largest_strain=0.04)[0].twist_deg == pytest.approx(0.0)
    assert admitted_twists(cell, 3.16, 2.46, largest_strain=0.01) == ()


def test_of_each_twist_the_whole_numbers_make_it() -> None:
    """The cell's vectors over the whole numbers are lattices whose angle and strain are the ones given."""
    crystal = Crystal((12, 12), ANGSTROM)
    cells = np.array([crystal.cell_angstrom({"shear_strain": shear}) for shear in (0.06, 0.12, 0.2)])
    found = admitted_twists(cells, ANGSTROM, lower_sites=144)
    assert len(found) > 10
    for each in found:
        turned, strains = [], []
        for whole in (each.lower, each.upper):
            from_regular = np.linalg.inv(HEXAGONAL * ANGSTROM) @ np.linalg.inv(np.array(whole)) @ cells[each.place]
            left, stretches, right = np.linalg.svd(from_regular)
            rotation = left @ right
            turned.append(np.degrees(np.arctan2(rotation[0, 1], rotation[0, 0])))
            strains.append(np.abs(stretches - 1.0).max())
        assert abs((turned[1] - turned[0] + 30.0) % 60.0 - 30.0) == pytest.approx(each.twist_deg, abs=1e-6)
        assert max(strains) == pytest.approx(each.strain, abs=1e-9)
        assert round(np.linalg.det(each.lower)) == 144


def test_found_twists_are_predicted_and_predicted_ones_found() -> None:
    """2918 runs of the grid. By chance a fifth of the found would be near one of the 58 that are predicted."""
    admitted_deg = np.array([each.twist_deg for each in space_twists(Crystal((12, 12), ANGSTROM), GRID)])
    near = np.abs(found_deg()[:, None] - admitted_deg) <= TOLERANCE_DEG
    assert len(admitted_deg) == 58
    assert near.any(axis=1).mean() > 0.88
    assert near.any(axis=0).mean() > 0.95


def test_what_is_out_of_reach_is_never_found() -> None:
    """Runs near 8.5 degrees are far rarer than those near a coherent twist that costs little."""
    admitted = space_twists(Crystal((12, 12), ANGSTROM), GRID)
    below, above = nearest_twists(admitted, 8.5)
    assert (below.twist_deg, above.twist_deg) == pytest.approx((8.383, 9.753), abs=0.01)
    at_target, at_coherent = ((np.abs(found_deg() - twist_deg) <= TOLERANCE_DEG).mean() for twist_deg in (8.5, 8.27))
    assert at_target < 0.2 * at_coherent


def test_nearest_twists_at_the_ends() -> None:
    """There is none below 0 and none above 30."""
    admitted = admitted_twists(rotated_cell(1, 2), ANGSTROM, largest_strain=1e-6)
    assert [each.twist_deg for each in nearest_twists(admitted, 29.0)] == pytest.approx([21.787], abs=1e-3)
    assert nearest_twists((), 8.5) == ()


@pytest.mark.parametrize(
    ("cells", "lattice", "options", "said"),
    [
        (np.zeros((3, 3)), 3.16, {}, r"of shape \(2, 2\) or \(N, 2, 2\), got \(1, 3, 3\)"),
        (np.eye(2) * np.nan, 3.16, {}, "finite vectors, b to the left of a"),
        ([[10.0, 0.0], [0.0, -10.0]], 3.16, {}, "finite vectors, b to the left of a"),
        (np.eye(2) * 10.0, 0.0, {}, "lattice constants above 0"),
        (np.eye(2) * 10.0, [3.16, 3.16], {}, "or one for each of 1 cells"),
        (np.eye(2) * 1000.0, 3.16, {}, "at most 60 lattice constants, got 316.5"),
        (np.eye(2) * 10.0, 3.16, {"largest_strain": 0.0}, "above 0 and at most 0.1, got 0.0"),
    ],
)
def test_invalid_cell_is_refused(cells: Floats, lattice: float, options: dict[str, float], said: str) -> None:
    """Each with the reason."""
    with pytest.raises(ValueError, match=said):
        admitted_twists(cells, lattice, **options)  # type: ignore[arg-type]
