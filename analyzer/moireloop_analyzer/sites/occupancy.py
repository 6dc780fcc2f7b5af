"""Counts the sites of a layer's bond lattice that hold atoms, and how these atoms are displaced; compiled (pure).

Sites fall into three classes by m - n modulo 3 and into four by m and n modulo 2.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.geometry.median import median_of

SAMPLED_ATOMS: Final = 300

CLASSES: Final = 12
"""Four classes by m and n modulo 2 for each of the three by m - n modulo 3."""

WINDOW: Final = 128
"""How many sites along each direction, around the middle of a layer, are counted."""

ROUNDING: Final = 1e-9

AROUND: Final[Ints] = np.array([[1, 0], [0, 1], [-1, 1], [-1, 0], [0, -1], [1, -1]])

SURROUNDED: Final = 5
"""An empty site with at least this many of its six neighbours filled is a gap; others lie outside the layer."""


class SiteEvidence(NamedTuple):
    """Statistics of the `total` atoms that lie on a lattice.

    `sixfold` is the share with six bonds, `threefold` the share with three or fewer. `explained` has the sums of
    squares that `_explained` returns, in angstrom^2.
    """

    total: float
    sixfold: float
    threefold: float
    explained: tuple[float, float, float, float, float]


@compiled
def on_lattice(
    indices: Floats,
    places: Floats,
    atoms: Ints,
    vectors: Floats,
    reach: float,
    psi6: Floats,
    heights: Floats,
    counts: Ints,
) -> tuple[Ints, float, tuple[float, float, float, tuple[float, float, float, float, float]]]:
    """The atoms that lie on their sites, their |psi6|, and the fields of `SiteEvidence`.

    The origin is the median of the atoms.

    Args:
        indices, places: (M, 2), as for `fit_positions`.
        atoms: (M,) numbers of these atoms in the layer.
        vectors: (2, 2) lattice vectors, as columns.
        reach: largest distance of an atom from its site, in angstrom.
        psi6: (N, 2) real and imaginary part for each atom of the layer.
        heights: (N,) in angstrom.
        counts: (N,) number of bonds of each atom.
    """
    total = len(indices)
    step = 1 + (total - 1) // SAMPLED_ATOMS
    sampled = (total + step - 1) // step
    off_x, off_y = np.empty(sampled), np.empty(sampled)
    for s in range(sampled):
        m, n = indices[s * step, 0], indices[s * step, 1]
        off_x[s] = places[s * step, 0] - m * vectors[0, 0] - n * vectors[0, 1]
        off_y[s] = places[s * step, 1] - m * vectors[1, 0] - n * vectors[1, 1]
    x, y = median_of(off_x, sampled), median_of(off_y, sampled)
    on_site = np.empty(total, dtype=np.int32)
    sums, folds, squares = np.zeros((CLASSES, 4)), np.zeros(2), np.zeros(2)
    count = 0
    real = imaginary = 0.0
    level = heights[atoms[0]] if total > 0 else 0.0
    for i in range(total):
        m, n = indices[i, 0], indices[i, 1]
        dx = places[i, 0] - m * vectors[0, 0] - n * vectors[0, 1] - x
        dy = places[i, 1] - m * vectors[1, 0] - n * vectors[1, 1] - y
        misfit2 = dx * dx + dy * dy
        if misfit2 <= reach * reach:
            atom = atoms[i]
            on_site[count] = atom
            count += 1
            real += psi6[atom, 0]
            imaginary += psi6[atom, 1]
            folds[0] += counts[atom] == 6
            folds[1] += counts[atom] <= 3
            height = heights[atom] - level
            kind = class_of(int(m), int(n))
            sums[kind, 0] += 1.0
            sums[kind, 1] += dx
            sums[kind, 2] += dy
            sums[kind, 3] += height
            squares[0] += misfit2
            squares[1] += height * height
    order = min(1.0, math.hypot(real, imaginary) / max(count, 1))
    evidence = float(count), folds[0] / max(count, 1), folds[1] / max(count, 1), _explained(sums, squares)
    return on_site[:count].copy(), order, evidence


@compiled
def class_of(m: int, n: int) -> int:
    """Class of a site: 4 times m - n modulo 3, twice m modulo 2, and n modulo 2."""
    return 4 * ((m - n) % 3) + 2 * (m & 1) + (n & 1)


@compiled
def _put_back(m: int, n: int, laps: Floats, inverse: Floats, closed: tuple[bool, bool]) -> tuple[int, int]:
    """The periodic image of a site inside the cell, along the rows over which the layer closes."""
    a = np.floor(m * inverse[0, 0] + n * inverse[1, 0] + ROUNDING) if closed[0] else 0.0
    b = np.floor(m * inverse[0, 1] + n * inverse[1, 1] + ROUNDING) if closed[1] else 0.0
    return int(m - a * laps[0, 0] - b * laps[1, 0]), int(n - a * laps[0, 1] - b * laps[1, 1])


@compiled
def filled_sites(indices: Floats, laps: Floats, inverse: Floats, closed: tuple[bool, bool]) -> tuple[Ints, float, Ints]:
    """Which sites around the middle of a layer hold an atom, and which are gaps.

    Args:
        indices: (M, 2) lattice indices of the atoms.
        laps, inverse: (2, 2) lattice steps of one period along each row of the plane, and the inverse.
        closed: over which rows the layer closes.

    Returns:
        A map of the sites: 0 outside the layer, 1 + class where filled, -1 - class for a gap. The share of filled
        sites that hold two atoms or more. The number of empty sites of each class that are not gaps, for a layer that
        closes over both rows, since such a layer has no outside.
    """
    total = len(indices)
    places = np.empty((total, 2), dtype=np.int64)
    middle, low, high = np.zeros(2), np.full(2, np.inf), np.full(2, -np.inf)
    for i in range(total):
        places[i, 0], places[i, 1] = _put_back(int(indices[i, 0]), int(indices[i, 1]), laps, inverse, closed)
        for axis in range(2):
            middle[axis] += places[i, axis]
            low[axis] = min(low[axis], places[i, axis])
            high[axis] = max(high[axis], places[i, axis])
    first, size = np.empty(2, dtype=np.int64), np.empty(2, dtype=np.int64)
    for axis in range(2):
        centre = np.rint(middle[axis] / total)
        start = max(low[axis] - 1.0, centre - WINDOW // 2)
        first[axis] = int(start)
        size[axis] = int(min(high[axis] + 2.0, centre + WINDOW // 2) - start)
    here = np.zeros((size[0], size[1]), dtype=np.int64)
    double = single = 0
    for i in range(total):
        m, n = places[i, 0] - first[0], places[i, 1] - first[1]
        if 0 <= m < size[0] and 0 <= n < size[1]:
            here[m, n] += 1
            single += here[m, n] == 1
            double += here[m, n] == 2
    sites, bare = np.zeros((size[0], size[1]), dtype=np.int64), np.zeros(CLASSES, dtype=np.int64)
    for m in range(size[0]):
        for n in range(size[1]):
            kind = 1 + class_of(m + first[0], n + first[1])
            if here[m, n] > 0:
                sites[m, n] = kind
                continue
            p, q = m + first[0], n + first[1]
            at_p, at_q = _put_back(p, q, laps, inverse, closed)
            if at_p != p or at_q != q:
                continue
            around = 0
            for step in range(6):
                at_p, at_q = _put_back(p + AROUND[step, 0], q + AROUND[step, 1], laps, inverse, closed)
                at_p, at_q = at_p - first[0], at_q - first[1]
                if 0 <= at_p < size[0] and 0 <= at_q < size[1]:
                    around += here[at_p, at_q] > 0
            if around >= SURROUNDED:
                sites[m, n] = -kind
            elif closed[0] and closed[1]:
                bare[kind - 1] += 1
    return sites, double / max(single, 1), bare


@compiled
def _explained(sums: Floats, squares: Floats) -> tuple[float, float, float, float, float]:
    """Sums of squares: of the displacements, what alternating rows explain at best and the whole; the same two for the
    heights; and what the three classes of sites explain of the heights.

    Rows alternate by m, by n, or by m + n; each class of sites may have its own amplitude. Squares are taken about the
    means.
    """
    count = 0.0
    means = np.zeros(3)
    for kind in range(CLASSES):
        count += sums[kind, 0]
        for k in range(3):
            means[k] += sums[kind, 1 + k]
    means /= max(count, 1.0)
    displaced = raised = thirds = 0.0
    for way in range(3):
        rows = np.zeros(3)
        for third in range(3):
            size = 0.0
            waves, whole = np.zeros(3), 0.0
            for parity in range(4):
                kind = 4 * third + parity
                turn = parity >> 1 if way == 0 else parity & 1 if way == 1 else (parity >> 1) ^ (parity & 1)
                size += sums[kind, 0]
                whole += sums[kind, 3] - sums[kind, 0] * means[2]
                for k in range(3):
                    waves[k] += (1.0 - 2.0 * turn) * (sums[kind, 1 + k] - sums[kind, 0] * means[k])
            for k in range(3):
                rows[k] += waves[k] * waves[k] / max(size, 1.0)
            if way == 0:
                thirds += whole * whole / max(size, 1.0)
        displaced, raised = max(displaced, rows[0] + rows[1]), max(raised, rows[2])
    scatter = squares[0] - count * (means[0] * means[0] + means[1] * means[1])
    return displaced, scatter, raised, squares[1] - count * means[2] * means[2], thirds
