"""Bins of a box's plane, for finding atoms near each other (pure).

Atoms are sorted by bins, so that neighbours in the plane are neighbours in memory, and the time grows no faster than
the number of atoms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.refusal import Refusal

Ints = npt.NDArray[np.integer[Any]]

MAX_IMAGES: Final = 64

MAX_CROWD: Final = 64

MOST_BINS: Final = 1e9


@dataclass(frozen=True)
class Bins:
    """Atoms sorted by the bins of a plane, for the search of pairs within `radius` angstrom.

    `grid` (8,) are pairs for a and b: how many bins there are, how many of them to look at on each side, by how many
    whole cells a neighbour may be moved at most, and whether the plane repeats. `frame` (8,) are the fractions at which
    the first bins begin, how many bins cover the fraction 1, and the inverse of the plane by rows. A neighbour may be
    moved by the whole cells `images` (M, 2), which is `moves` (M, 2) in angstrom. Bin b = row * columns + column holds
    the atoms `order[starts[b] : starts[b + 1]]`.
    """

    grid: Ints
    frame: Floats
    images: Ints
    moves: Floats
    order: Ints
    starts: Ints
    radius: float


def binned(points: Floats, box: Box, reach: float, longest: float) -> Bins | Refusal:
    """Points (N, 2 or more), N > 0, wrapped into the box, in bins no narrower than the radius where the box allows.

    The radius is `reach` times the distance of neighbours in a triangular lattice of as many points, but at most
    `longest`, in angstrom; it may exceed the cell. Refused: cells far thinner than that, and points in heaps.
    """
    radius, crowd, grid, frame, images, moves, order, starts = _binned(
        points, box.plane, box.inverse, box.periodic, reach, longest
    )
    if crowd < 0:
        return Refusal("the cell is far thinner than the distance between its atoms")
    if crowd > MAX_CROWD:
        return Refusal(f"{crowd} atoms lie within a square of {radius:.3g} angstrom")
    return Bins(grid, frame, images, moves, order, starts, radius)


@compiled
def _extent(points: Floats, inverse: Floats) -> Floats:
    """Smallest fractions along a and b, and largest ones, (4,)."""
    low_a = low_b = np.inf
    high_a = high_b = -np.inf
    for i in range(len(points)):
        a = points[i, 0] * inverse[0, 0] + points[i, 1] * inverse[1, 0]
        b = points[i, 0] * inverse[0, 1] + points[i, 1] * inverse[1, 1]
        low_a, high_a = min(low_a, a), max(high_a, a)
        low_b, high_b = min(low_b, b), max(high_b, b)
    extent = np.empty(4)
    extent[0], extent[1], extent[2], extent[3] = low_a, low_b, high_a, high_b
    return extent


@compiled
def _binned(
    points: Floats, plane: Floats, inverse: Floats, periodic: tuple[bool, bool], reach: float, longest: float
) -> tuple[float, int, Ints, Floats, Ints, Floats, Ints, Ints]:
    """The radius, how many points the fullest bin has (-1 where the cell is too thin), and the parts of `Bins`."""
    extent = _extent(points, inverse)
    for k in range(2):
        if periodic[k]:
            extent[k], extent[2 + k] = 0.0, 1.0
    whole = plane[0, 0] * abs(plane[1, 1])
    wide_a, wide_b = extent[2] - extent[0], extent[3] - extent[1]
    area = whole * wide_a * wide_b
    radius = min(reach * math.sqrt(2.0 * max(area, 1e-6) / (math.sqrt(3.0) * len(points))), longest)
    wide_a, wide_b = max(wide_a, 1e-300), max(wide_b, 1e-300)
    across_a = wide_a * whole / math.hypot(plane[1, 0], plane[1, 1])
    across_b = wide_b * abs(plane[1, 1])
    rows = max(1, int(min(across_a / radius, MOST_BINS)))
    columns = max(1, int(min(across_b / radius, MOST_BINS)))
    while rows * columns > 4 * len(points) + 64:
        rows, columns = max(1, rows // 2), max(1, columns // 2)
    grid = np.zeros(8, dtype=np.int64)
    grid[0], grid[1] = rows, columns
    # In a cell that is thinner than any search allows this may be more than a whole number holds.
    grid[2] = math.ceil(min(radius * rows / across_a, MOST_BINS) - 1e-9) if periodic[0] else 1
    grid[3] = math.ceil(min(radius * columns / across_b, MOST_BINS) - 1e-9) if periodic[1] else 1
    for k in range(2):
        if periodic[k]:
            grid[4 + k] = (grid[2 + k] + grid[k] - 1) // grid[k]
            grid[6 + k] = 1
    frame = np.empty(8)
    frame[0], frame[1], frame[2], frame[3] = extent[0], extent[1], rows / wide_a, columns / wide_b
    frame[4], frame[5], frame[6], frame[7] = inverse[0, 0], inverse[0, 1], inverse[1, 0], inverse[1, 1]
    most_a, most_b = grid[4], grid[5]
    crowd = -1
    count = (2 * most_a + 1) * (2 * most_b + 1)
    if count > MAX_IMAGES:
        count = 0
    images = np.empty((count, 2), dtype=np.int64)
    moves = np.empty((count, 2))
    for code in range(count):
        m, n = code // (2 * most_b + 1) - most_a, code % (2 * most_b + 1) - most_b
        images[code, 0], images[code, 1] = m, n
        moves[code, 0] = m * plane[0, 0] + n * plane[1, 0]
        moves[code, 1] = m * plane[0, 1] + n * plane[1, 1]
    order = np.empty(len(points), dtype=np.int32)
    starts = np.zeros(rows * columns + 1, dtype=np.int32)
    if count > 0:
        crowd = _sort(points, grid, frame, order, starts)
    return radius, crowd, grid, frame, images, moves, order, starts


@compiled
def bin_of(x: float, y: float, grid: Ints, frame: Floats) -> int:
    """The bin that a point lies in, or the nearest one."""
    row = int((x * frame[4] + y * frame[6] - frame[0]) * frame[2])
    column = int((x * frame[5] + y * frame[7] - frame[1]) * frame[3])
    return int(min(max(row, 0), grid[0] - 1) * grid[1] + min(max(column, 0), grid[1] - 1))


@compiled
def _sort(points: Floats, grid: Ints, frame: Floats, order: Ints, starts: Ints) -> int:
    """Fill in the order and the starts; how many points the fullest bin has."""
    where = np.empty(len(points), dtype=np.int32)
    for i in range(len(points)):
        where[i] = bin_of(points[i, 0], points[i, 1], grid, frame)
        starts[where[i] + 1] += 1
    crowd = 0
    for k in range(len(starts) - 1):
        crowd = max(crowd, starts[k + 1])
        starts[k + 1] += starts[k]
    place = starts.copy()
    for i in range(len(points)):
        order[place[where[i]]] = i
        place[where[i]] += 1
    return crowd


@compiled
def runs_for(grid: Ints) -> Ints:
    """Room for the runs about any bin."""
    return np.empty(((2 * grid[2] + 1) * (2 * grid[5] + 1), 3), dtype=np.int64)


@compiled
def find_runs(home: int, grid: Ints, starts: Ints, runs: Ints) -> int:
    """How many runs of sorted atoms lie in a bin and those about it, written as first, end and image into `runs`."""
    rows, columns = grid[0], grid[1]
    row, column = home // columns, home % columns
    found = 0
    for r in range(row - grid[2], row + grid[2] + 1):
        cell_a = r // rows
        if cell_a != 0 and grid[6] == 0:
            continue
        start = (r - cell_a * rows) * columns
        c = column - grid[3]
        while c <= column + grid[3]:
            cell_b = c // columns
            first = c - cell_b * columns
            last = min(first + column + grid[3] - c, columns - 1)
            c += last - first + 1
            if cell_b != 0 and grid[7] == 0:
                continue
            runs[found, 0] = starts[start + first]
            runs[found, 1] = starts[start + last + 1]
            runs[found, 2] = (cell_a + grid[4]) * (2 * grid[5] + 1) + cell_b + grid[5]
            found += 1
    return found
