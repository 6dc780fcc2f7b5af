"""The lattice that the bonds of a layer follow, by reweighted least squares over six directions (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.box import Floats
from moireloop_analyzer.compiled import compiled
from moireloop_analyzer.neighbours import Bonds, Ints
from moireloop_analyzer.position_fit import RAYLEIGH_MEDIAN, TUKEY
from moireloop_analyzer.refusal import Refusal

IDEAL: Final[Floats] = np.array([[1.0, 0.5], [0.0, math.sqrt(3.0) / 2.0]])
"""Columns: the lattice vectors of the triangular lattice of constant 1 with a row along x."""

MAX_STRETCH: Final = 0.35
"""A bond or an atom further than this from its lattice site, in spacings, is not of this lattice."""

SAMPLED_ATOMS: Final = 300
ROUNDS: Final = 10
TOLERANCE: Final = 1e-4


@dataclass(frozen=True)
class BondFit:
    """The lattice that a layer's bonds follow: `vectors` (2, 2) as columns, in angstrom.

    `scale` is the robust standard deviation of one component of a bond about its lattice step, in angstrom.
    """

    vectors: Floats
    scale: float


def fit_bonds(bonds: Bonds, angle_rad: float, member: npt.NDArray[np.bool_]) -> BondFit | Refusal:
    """Lattice vectors that map the six unit steps to the bonds between the atoms in the mask `member` (N,).

    The search starts at this angle, in radians modulo 60 degrees; of a large layer some hundred atoms are asked.
    """
    if not bonds.spacing > 0:
        return Refusal("no bonds between its atoms")
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    start = bonds.spacing * np.array([[c, -s], [s, c]]) @ IDEAL
    step = 1 + (len(bonds.points) - 1) // SAMPLED_ATOMS
    vectors, scale = _bond_fit(
        bonds.points, bonds.table, bonds.codes, bonds.counts, bonds.bins.moves, member, start, bonds.spacing, step
    )
    if (
        not 0.3 * bonds.spacing**2
        < (vectors[0, 0] * vectors[1, 1] - vectors[0, 1] * vectors[1, 0])
        < 2.0 * bonds.spacing**2
    ):
        return Refusal("its bonds do not follow the directions of a triangular lattice")
    return BondFit(vectors, scale)


@compiled
def _bond_fit(
    points: Floats,
    table: Ints,
    codes: Ints,
    counts: Ints,
    moves: Floats,
    member: npt.NDArray[np.bool_],
    start: Floats,
    spacing: float,
    step: int,
) -> tuple[Floats, float]:
    """Lattice vectors (2, 2) as columns, NaN where the bonds have no such directions, and the scatter of the bonds."""
    sampled = (len(points) + step - 1) // step
    bonds = np.empty((sampled * table.shape[1], 2))
    total = 0
    for i in range(0, len(points), step):
        if member[i]:
            for k in range(counts[i]):
                j, code = table[i, k], codes[i, k]
                if member[j] and (j >= i or step > 1):
                    bonds[total, 0] = points[j, 0] + moves[code, 0] - points[i, 0]
                    bonds[total, 1] = points[j, 1] + moves[code, 1] - points[i, 1]
                    total += 1
    misfits = np.empty((total, 3))
    lengths2 = np.empty(total)
    vectors = start.copy()
    nothing = np.full((2, 2), np.nan)
    scale = 0.0
    for _ in range(ROUNDS):
        xx, xy, yx, yy = vectors[0, 0], vectors[0, 1], vectors[1, 0], vectors[1, 1]
        determinant = xx * yy - xy * yx
        if not determinant > 0.1 * spacing * spacing:
            return nothing, 0.0
        found = 0
        for b in range(total):
            x, y = bonds[b, 0], bonds[b, 1]
            m = np.rint((yy * x - xy * y) / determinant)
            n = np.rint((xx * y - yx * x) / determinant)
            ex, ey = x - xx * m - xy * n, y - yx * m - yy * n
            misfit2 = ex * ex + ey * ey
            if m * m + m * n + n * n == 1.0 and misfit2 <= (MAX_STRETCH * spacing) ** 2:
                misfits[found, 0], misfits[found, 1], misfits[found, 2] = b, m, n
                lengths2[found] = misfit2
                found += 1
        if found == 0:
            return nothing, 0.0
        scale = np.sqrt(np.median(lengths2[:found])) / RAYLEIGH_MEDIAN
        reach2 = (TUKEY * max(scale, 1e-9 * spacing)) ** 2
        mm = mn = nn = mx = my = nx = ny = 0.0
        for f in range(found):
            weight = max(0.0, 1.0 - lengths2[f] / reach2) ** 2
            b, m, n = int(misfits[f, 0]), misfits[f, 1], misfits[f, 2]
            mm += weight * m * m
            mn += weight * m * n
            nn += weight * n * n
            mx += weight * m * bonds[b, 0]
            my += weight * m * bonds[b, 1]
            nx += weight * n * bonds[b, 0]
            ny += weight * n * bonds[b, 1]
        moment = mm * nn - mn * mn
        if not moment > 1e-6 * max(1.0, mm + nn) ** 2:
            return nothing, 0.0
        change = 0.0
        new = np.array([[nn * mx - mn * nx, mm * nx - mn * mx], [nn * my - mn * ny, mm * ny - mn * my]]) / moment
        for r in range(2):
            for c in range(2):
                change = max(change, abs(new[r, c] - vectors[r, c]))
        vectors = new
        if change <= TOLERANCE * spacing:
            break
    return vectors, scale
