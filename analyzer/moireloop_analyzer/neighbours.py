"""Bonds of one layer: each atom's nearest neighbours in the plane, in a cell of any shape (pure).

Atoms are sorted into bins first, so that neighbours in the plane are neighbours in memory, and the time grows no
faster than the number of atoms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.box import Box, Floats
from moireloop_analyzer.compiled import compiled
from moireloop_analyzer.refusal import Refusal

Ints = npt.NDArray[np.integer[Any]]

MOST_NEIGHBOURS: Final = 8
"""Neighbours kept of an atom, the nearest ones; a triangular lattice has six."""

MAX_IMAGES: Final = 64
MAX_CROWD: Final = 64
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


Search = tuple[
    tuple[int, int],
    tuple[float, float],
    tuple[float, float],
    tuple[int, int],
    tuple[int, int],
    tuple[bool, bool],
    Floats,
    Floats,
]
"""Counts, low, per, reach, most, periodic, inverse and moves of `Bins`: what the compiled searches know of them."""


@dataclass(frozen=True)
class Bins:
    """The plane of a box in `counts` bins along a and b, for the search of pairs within a radius.

    The first bin begins at the fractions `low`, and `per` of them cover the fraction 1. `reach` is how many bins to
    look to each side; a neighbour may be moved by the whole cells `images` (M, 2), `moves` (M, 2) in angstrom, which
    run from minus `most` to `most` along both.
    """

    counts: tuple[int, int]
    low: tuple[float, float]
    per: tuple[float, float]
    reach: tuple[int, int]
    most: tuple[int, int]
    periodic: tuple[bool, bool]
    inverse: Floats
    images: Ints
    moves: Floats

    @property
    def search(self) -> Search:
        """The arguments by which the compiled searches know the bins."""
        return self.counts, self.low, self.per, self.reach, self.most, self.periodic, self.inverse, self.moves


@dataclass(frozen=True)
class Bonds:
    """The atoms of a layer sorted by bins, each with its neighbours.

    `points` (N, 2) in angstrom, `atoms` (N,) their indices in the layer that was given; bin b holds the atoms from
    `starts[b]` to `starts[b + 1]`. Neighbour k < `counts[i]` of atom i is `table[i, k]`, moved by the image
    `codes[i, k]` of the bins. `spacing` is the median bond length in angstrom, 0 where there are no bonds.
    """

    points: Floats
    atoms: Ints
    starts: Ints
    table: Ints
    codes: Ints
    counts: Ints
    bins: Bins
    spacing: float


def bonds_of(points: Floats, box: Box) -> Bonds | Refusal:
    """Bonds of a layer at `points` (N, 2), N > 0, wrapped into the box: pairs of up to 1.37 times its spacing."""
    low, high = extent_of(points, box)
    radius = SEARCHED * math.sqrt(2.0 * max(area_of(low, high, box), 1e-6) / (math.sqrt(3.0) * len(points)))
    bins = bins_of(low, high, box, radius, len(points))
    if isinstance(bins, Refusal):
        return bins
    atoms, starts, crowd = sorted_into_bins(points, bins)
    if crowd > MAX_CROWD:
        return Refusal(f"{crowd} atoms lie within a square of {radius:.3g} angstrom")
    ordered = points[atoms]
    table, codes, counts, spacing = _bonds(
        ordered, starts, bins.counts, bins.reach, bins.most, bins.periodic, bins.moves, radius
    )
    if spacing > 0 and not LEAST_SPACING_ANGSTROM <= spacing <= MOST_SPACING_ANGSTROM:
        return Refusal(f"its atoms are {spacing:.3g} angstrom apart, which no crystal's are")
    return Bonds(ordered, atoms, starts, table, codes, counts, bins, spacing)


def bins_of(low: tuple[float, float], high: tuple[float, float], box: Box, radius: float, atoms: int) -> Bins | Refusal:
    """Bins no narrower than the radius where the box allows, and not many more of them than atoms.

    Args:
        low, high: smallest and largest fractions of the points along a and b.
        box: whose plane is divided.
        radius: in angstrom; it may exceed the cell.
        atoms: how many there are.
    """
    extent = [1.0 if box.periodic[k] else max(high[k] - low[k], 1e-300) for k in (0, 1)]
    lengths = [extent[k] * box.heights[k] for k in (0, 1)]
    counts = [max(1, int(min(length / radius, 1e9))) for length in lengths]
    while counts[0] * counts[1] > 4 * atoms + 64:
        counts = [max(1, count // 2) for count in counts]
    reach = [math.ceil(radius * counts[k] / lengths[k] - 1e-9) if box.periodic[k] else 1 for k in (0, 1)]
    most = [(reach[k] + counts[k] - 1) // counts[k] if box.periodic[k] else 0 for k in (0, 1)]
    if (2 * most[0] + 1) * (2 * most[1] + 1) > MAX_IMAGES:
        return Refusal("the cell is far thinner than the distance between its atoms")
    images = _images(most[0], most[1])
    return Bins(
        counts=(counts[0], counts[1]),
        low=(0.0 if box.periodic[0] else low[0], 0.0 if box.periodic[1] else low[1]),
        per=(counts[0] / extent[0], counts[1] / extent[1]),
        reach=(reach[0], reach[1]),
        most=(most[0], most[1]),
        periodic=box.periodic,
        inverse=box.inverse,
        images=images,
        moves=images @ box.plane,
    )


@cache
def _images(most_a: int, most_b: int) -> Ints:
    """Whole cells (M, 2) from minus these to these."""
    steps = [(i, j) for i in range(-most_a, most_a + 1) for j in range(-most_b, most_b + 1)]
    images = np.array(steps, dtype=np.int64)
    images.flags.writeable = False
    return images


def sorted_into_bins(points: Floats, bins: Bins) -> tuple[Ints, Ints, int]:
    """Order (N,) that sorts points (N, 2 or more) by bins, where each bin starts (B + 1,), and the fullest one."""
    return _sorted(points, bins.counts, bins.low, bins.per, bins.inverse)


def extent_of(points: Floats, box: Box) -> tuple[tuple[float, float], tuple[float, float]]:
    """Smallest and largest fractions of points (N, 2 or more) along a and b."""
    return _extent(points, box.inverse)


def area_of(low: tuple[float, float], high: tuple[float, float], box: Box) -> float:
    """Area in square angstrom of the part of the box between these fractions, or of all where it repeats."""
    return box.area * math.prod(1.0 if box.periodic[k] else high[k] - low[k] for k in (0, 1))


def median(values: Floats) -> float:
    """Upper median; numpy's own takes longer than all else for small layers."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


