"""A robust fit of a lattice to positions over lattice indices, with its covariance (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.geometry.median import median_of

RAYLEIGH_MEDIAN: Final = math.sqrt(2.0 * math.log(2.0))
"""Median length of a plane vector with normal components of standard deviation 1."""

TUKEY: Final = 4.685
"""Tuning constant of Tukey's biweight (95 % efficiency for normal residuals)."""

SAMPLED_ATOMS: Final = 300

ROUNDS: Final = 10

TOLERANCE: Final = 1e-5

LEAST_WEIGHT: Final = 4.0
"""Smallest sum of the atoms' weights; below it, three parameters per coordinate fit anything."""

PATCHES: Final = 4

LONG_WAVES: Final = 8.0

BY_CHANCE: Final = 1.25


@dataclass(frozen=True)
class PositionFit:
    """Lattice and origin as `solution` (3, 2): places = [indices, 1] @ solution, in angstrom.

    The origin belongs to indices shifted by an integer. `normal` (3, 3) and `right` (3, 2) are the normal equations at
    the last weights. `errors` (4, 4) is the covariance of the lattice vectors in the order x1, x2, y1, y2. `excess` is
    by how much patches of neighbours deviate more than independent atoms would, beyond chance; 0 for independent ones.
    """

    solution: Floats
    normal: Floats
    right: Floats
    errors: Floats
    excess: float


def fitted_with(fit: PositionFit, laps: Floats, cells: Floats) -> Floats:
    """The solution (3, 2) under the constraints laps @ solution[:2] = cells; laps (K, 2), cells (K, 2), K of 1 or 2."""
    if len(laps) == 2:
        return _fit_of_origin(fit, laps, cells)
    size = 3 + len(laps)
    system, given = np.zeros((size, size)), np.empty((size, 2))
    weight = fit.normal[2, 2]
    system[:3, :3], given[:3] = fit.normal / weight, fit.right / weight
    system[3:, :2], system[:2, 3:], given[3:] = laps, laps.T, cells
    solution: Floats = np.linalg.solve(system, given)[:3]
    return solution


def _fit_of_origin(fit: PositionFit, laps: Floats, cells: Floats) -> Floats:
    """Two constraints fix the lattice; only the origin is left to fit."""
    (m, n), (p, q) = laps.tolist()
    (ax, ay), (bx, by) = cells.tolist()
    (right_x, right_y), (at_m, at_n, weight) = fit.right[2].tolist(), fit.normal[2].tolist()
    size = m * q - n * p
    one_x, one_y = (q * ax - n * bx) / size, (q * ay - n * by) / size
    two_x, two_y = (m * bx - p * ax) / size, (m * by - p * ay) / size
    x = (right_x - at_m * one_x - at_n * two_x) / weight
    y = (right_y - at_m * one_y - at_n * two_y) / weight
    return np.array([[one_x, one_y], [two_x, two_y], [x, y]])


@compiled
def _inverse(matrix: Floats) -> Floats:
    """Inverse of a symmetric matrix (3, 3) by cofactors."""
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    inverse: Floats = np.empty((3, 3))
    inverse[0, 0], inverse[1, 1], inverse[2, 2] = d * f - e * e, a * f - c * c, a * d - b * b
    inverse[0, 1] = inverse[1, 0] = c * e - b * f
    inverse[0, 2] = inverse[2, 0] = b * e - c * d
    inverse[1, 2] = inverse[2, 1] = b * c - a * e
    determinant = a * inverse[0, 0] + b * inverse[0, 1] + c * inverse[0, 2]
    for r in range(3):
        for k in range(3):
            inverse[r, k] /= determinant
    return inverse


@compiled
def _solved(normal: Floats, right: Floats) -> Floats:
    """Solution (3, 2) of a symmetric system (3, 3)."""
    inverse = _inverse(normal)
    solution = np.empty((3, 2))
    for r in range(3):
        for k in range(2):
            solution[r, k] = inverse[r, 0] * right[0, k] + inverse[r, 1] * right[1, k] + inverse[r, 2] * right[2, k]
    return solution


@compiled
def _weight(misfit2: float, reach2: float) -> float:
    """Tukey's biweight."""
    return max(0.0, 1.0 - misfit2 / reach2) ** 2


