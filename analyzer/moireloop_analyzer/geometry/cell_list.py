"""Distances between atoms in space, counted without a list of pairs (pure).

Atoms are sorted into bins and each pair is looked at once, images of the cell included, so memory grows only with the
atoms. A cell list in the sense of Allen and Tildesley, Computer Simulation of Liquids (2nd ed., 2017), ch. 5.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.arguments import checked_flags
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.refusal import Refusal

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.int64]

BINS_IN_RADIUS: Final = 2

MAX_LOOKS: Final = 4e9
"""Pairs that a search looks at before it is refused; some ten seconds of them."""

MAX_SPECIES: Final = 64

MIN_VOLUME_SHARE: Final = 1e-6

MAX_LENGTH_ANGSTROM: Final = 1e8


@dataclass(frozen=True)
class CellList:
    """Atoms sorted by bin, for distances up to `radius`.

    `frame` (3, 3) has the periodic cell vectors as rows, then unit vectors at right angles to them and to each
    other; `periodic` says how many are periodic. `points` (N, 3) are the sorted positions inside the frame and
    `order` (N,) where each was. Bin k holds the atoms `starts[k]` to `starts[k + 1]`; there are `bins` (3,) along the
    rows of the frame, and neighbours lie up to `reach` (3,) bins away. `extents` (3,) are the lengths of the rows
    where periodic and else of what the atoms take up.
    """

    frame: Floats
    periodic: int
    points: Floats
    order: Ints
    starts: Ints
    bins: Ints
    reach: Ints
    extents: Floats
    radius: float

    def counted(self, kinds: Ints, species: int, width: float, steps: int) -> tuple[Ints, Ints]:
        """How many pairs there are in each step of distance, and how many neighbours each atom has.

        Args:
            kinds: (N,) species of each atom, 0 to `species` - 1, in the order in which the atoms were given.
            width: of a step of the histogram, in angstrom.
            steps: of the histogram; pairs beyond are not in it.

        Returns:
            Histogram (species, species, steps) of unordered pairs, with species i and j in [i, j] or [j, i], and
            neighbours (N, species) within the radius, of each species. An atom can be a neighbour of its own images.
        """
        histogram = np.zeros((species, species, steps), dtype=np.int64)
        around = np.zeros((len(self.points), species), dtype=np.int64)
        _count(
            self.points, np.ascontiguousarray(kinds[self.order]), self.frame, self.starts, self.bins, self.reach,
            self.periodic, self.radius, width, histogram, around,
        )  # fmt: skip
        unsorted = np.empty_like(around)
        unsorted[self.order] = around
        return histogram, unsorted


def cell_list(positions: Floats, cell: Floats, pbc: Sequence[bool], radius: float) -> CellList | Refusal:
    """Sort atoms for distances up to a radius, which may exceed the cell.

    Args:
        positions: (N, 3) in angstrom, inside the cell or not.
        cell: (3, 3) cell vectors as rows; vectors of directions that are not periodic only give their order.
        pbc: which of them are periodic.

    Raises:
        ValueError: a radius that is not above 0, or too large.

    Refused: positions that are not finite, periodic vectors that span no volume, and atoms so crowded or a cell so
    thin that the search would not end.
    """
    if not 0.0 < radius <= MAX_LENGTH_ANGSTROM:
        raise ValueError(f"expected a radius above 0 and up to {MAX_LENGTH_ANGSTROM:g} angstrom, got {radius}")
    pbc = checked_flags(pbc)
    if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
        return Refusal("positions or cell are not finite")
    if len(positions) and np.abs(positions).max() > MAX_LENGTH_ANGSTROM:
        return Refusal(f"atoms lie more than {MAX_LENGTH_ANGSTROM:g} angstrom from the origin")
    frame = _frame(cell, pbc)
    if frame is None:
        return Refusal("the cell is degenerate: its periodic vectors span no volume")
    periodic = int(np.count_nonzero(pbc))
    fractions = positions @ np.linalg.inv(frame)
    fractions[:, :periodic] -= np.floor(fractions[:, :periodic])
    low = fractions.min(axis=0, initial=np.inf) if len(positions) else np.zeros(3)
    extents = np.linalg.norm(frame, axis=1)
    if periodic < 3 and len(positions):
        extents[periodic:] = np.ptp(fractions[:, periodic:], axis=0)
        fractions[:, periodic:] -= low[periodic:]
    bins, reach = _binning(frame, periodic, extents, radius, len(positions))
    if np.prod(2.0 * reach + 1.0) > MAX_LOOKS:
        return Refusal(f"the cell is too thin to search within {radius:g} angstrom of each atom")
    scale = np.where(np.arange(3) < periodic, 1.0, 1.0 / np.maximum(extents, 1e-9))
    starts, order = _sorted(fractions * scale, bins)
    if _looks(starts, reach) > MAX_LOOKS:
        return Refusal(f"the atoms are too crowded to search within {radius:g} angstrom of each")
    return CellList(frame, periodic, fractions[order] @ frame, order, starts, bins, reach, extents, radius)


def species_of(kinds: Ints) -> tuple[Ints, Ints]:
    """The types that there are, and which of them each atom (N,) is. Raises ValueError for more than 64."""
    names, species = np.unique(kinds, return_inverse=True)
    if len(names) > MAX_SPECIES:
        raise ValueError(f"expected at most {MAX_SPECIES} types of atoms, got {len(names)}")
    return names, species.astype(np.int64)


def _frame(cell: Floats, pbc: Sequence[bool]) -> Floats | None:
    """Periodic vectors first, then unit vectors that complete them; None where the former span nothing."""
    flags = np.asarray(pbc, dtype=bool)
    held = cell[flags]
    sizes = np.linalg.norm(held, axis=1)
    volume = math.sqrt(max(0.0, float(np.linalg.det(held @ held.T)))) if len(held) else 1.0
    if not volume > MIN_VOLUME_SHARE * float(np.prod(sizes)):
        return None
    others = np.concatenate([cell[~flags], np.eye(3)])
    rows = [*held]
    unit = [*np.linalg.qr(held.T)[0].T] if len(held) else []
    for vector in others:
        rest = vector - sum((float(vector @ u) * u for u in unit), start=np.zeros(3))
        if len(rows) < 3 and np.linalg.norm(rest) > 1e-3 * max(float(np.linalg.norm(vector)), 1e-9):
            unit.append(rest / np.linalg.norm(rest))
            rows.append(unit[-1])
    return np.ascontiguousarray(rows)


def _binning(frame: Floats, periodic: int, extents: Floats, radius: float, atoms: int) -> tuple[Ints, Ints]:
    """How many bins lie along each row of the frame, and how many of them the radius spans."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(frame), axis=0)
    heights[periodic:] = np.maximum(extents[periodic:], 1e-9)
    bins = np.maximum(1, np.floor(np.minimum(heights * BINS_IN_RADIUS / radius, 1e9))).astype(np.int64)
    while float(np.prod(bins.astype(float))) > atoms / 2.0 + 64.0:
        bins[bins.argmax()] = max(1, bins.max() // 2)
    reach = np.minimum(np.ceil(radius * bins / heights * (1.0 + 1e-12)), MAX_LOOKS).astype(np.int64)
    reach[periodic:] = np.minimum(reach[periodic:], bins[periodic:] - 1)
    return bins, reach


@compiled
def _sorted(places: Floats, bins: Ints) -> tuple[Ints, Ints]:
    """Start of each bin, and the atoms in the order of their bins, for places (N, 3) in [0, 1]."""
    count = len(places)
    total = bins[0] * bins[1] * bins[2]
    starts = np.zeros(total + 1, dtype=np.int64)
    home = np.empty(count, dtype=np.int64)
    for atom in range(count):
        flat = 0
        for axis in range(3):
            flat = flat * bins[axis] + min(max(int(places[atom, axis] * bins[axis]), 0), bins[axis] - 1)
        home[atom] = flat
        starts[flat + 1] += 1
    for flat in range(total):
        starts[flat + 1] += starts[flat]
    filled = starts[:-1].copy()
    order = np.empty(count, dtype=np.int64)
    for atom in range(count):
        order[filled[home[atom]]] = atom
        filled[home[atom]] += 1
    return starts, order


def _looks(starts: Ints, reach: Ints) -> float:
    """Upper bound on the pairs of atoms to look at, by Cauchy and Schwarz; exact for an even density."""
    inside = np.diff(starts).astype(float)
    return float(np.prod(2.0 * reach + 1.0) * (inside @ inside))


@compiled
def _count(
    points: Floats,
    kinds: Ints,
    frame: Floats,
    starts: Ints,
    bins: Ints,
    reach: Ints,
    periodic: int,
    radius: float,
    width: float,
    histogram: Ints,
    around: Ints,
) -> None:
    """Add each pair to the histogram and to the neighbours of both its atoms.

    Of two offsets between bins that are mirror images the one whose first non-zero number is positive is taken.
    """
    steps, farthest = histogram.shape[2], radius * radius
    place, other, lap = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64), np.empty(3)
    for home in range(len(starts) - 1):
        if starts[home] == starts[home + 1]:
            continue
        place[0], place[1], place[2] = home // (bins[1] * bins[2]), (home // bins[2]) % bins[1], home % bins[2]
        for i in range(0, reach[0] + 1):
            for j in range(0 if i == 0 else -reach[1], reach[1] + 1):
                for k in range(0 if i == 0 and j == 0 else -reach[2], reach[2] + 1):
                    other[0], other[1], other[2] = place[0] + i, place[1] + j, place[2] + k
                    outside = False
                    for axis in range(3):
                        lap[axis] = 0.0
                        if axis < periodic:
                            turns = other[axis] // bins[axis]
                            lap[axis] = turns
                            other[axis] -= turns * bins[axis]
                        elif other[axis] < 0 or other[axis] >= bins[axis]:
                            outside = True
                    if outside:
                        continue
                    there = (other[0] * bins[1] + other[1]) * bins[2] + other[2]
                    x0 = lap[0] * frame[0, 0] + lap[1] * frame[1, 0] + lap[2] * frame[2, 0]
                    y0 = lap[0] * frame[0, 1] + lap[1] * frame[1, 1] + lap[2] * frame[2, 1]
                    z0 = lap[0] * frame[0, 2] + lap[1] * frame[1, 2] + lap[2] * frame[2, 2]
                    same = i == 0 and j == 0 and k == 0
                    for a in range(starts[home], starts[home + 1]):
                        x, y, z = points[a, 0] - x0, points[a, 1] - y0, points[a, 2] - z0
                        for b in range(a + 1 if same else starts[there], starts[there + 1]):
                            dx, dy, dz = points[b, 0] - x, points[b, 1] - y, points[b, 2] - z
                            square = dx * dx + dy * dy + dz * dz
                            if square <= farthest:
                                around[a, kinds[b]] += 1
                                around[b, kinds[a]] += 1
                                step = int(math.sqrt(square) / width)
                                if step < steps:
                                    histogram[kinds[a], kinds[b], step] += 1