@compiled
def _extent(points: Floats, inverse: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    low_a = low_b = np.inf
    high_a = high_b = -np.inf
    for i in range(len(points)):
        a = points[i, 0] * inverse[0, 0] + points[i, 1] * inverse[1, 0]
        b = points[i, 0] * inverse[0, 1] + points[i, 1] * inverse[1, 1]
        low_a, high_a = min(low_a, a), max(high_a, a)
        low_b, high_b = min(low_b, b), max(high_b, b)
    return (low_a, low_b), (high_a, high_b)


@compiled
def _sorted(
    points: Floats, counts: tuple[int, int], low: tuple[float, float], per: tuple[float, float], inverse: Floats
) -> tuple[Ints, Ints, int]:
    total = counts[0] * counts[1]
    starts = np.zeros(total + 1, dtype=np.int32)
    where = np.empty(len(points), dtype=np.int32)
    for i in range(len(points)):
        a = points[i, 0] * inverse[0, 0] + points[i, 1] * inverse[1, 0]
        b = points[i, 0] * inverse[0, 1] + points[i, 1] * inverse[1, 1]
        row = min(max(int((a - low[0]) * per[0]), 0), counts[0] - 1)
        column = min(max(int((b - low[1]) * per[1]), 0), counts[1] - 1)
        where[i] = row * counts[1] + column
        starts[where[i] + 1] += 1
    crowd = 0
    for k in range(total):
        crowd = max(crowd, starts[k + 1])
        starts[k + 1] += starts[k]
    place = starts[:-1].copy()
    order = np.empty(len(points), dtype=np.int32)
    for i in range(len(points)):
        order[place[where[i]]] = i
        place[where[i]] += 1
    return order, starts, crowd


@compiled
def _near(
    i: int,
    row: int,
    column: int,
    points: Floats,
    starts: Ints,
    counts: tuple[int, int],
    reach: tuple[int, int],
    most: tuple[int, int],
    periodic: tuple[bool, bool],
    moves: Floats,
    shortest2: float,
    longest2: float,
    table: Ints,
    codes: Ints,
    lengths2: Floats,
) -> int:
    """The nearest neighbours of atom i, in the bin of this row and column: their number, and they themselves written
    into `table`, `codes` and `lengths2` (K,)."""
    x, y = points[i, 0], points[i, 1]
    n = 0
    for r in range(row - reach[0], row + reach[0] + 1):
        cell_a = 0
        if r < 0 or r >= counts[0]:
            if not periodic[0]:
                continue
            cell_a = r // counts[0]
        start = (r - cell_a * counts[0]) * counts[1]
        c = column - reach[1]
        while c <= column + reach[1]:
            cell_b = 0
            if c < 0 or c >= counts[1]:
                if not periodic[1]:
                    c += 1
                    continue
                cell_b = c // counts[1]
            first = c - cell_b * counts[1]
            last = min(first + column + reach[1] - c, counts[1] - 1)
            c += last - first + 1
            code = (cell_a + most[0]) * (2 * most[1] + 1) + cell_b + most[1]
            here_x, here_y = moves[code, 0] - x, moves[code, 1] - y
            for j in range(starts[start + first], starts[start + last + 1]):
                dx, dy = points[j, 0] + here_x, points[j, 1] + here_y
                d2 = dx * dx + dy * dy
                if d2 > longest2 or d2 <= shortest2:
                    continue
                slot = n
                if n < len(table):
                    n += 1
                else:
                    slot = 0
                    for k in range(1, n):
                        if lengths2[k] > lengths2[slot]:
                            slot = k
                    if d2 >= lengths2[slot]:
                        continue
                lengths2[slot] = d2
                table[slot] = j
                codes[slot] = code
    return n


@compiled
def _spacing(
    points: Floats,
    starts: Ints,
    counts: tuple[int, int],
    reach: tuple[int, int],
    most: tuple[int, int],
    periodic: tuple[bool, bool],
    moves: Floats,
    radius: float,
) -> float:
    """Typical bond length of some dozen atoms: the median of those not much longer than the typical shortest one."""
    step = 1 + (len(points) - 1) // SAMPLED_ATOMS
    sampled = (len(points) + step - 1) // step
    lengths2 = np.empty((sampled, 4 * MOST_NEIGHBOURS))
    found = np.zeros(sampled, dtype=np.int64)
    nearest = np.empty(sampled)
    table = np.empty(lengths2.shape[1], dtype=np.int32)
    codes = np.empty(lengths2.shape[1], dtype=np.int8)
    with_any = 0
    home = 0
    for s in range(sampled):
        i = s * step
        while starts[home + 1] <= i:
            home += 1
        n = _near(
            i,
            home // counts[1],
            home % counts[1],
            points,
            starts,
            counts,
            reach,
            most,
            periodic,
            moves,
            NO_LENGTH,
            radius * radius,
            table,
            codes,
            lengths2[s],
        )
        found[s] = n
        if n > 0:
            nearest[with_any] = lengths2[s, :n].min()
            with_any += 1
    if with_any == 0:
        return 0.0
    longest2 = 1.45 * 1.45 * np.median(nearest[:with_any])
    bonds = np.empty(found.sum())
    total = 0
    for s in range(sampled):
        for k in range(found[s]):
            if lengths2[s, k] <= longest2:
                bonds[total] = lengths2[s, k]
                total += 1
    return float(np.sqrt(np.median(bonds[:total])))


@compiled
def _bonds(
    points: Floats,
    starts: Ints,
    counts: tuple[int, int],
    reach: tuple[int, int],
    most: tuple[int, int],
    periodic: tuple[bool, bool],
    moves: Floats,
    radius: float,
) -> tuple[Ints, Ints, Ints, float]:
    """Table (N, K) of each atom's neighbours, their image codes (N, K), how many there are (N,), and the spacing."""
    spacing = _spacing(points, starts, counts, reach, most, periodic, moves, radius)
    shortest2 = (SHORTEST * spacing) ** 2
    longest2 = min(FIRST_SHELL * spacing, radius) ** 2
    total = len(points)
    table = np.empty((total, MOST_NEIGHBOURS), dtype=np.int32)
    codes = np.empty((total, MOST_NEIGHBOURS), dtype=np.int8)
    found = np.empty(total, dtype=np.int8)
    lengths2 = np.empty(MOST_NEIGHBOURS)
    for row in range(counts[0]):
        for column in range(counts[1]):
            home = row * counts[1] + column
            for i in range(starts[home], starts[home + 1]):
                found[i] = _near(
                    i,
                    row,
                    column,
                    points,
                    starts,
                    counts,
                    reach,
                    most,
                    periodic,
                    moves,
                    shortest2,
                    longest2,
                    table[i],
                    codes[i],
                    lengths2,
                )
    return table, codes, found, spacing