@compiled
def fit_positions(
    indices: Floats, places: Floats, start: Floats, spacing: float
) -> tuple[Floats, Floats, Floats, Floats, float]:
    """Least squares of positions over lattice indices, with outliers downweighted; returns the fields of `PositionFit`.

    The solution is NaN if too few atoms are left. The errors are the covariance (4, 4) of the lattice vectors in the
    order x1, x2, y1, y2, from the scatter of the atoms. Neighbours in a crystal move together, so each atom's
    contribution is summed over patches of neighbours before it is squared (the sandwich estimate for clusters). A patch
    does not see waves longer than itself, so the excess of patches over independent atoms (and BY_CHANCE) counts
    LONG_WAVES times; this factor comes from fits to layers of known rotation in molecular dynamics.

    Args:
        indices: (M, 2) integers.
        places: (M, 2) in angstrom.
        start: (2, 2) approximate lattice vectors, as columns.
        spacing: of neighbouring sites, in angstrom.
    """
    total = len(indices)
    step = 1 + (total - 1) // SAMPLED_ATOMS
    middle = np.zeros(2)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for i in range(total):
        for axis in range(2):
            middle[axis] += indices[i, axis]
            low[axis] = min(low[axis], indices[i, axis])
            high[axis] = max(high[axis], indices[i, axis])
    for axis in range(2):
        middle[axis] = np.rint(middle[axis] / total)
    sampled = np.empty((total + step - 1) // step)
    solution: Floats = np.zeros((3, 2))
    for axis in range(2):
        solution[0, axis] = start[axis, 0]
        solution[1, axis] = start[axis, 1]
        for s in range(len(sampled)):
            i = s * step
            m, n = indices[i, 0] - middle[0], indices[i, 1] - middle[1]
            sampled[s] = places[i, axis] - m * start[axis, 0] - n * start[axis, 1]
        solution[2, axis] = median_of(sampled, len(sampled))
    normal = np.zeros((3, 3))
    right = np.zeros((3, 2))
    reach2 = 0.0
    for _ in range(ROUNDS):
        for s in range(len(sampled)):
            i = s * step
            m, n = indices[i, 0] - middle[0], indices[i, 1] - middle[1]
            ex = places[i, 0] - m * solution[0, 0] - n * solution[1, 0] - solution[2, 0]
            ey = places[i, 1] - m * solution[0, 1] - n * solution[1, 1] - solution[2, 1]
            sampled[s] = ex * ex + ey * ey
        scale = math.sqrt(median_of(sampled, len(sampled))) / RAYLEIGH_MEDIAN
        reach2 = (TUKEY * max(scale, 1e-6 * spacing)) ** 2
        mm = mn = nn = m1 = n1 = w1 = mx = my = nx = ny = x1 = y1 = 0.0
        for i in range(total):
            m, n = indices[i, 0] - middle[0], indices[i, 1] - middle[1]
            x, y = places[i, 0], places[i, 1]
            ex = x - m * solution[0, 0] - n * solution[1, 0] - solution[2, 0]
            ey = y - m * solution[0, 1] - n * solution[1, 1] - solution[2, 1]
            weight = _weight(ex * ex + ey * ey, reach2)
            wm, wn = weight * m, weight * n
            mm += wm * m
            mn += wm * n
            nn += wn * n
            m1 += wm
            n1 += wn
            w1 += weight
            mx += wm * x
            my += wm * y
            nx += wn * x
            ny += wn * y
            x1 += weight * x
            y1 += weight * y
        spread = (mm * w1 - m1 * m1) * (nn * w1 - n1 * n1) - (mn * w1 - m1 * n1) ** 2
        if not spread > 1e-6 * (mm * w1 - m1 * m1 + nn * w1 - n1 * n1) ** 2:
            return np.full((3, 2), np.nan), normal, right, np.zeros((4, 4)), 0.0
        normal[0, 0], normal[0, 1], normal[0, 2] = mm, mn, m1
        normal[1, 0], normal[1, 1], normal[1, 2] = mn, nn, n1
        normal[2, 0], normal[2, 1], normal[2, 2] = m1, n1, w1
        right[0, 0], right[0, 1], right[1, 0], right[1, 1], right[2, 0], right[2, 1] = mx, my, nx, ny, x1, y1
        new = _solved(normal, right)
        change = 0.0
        for r in range(2):
            for c in range(2):
                reach = (high[r] - low[r]) if r < 2 else 1.0
                change = max(change, abs(new[r, c] - solution[r, c]) * reach)
        solution = new
        if change <= TOLERANCE * spacing:
            break
    if normal[2, 2] < LEAST_WEIGHT:
        solution[0, 0] = np.nan
    errors, excess = _errors(indices, places, middle, low, high, solution, normal, reach2)
    return solution, normal, right, errors, excess


@compiled
def _errors(
    indices: Floats,
    places: Floats,
    middle: Floats,
    low: Floats,
    high: Floats,
    solution: Floats,
    normal: Floats,
    reach2: float,
) -> tuple[Floats, float]:
    inverse = _inverse(normal)
    patches = np.zeros((PATCHES * PATCHES, 4))
    single = np.zeros((4, 4))
    row = np.empty(4)
    total = slope = 0.0
    per_m, per_n = PATCHES / (high[0] - low[0] + 1.0), PATCHES / (high[1] - low[1] + 1.0)
    for i in range(len(indices)):
        m, n = indices[i, 0] - middle[0], indices[i, 1] - middle[1]
        ex = places[i, 0] - m * solution[0, 0] - n * solution[1, 0] - solution[2, 0]
        ey = places[i, 1] - m * solution[0, 1] - n * solution[1, 1] - solution[2, 1]
        weight = _weight(ex * ex + ey * ey, reach2)
        if weight == 0.0:
            continue
        total += weight
        slope += np.sqrt(weight) * (3.0 * np.sqrt(weight) - 2.0)
        pull0 = weight * (inverse[0, 0] * m + inverse[0, 1] * n + inverse[0, 2])
        pull1 = weight * (inverse[1, 0] * m + inverse[1, 1] * n + inverse[1, 2])
        row[0], row[1], row[2], row[3] = pull0 * ex, pull1 * ex, pull0 * ey, pull1 * ey
        patch = int((indices[i, 0] - low[0]) * per_m) * PATCHES + int((indices[i, 1] - low[1]) * per_n)
        for r in range(4):
            patches[patch, r] += row[r]
            for c in range(r, 4):
                single[r, c] += row[r] * row[c]
    for r in range(4):
        for c in range(r):
            single[r, c] = single[c, r]
    trace = max(single[0, 0] + single[1, 1] + single[2, 2] + single[3, 3], 1e-300)
    together = 0.0
    for patch in range(PATCHES * PATCHES):
        for r in range(4):
            together += patches[patch, r] * patches[patch, r]
    excess = max(0.0, together / trace - BY_CHANCE)
    freedom = total / max(total - 3.0, 1.0)
    softness = min(2.0, total / slope) if slope > 0 else 2.0
    factor = (1.0 + LONG_WAVES * excess) * freedom * softness**2
    for r in range(4):
        for c in range(4):
            single[r, c] *= factor
    return single, excess
