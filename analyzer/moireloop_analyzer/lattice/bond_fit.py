"""The lattice that the bonds of a layer follow, by reweighted least squares over six directions (pure)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.geometry.median import median_of
from moireloop_analyzer.lattice.position_fit import RAYLEIGH_MEDIAN, TUKEY

MAX_STRETCH: Final = 0.35
"""A bond or an atom further than this from its lattice site, in spacings, is not of this lattice."""

SAMPLED_ATOMS: Final = 300

ROUNDS: Final = 10

TOLERANCE: Final = 1e-4


@compiled
def fit_bonds(
    points: Floats,
    table: Ints,
    codes: Ints,
    counts: Ints,
    moves: Floats,
    member: npt.NDArray[np.bool_],
    angle_rad: float,
    spacing: float,
) -> tuple[Floats, float]:
    """The lattice that the bonds between the atoms in the mask `member` (N,) follow.

    The search starts at this angle, in radians modulo 60 degrees; of a large layer some hundred atoms are asked. All
    but that are the parts of `Bonds`.

    Returns:
        The lattice vectors (2, 2) as columns, in angstrom, NaN where the bonds follow no triangular lattice, and the
        robust standard deviation of one component of a bond about its lattice step.
    """
    step = 1 + (len(points) - 1) // SAMPLED_ATOMS
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
    steps = np.empty((total, 4))
    lengths2, sorted2 = np.empty(total), np.empty(total)
    cosine, sine, half_root = spacing * math.cos(angle_rad), spacing * math.sin(angle_rad), 0.5 * math.sqrt(3.0)
    xx, xy = cosine, 0.5 * cosine - half_root * sine
    yx, yy = sine, 0.5 * sine + half_root * cosine
    vectors = np.full((2, 2), np.nan)
    scale = 0.0
    for _ in range(ROUNDS):
        determinant = xx * yy - xy * yx
        if not determinant > 0.1 * spacing * spacing:
            return vectors, 0.0
        found = 0
        for b in range(total):
            x, y = bonds[b, 0], bonds[b, 1]
            m = np.rint((yy * x - xy * y) / determinant)
            n = np.rint((xx * y - yx * x) / determinant)
            ex, ey = x - xx * m - xy * n, y - yx * m - yy * n
            misfit2 = ex * ex + ey * ey
            steps[found, 0], steps[found, 1], steps[found, 2], steps[found, 3] = m, n, x, y
            lengths2[found] = sorted2[found] = misfit2
            found += (m * m + m * n + n * n == 1.0) & (misfit2 <= (MAX_STRETCH * spacing) ** 2)
        if found == 0:
            return vectors, 0.0
        scale = math.sqrt(median_of(sorted2, found)) / RAYLEIGH_MEDIAN
        reach2 = (TUKEY * max(scale, 1e-9 * spacing)) ** 2
        mm = mn = nn = mx = my = nx = ny = 0.0
        for f in range(found):
            weight = max(0.0, 1.0 - lengths2[f] / reach2) ** 2
            m, n, x, y = steps[f, 0], steps[f, 1], steps[f, 2], steps[f, 3]
            mm += weight * m * m
            mn += weight * m * n
            nn += weight * n * n
            mx += weight * m * x
            my += weight * m * y
            nx += weight * n * x
            ny += weight * n * y
        moment = mm * nn - mn * mn
        if not moment > 1e-6 * max(1.0, mm + nn) ** 2:
            return vectors, 0.0
        before_xx, before_xy, before_yx, before_yy = xx, xy, yx, yy
        xx, xy = (nn * mx - mn * nx) / moment, (mm * nx - mn * mx) / moment
        yx, yy = (nn * my - mn * ny) / moment, (mm * ny - mn * my) / moment
        change = max(abs(xx - before_xx), abs(xy - before_xy), abs(yx - before_yx), abs(yy - before_yy))
        if change <= TOLERANCE * spacing:
            break
    if 0.3 * spacing**2 < xx * yy - xy * yx < 2.0 * spacing**2:
        vectors[0, 0], vectors[0, 1], vectors[1, 0], vectors[1, 1] = xx, xy, yx, yy
    return vectors, scale
