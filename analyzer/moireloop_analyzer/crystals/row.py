"""The direction of a layer's rows of atoms: Algorithm 1 of the paper, from many starting atoms (pure).

From an atom the row is followed neighbour by neighbour; where the next atom is missing, a ghost stands in for it, moved
on by the same step, and the row continues behind it. A straight line through the atoms of the row has its direction.
The paper starts at one atom and takes the smallest polar angle among its neighbours; here every row starts along the
lattice direction nearest to the cell's vector a, in each layer, and the median of many rows is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.crystals.crystal import Crystal
from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.refusal import Refusal

STARTS: Final = 500

STEPS: Final = 20
"""Steps along a row, as many as the peer takes."""

ATOMS_PER_ROW: Final = 7.0
"""Atoms of a layer per row that counts as independent."""

FEWEST_IN_A_ROW: Final = 6

MOST_GHOSTS: Final = 3

CAUGHT: Final = 0.4
"""An atom so near to where the row expects one, in lattice constants, is of the row."""

MEDIAN_ERROR: Final = math.sqrt(math.pi / 2.0)
"""Standard error of the median of normal values, in units of the standard error of their mean."""

MAD_TO_SIGMA: Final = 1.4826


@dataclass(frozen=True)
class RowFit:
    """Direction of the rows nearest to the cell's vector a, in radians, and its standard error."""

    angle_rad: float
    sigma_rad: float


def row_of(crystal: Crystal, box: Box) -> RowFit | Refusal:
    """The rows of a layer's largest grain, none of which crosses a seam.

    The error is from the scatter of the rows, which share atoms: as many count as independent as scatter like that in
    flakes of known twist. Where a layer closes over its cell the rows are surer than this. Refused where no row has six
    atoms.
    """
    fit, bonds = crystal.fit, crystal.bonds
    first, second = fit.vectors.T
    along = min((first, second, second - first), key=lambda step: abs(_slope_rad(step)))
    in_grain = np.zeros(len(bonds.points), dtype=np.bool_)
    in_grain[fit.atoms] = True
    bins = bonds.bins
    angles = _angles(
        bonds.points,
        in_grain,
        np.ascontiguousarray(fit.atoms[:: 1 + (len(fit.atoms) - 1) // STARTS]),
        bins.starts,
        bins.grid,
        bins.frame,
        box.plane,
        fit.grains.wrapped,
        fit.grains.basis,
        (fit.closed[0] or not box.periodic[0], fit.closed[1] or not box.periodic[1]),
        np.ascontiguousarray(along if along[0] >= 0 else -along),
        (CAUGHT * fit.constant_angstrom) ** 2,
    )
    if not len(angles):
        return Refusal("it has no row of six atoms")
    angle = _median(angles)
    scatter = MAD_TO_SIGMA * _median(np.abs(angles - angle))
    independent = max(1.0, min(float(len(angles)), len(fit.atoms) / ATOMS_PER_ROW))
    return RowFit(angle, MEDIAN_ERROR * scatter / math.sqrt(independent))


def _slope_rad(step: Floats) -> float:
    """Angle of a line along this step with the x axis, in (-pi / 2, pi / 2]."""
    angle = math.atan2(float(step[1]), float(step[0]))
    return angle - math.pi * round(angle / math.pi)


@compiled
def _angles(
    points: Floats,
    in_grain: npt.NDArray[np.bool_],
    begins: Ints,
    starts: Ints,
    grid: Ints,
    frame: Floats,
    plane: Floats,
    wrapped: Ints,
    basis: Ints,
    closed: tuple[bool, bool],
    along: Floats,
    caught2: float,
) -> Floats:
    """Direction (M,) of the line through each row that has atoms enough."""
    angles = np.empty(len(begins))
    found = 0
    for begin in begins:
        x, y = points[begin, 0], points[begin, 1]
        rx = ry = 0.0
        atoms, ghosts = 1, 0
        sx = sy = sxx = sxy = syy = 0.0
        for _ in range(STEPS):
            rx += along[0]
            ry += along[1]
            row = int(np.floor(((x + rx) * frame[4] + (y + ry) * frame[6] - frame[0]) * frame[2]))
            column = int(np.floor(((x + rx) * frame[5] + (y + ry) * frame[7] - frame[1]) * frame[3]))
            best2 = caught2
            bx = by = 0.0
            for r in range(row - 1, row + 2):
                cell_a = r // grid[0]
                if cell_a != 0 and grid[6] == 0:
                    continue
                for c in range(column - 1, column + 2):
                    cell_b = c // grid[1]
                    if cell_b != 0 and grid[7] == 0:
                        continue
                    move_x = cell_a * plane[0, 0] + cell_b * plane[1, 0] - x
                    move_y = cell_a * plane[0, 1] + cell_b * plane[1, 1] - y
                    place = (r - cell_a * grid[0]) * grid[1] + c - cell_b * grid[1]
                    for j in range(starts[place], starts[place + 1]):
                        dx = points[j, 0] + move_x
                        dy = points[j, 1] + move_y
                        d2 = (dx - rx) ** 2 + (dy - ry) ** 2
                        if d2 >= best2 or not in_grain[j]:
                            continue
                        cut_a = basis[0, 0] * cell_a + basis[0, 1] * cell_b - wrapped[j, 0] + wrapped[begin, 0]
                        cut_b = basis[1, 0] * cell_a + basis[1, 1] * cell_b - wrapped[j, 1] + wrapped[begin, 1]
                        if (cut_a == 0 or closed[0]) and (cut_b == 0 or closed[1]):
                            best2, bx, by = d2, dx, dy
            if best2 < caught2:
                rx, ry = bx, by
                atoms += 1
                ghosts = 0
                sx += rx
                sy += ry
                sxx += rx * rx
                sxy += rx * ry
                syy += ry * ry
            else:
                ghosts += 1
                if ghosts > MOST_GHOSTS:
                    break
        if atoms >= FEWEST_IN_A_ROW:
            xx, xy, yy = sxx - sx * sx / atoms, sxy - sx * sy / atoms, syy - sy * sy / atoms
            angles[found] = 0.5 * np.arctan2(2.0 * xy, xx - yy)
            found += 1
    return angles[:found]


def _median(values: Floats) -> float:
    """Upper median; numpy's own takes longer than all else for small layers."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])
