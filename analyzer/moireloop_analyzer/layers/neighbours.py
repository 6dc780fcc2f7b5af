"""Bonds of one layer: each atom's nearest neighbours in the plane, in a cell of any shape (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.bins import Bins, Ints, binned, find_runs, runs_for
from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.geometry.median import median_of
from moireloop_analyzer.refusal import Refusal

MOST_NEIGHBOURS: Final = 8
"""Neighbours kept of an atom, the nearest ones; a triangular lattice has six."""

MOST_SAMPLED: Final = 32

ROOM: Final = 64

SAMPLED_ATOMS: Final = 50

SEARCHED: Final = 1.45
"""Radius of the search in units of the spacing that a whole layer of this density would have."""

FIRST_SHELL: Final = (1.0 + math.sqrt(3.0)) / 2.0
"""Bonds end half way between the first and the second shell, in units of the spacing."""

LEAST_SPACING_ANGSTROM: Final = 0.5

MOST_SPACING_ANGSTROM: Final = 20.0

NO_LENGTH: Final = 1e-24
"""Square of a distance at which an atom is taken for itself."""

SHORTEST: Final = 0.2
"""Pairs nearer than this, in units of the spacing, are no bonds but atoms on top of each other."""


@dataclass(frozen=True)
class Bonds:
    """The atoms of a layer sorted by bins, each with its neighbours.

    `points` (N, 2) and `heights` (N,) in angstrom, `atoms` (N,) their indices in the layer that was given. Neighbour
    k < `counts[i]` of atom i is `table[i, k]`, moved by the image `codes[i, k]` of the bins. `spacing` is the median
    bond length in angstrom, 0 where there are no bonds.
    """

    points: Floats
    heights: Floats
    table: Ints
    codes: Ints
    counts: Ints
    bins: Bins
    spacing: float

    @property
    def atoms(self) -> Ints:
        """The order of the bins."""
        return self.bins.order


def bonds_of(points: Floats, box: Box) -> Bonds | Refusal:
    """Bonds of a layer at `points`, N > 0, wrapped into the box: pairs of up to 1.37 times its spacing.

    The points (N, 3) may lack their heights, which are 0 then.
    """
    bins = binned(points, box, SEARCHED, math.inf)
    if isinstance(bins, Refusal):
        return bins
    spacing, ordered, heights, table, codes, counts = _bonds(
        points, bins.order, bins.grid, bins.starts, bins.moves, bins.radius
    )
    if 0 < spacing < LEAST_SPACING_ANGSTROM and np.ptp(heights) > LEAST_SPACING_ANGSTROM:
        return Refusal("its atoms lie one above the other, in two planes")
    if spacing > 0 and not LEAST_SPACING_ANGSTROM <= spacing <= MOST_SPACING_ANGSTROM:
        return Refusal(f"its atoms are {spacing:.3g} angstrom apart, unlike in any crystal")
    return Bonds(ordered, heights, table, codes, counts, bins, spacing)


@compiled
def _keep_nearest(near: Ints, lengths2: Floats, found: int, most: int) -> int:
    """Keep the nearest of the pairs found, up to a limit, at the front; returns how many are left."""
    for s in range(most, found):
        farthest = 0
        for k in range(1, most):
            if lengths2[k] > lengths2[farthest]:
                farthest = k
        if lengths2[s] < lengths2[farthest]:
            lengths2[farthest] = lengths2[s]
            near[farthest, 0], near[farthest, 1] = near[s, 0], near[s, 1]
    return min(found, most)


@compiled
def _near(
    points: Floats,
    i: int,
    runs: Ints,
    count: int,
    moves: Floats,
    shortest2: float,
    longest2: float,
    most: int,
    near: Ints,
    lengths2: Floats,
) -> int:
    """How many neighbours atom i has in the first `count` runs, at most `most`, the nearest ones.

    They and their images are written into `near` (ROOM, 2), the squares of their distances into `lengths2` (ROOM,).
    """
    found = 0
    for r in range(count):
        code = runs[r, 2]
        x, y = moves[code, 0] - points[i, 0], moves[code, 1] - points[i, 1]
        for j in range(runs[r, 0], runs[r, 1]):
            dx, dy = points[j, 0] + x, points[j, 1] + y
            d2 = dx * dx + dy * dy
            near[found, 0], near[found, 1] = j, code
            lengths2[found] = d2
            found += (d2 <= longest2) & (d2 > shortest2)
            if found == ROOM:
                found = _keep_nearest(near, lengths2, found, most)
    return _keep_nearest(near, lengths2, found, most)


@compiled
def _spacing(points: Floats, grid: Ints, starts: Ints, moves: Floats, radius: float) -> float:
    """Typical bond length of some dozen atoms: the median of those not much longer than the typical shortest one."""
    step = 1 + (len(points) - 1) // SAMPLED_ATOMS
    runs = runs_for(grid)
    near, lengths2 = np.empty((ROOM, 2), dtype=np.int32), np.empty(ROOM)
    lengths = np.empty(((len(points) + step - 1) // step) * MOST_SAMPLED)
    nearest = np.empty(len(lengths))
    with_any = total = home = 0
    for i in range(0, len(points), step):
        while starts[home + 1] <= i:
            home += 1
        count = find_runs(home, grid, starts, runs)
        found = _near(points, i, runs, count, moves, NO_LENGTH, radius * radius, MOST_SAMPLED, near, lengths2)
        least = np.inf
        for k in range(found):
            least = min(least, lengths2[k])
            lengths[total] = lengths2[k]
            total += 1
        if found > 0:
            nearest[with_any] = least
            with_any += 1
    if with_any == 0:
        return 0.0
    longest2 = 1.45 * 1.45 * median_of(nearest, with_any)
    bonds = 0
    for k in range(total):
        if lengths[k] <= longest2:
            lengths[bonds] = lengths[k]
            bonds += 1
    return math.sqrt(median_of(lengths, bonds))


@compiled
def _bonds(
    unsorted: Floats, order: Ints, grid: Ints, starts: Ints, moves: Floats, radius: float
) -> tuple[float, Floats, Floats, Ints, Ints, Ints]:
    """The spacing, the sorted points (N, 2) and their heights (N,), the table (N, K) of each atom's neighbours, their
    image codes (N, K), and how many there are (N,)."""
    total = len(order)
    points = np.empty((total, 2))
    heights = np.zeros(total)
    for i in range(total):
        points[i, 0], points[i, 1] = unsorted[order[i], 0], unsorted[order[i], 1]
        if unsorted.shape[1] > 2:
            heights[i] = unsorted[order[i], 2]
    spacing = _spacing(points, grid, starts, moves, radius)
    shortest2 = (SHORTEST * spacing) ** 2
    longest2 = min(FIRST_SHELL * spacing, radius) ** 2
    table = np.empty((total, MOST_NEIGHBOURS), dtype=np.int32)
    codes = np.empty((total, MOST_NEIGHBOURS), dtype=np.int8)
    counts = np.empty(total, dtype=np.int8)
    runs = runs_for(grid)
    near, lengths2 = np.empty((ROOM, 2), dtype=np.int32), np.empty(ROOM)
    for home in range(len(starts) - 1):
        if starts[home] == starts[home + 1]:
            continue
        count = find_runs(home, grid, starts, runs)
        for i in range(starts[home], starts[home + 1]):
            found = _near(points, i, runs, count, moves, shortest2, longest2, MOST_NEIGHBOURS, near, lengths2)
            for k in range(found):
                table[i, k] = near[k, 0]
                codes[i, k] = near[k, 1]
            counts[i] = found
    return spacing, points, heights, table, codes, counts
