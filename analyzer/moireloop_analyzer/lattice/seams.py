"""Where the cell of a layer is cut open: along the edges where a seam is likeliest, if the layer has one (pure)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.geometry.median import median_of

COORDINATES: Final[Ints] = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])
"""Rows: fractions along a and b, and what is constant along a - b and a + b; any two but the last two give the cell."""

PAIRS: Final[Ints] = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]])

CLEARLY: Final = 1.3

SURELY: Final = 60.0
"""Seams along directions other than a and b must be likelier by this factor and by this much: seven bonds."""

BAD: Final = 3.0
"""In the search for a seam, a missing or bad bond counts like one this many standard deviations off."""

MOST_REDUCTIONS: Final = 50

STICKY: Final = 1.0 - 1e-6

SAMPLED_ATOMS: Final = 2000

SAMPLED_PER_EDGE: Final = 30

EDGES_PER_ROW: Final = 4


@compiled
def _reduced(plane: Floats, coordinates: Ints) -> None:
    """Fill in the rows of COORDINATES for the shortest two vectors of a cell, as sums of fractions along a and b.

    This is Gauss's reduction. A cell whose vectors are as short as can be stays as it is.
    """
    ax, ay, bx, by = plane[0, 0], plane[0, 1], plane[1, 0], plane[1, 1]
    one_a, one_b, other_a, other_b = 1, 0, 0, 1
    for _ in range(MOST_REDUCTIONS):
        along = ax * bx + ay * by
        if ax * ax + ay * ay <= bx * bx + by * by:
            times = int(np.rint(along / (ax * ax + ay * ay) * STICKY))
            bx, by = bx - times * ax, by - times * ay
            one_a, one_b = one_a + times * other_a, one_b + times * other_b
        else:
            times = int(np.rint(along / (bx * bx + by * by) * STICKY))
            ax, ay = ax - times * bx, ay - times * by
            other_a, other_b = other_a + times * one_a, other_b + times * one_b
        if times == 0:
            break
    for axis in range(len(COORDINATES)):
        m, n = COORDINATES[axis, 0], COORDINATES[axis, 1]
        coordinates[axis, 0] = m * one_a + n * other_a
        coordinates[axis, 1] = m * one_b + n * other_b


@compiled
def edges_of(plane: Floats, grid: Ints, frame: Floats, atoms: int, spacing: float) -> tuple[Ints, Floats, Ints]:
    """The coordinates (4, 2) along whose edges a cell may be cut open, and how many edges each has (4,).

    Seams may lie along a, b, a + b or a - b of the reduced cell (its shortest vectors). `duals` (2, 4) gives the
    coordinates of a place in angstrom; `grid` and `frame` belong to the bins. Edges are a spacing apart or more.
    """
    coordinates = COORDINATES.copy()
    if grid[6] == 1 and grid[7] == 1:
        _reduced(plane, coordinates)
    duals = np.empty((2, 4))
    edges = np.zeros(4, dtype=np.int64)
    most = EDGES_PER_ROW * int(math.sqrt(atoms)) + 64
    for axis in range(4):
        m, n = coordinates[axis, 0], coordinates[axis, 1]
        duals[0, axis] = m * frame[4] + n * frame[5]
        duals[1, axis] = m * frame[6] + n * frame[7]
        cut = grid[6 + axis] == 1 if axis < 2 else grid[6] == 1 and grid[7] == 1
        if cut:
            across = 1.0 / math.hypot(duals[0, axis], duals[1, axis])
            edges[axis] = max(1, min(int(across / spacing), most))
    return coordinates, duals, edges


@compiled
def look_across(
    x: float,
    y: float,
    bond_x: float,
    bond_y: float,
    good: bool,
    off_x: float,
    off_y: float,
    both_ways: bool,
    duals: Floats,
    edges: Ints,
    sums: Floats,
) -> None:
    """Add a bond that begins at (x, y) to the sums of the edges that it crosses on its way up, or on its way down too.

    The sums, shape (4, edges, 4), are of good and of bad bonds, and of the misfits of the good ones along x and y, all
    taken on their way up.
    """
    for axis in range(len(edges)):
        count = edges[axis]
        start = (x * duals[0, axis] + y * duals[1, axis]) * count
        here = int(np.floor(start))
        there = int(np.floor(start + (bond_x * duals[0, axis] + bond_y * duals[1, axis]) * count))
        if here == there or (there < here and not both_ways):
            continue
        up = 1.0 if there > here else -1.0
        for edge in range(min(here, there) + 1, max(here, there) + 1):
            place = edge if 0 <= edge < count else edge % count
            if good:
                sums[axis, place, 0] += 1.0
                sums[axis, place, 2] += up * off_x
                sums[axis, place, 3] += up * off_y
            else:
                sums[axis, place, 1] += 1.0


@compiled
def _likeliest(sums: Floats, edges: int, variance: float) -> tuple[float, float]:
    """Fraction of the edge at which bonds are missing, bad, or all off by the same vector, and by how much so."""
    if edges == 0:
        return 0.0, 0.0
    scores = np.empty(edges)
    for edge in range(edges):
        scores[edge] = sums[edge, 0]
    usual = median_of(scores, edges)
    best = 0
    for edge in range(edges):
        good, bad, x, y = sums[edge, 0], sums[edge, 1], sums[edge, 2], sums[edge, 3]
        missing = max(0.0, usual - good - bad)
        scores[edge] = (x * x + y * y) / (max(good, 1.0) * variance) + BAD * BAD * (bad + missing)
        if scores[edge] > scores[best]:
            best = edge
    highest = scores[best]
    return best / edges, highest - median_of(scores, edges)


@compiled
def cuts_of(sums: Floats, edges: Ints, variance: float) -> tuple[int, int, float, float]:
    """The two coordinates along whose edges the layer is cut open, and the fractions at which."""
    cuts = np.zeros(len(edges))
    scores = np.zeros(len(edges))
    for axis in range(len(edges)):
        cuts[axis], scores[axis] = _likeliest(sums[axis], edges[axis], variance)
    first, second = 0, 1
    highest = max(CLEARLY * (scores[0] + scores[1]), scores[0] + scores[1] + SURELY)
    for pair in range(1, len(PAIRS)):
        one, other = PAIRS[pair, 0], PAIRS[pair, 1]
        if edges[one] > 0 and edges[other] > 0 and scores[one] + scores[other] > highest:
            first, second, highest = one, other, scores[one] + scores[other]
    return first, second, cuts[first], cuts[second]
