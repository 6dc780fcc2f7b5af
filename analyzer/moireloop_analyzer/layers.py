"""The lower and the upper layer of a bilayer, told apart by height or, where they ripple, by connection (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.box import Box, Floats
from moireloop_analyzer.compiled import compiled
from moireloop_analyzer.neighbours import MAX_CROWD, Ints, area_of, bins_of, extent_of, sorted_into_bins
from moireloop_analyzer.refusal import Refusal

MIN_GAP_ANGSTROM: Final = 2.0
"""Height without atoms that parts two layers; metal planes of MX2 bilayers are about 6 angstrom apart."""

MIN_LAYER_ATOMS: Final = 7
"""Fewest atoms of a layer: the smallest commensurate twisted cell (21.8 degrees) has seven."""

MIN_LAYER_SHARE: Final = 0.05
"""Share of the atoms from which a group counts as a layer and not as stray atoms."""

MAX_SLOPE: Final = 0.75
"""Steepest bond (rise over in-plane length) that still joins two atoms of one rippled layer."""

LONGEST_JOINT_ANGSTROM: Final = 4.5
"""Distance up to which atoms of one layer are joined: above MX2's 3.2 to 3.6, below the distance of layers."""

SLICE_ANGSTROM: Final = 0.5
MOST_SLICES: Final = 100_000


@dataclass(frozen=True)
class Layers:
    """Indices of the atoms of both layers; stray atoms are in neither.

    `points` (N, 3) are the positions given, cut open along the stacking direction so that heights compare.
    """

    lower: Ints
    upper: Ints
    points: Floats


def split_layers(points: Floats, box: Box) -> Layers | Refusal:
    """The two layers that lattice atoms at `points` (N, 3), wrapped into the box, belong to.

    Where the box repeats along the stacking direction it is cut open in the widest gap of the heights, or at its
    own boundary if that gap is nearly as wide. Refused: too few atoms, one layer, more than two, no gap.
    """
    if len(points) < 2 * MIN_LAYER_ATOMS:
        return Refusal(f"expected at least {2 * MIN_LAYER_ATOMS} lattice atoms in two layers, got {len(points)}")
    points = points if box.stacking is None else _cut_open(points, box.stacking, box)
    _, highs = _clusters(points[:, 2], MIN_GAP_ANGSTROM)
    labels, sizes, heights = _by_height(points, highs)
    groups = _large(sizes)
    if len(groups) < 2:
        connected = _connected(points, box)
        if isinstance(connected, Refusal):
            return connected
        labels, sizes, heights = connected
        groups = _large(sizes)
    return _two_of(groups, labels, sizes, heights, points)


def _two_of(groups: list[int], labels: Ints, sizes: Ints, heights: Floats, points: Floats) -> Layers | Refusal:
    if len(groups) == 0:
        return Refusal(
            "no clear gap between layers: the lattice atoms hang together in no group of a twentieth of them"
        )
    if len(groups) == 1:
        return Refusal("no clear gap between layers: the lattice atoms form one layer")
    if len(groups) != 2:
        return Refusal(f"expected two layers, found {len(groups)}")
    fewest = int(min(sizes[group] for group in groups))
    if fewest < MIN_LAYER_ATOMS:
        return Refusal(f"expected at least {MIN_LAYER_ATOMS} lattice atoms in each layer, got {fewest}")
    lower, upper = sorted(groups, key=lambda group: float(heights[group]))
    return Layers(np.flatnonzero(labels == lower), np.flatnonzero(labels == upper), points)


def _large(sizes: Ints) -> list[int]:
    """The groups that hold a fair share of all atoms."""
    counts = sizes.tolist()
    least = MIN_LAYER_SHARE * sum(counts)
    return [group for group, count in enumerate(counts) if count >= least]


def _cut_open(points: Floats, stacking: Floats, box: Box) -> Floats:
    """Positions moved by whole stacking vectors so that the box begins above its widest gap, then wrapped in plane."""
    fractions = points[:, 2] / stacking[2]
    places = fractions - np.floor(fractions)
    lows, highs = _clusters(places * abs(float(stacking[2])), 0.0)
    gaps = np.append(lows[1:], lows[0] + abs(stacking[2])) - highs
    widest = int(gaps.argmax())
    at_boundary = gaps[-1] >= 0.8 * gaps[widest]
    start = 0.0 if at_boundary else float(highs[widest] + 0.5 * gaps[widest]) / abs(float(stacking[2]))
    cut: Floats = points - np.floor(fractions - start)[:, None] * stacking
    cells_off = np.where(box.periodic, np.floor(cut[:, :2] @ box.inverse), 0.0)
    cut[:, :2] -= cells_off @ box.plane
    return cut


@compiled
def _clusters(heights: Floats, least_gap: float) -> tuple[Floats, Floats]:
    """Lowest and highest height of each cluster of heights, from below, with gaps of more than this between them.

    Slices of half an angstrom know their lowest and highest atom, so gaps are exact without sorting all atoms;
    gaps inside a slice are not seen, and such a wide range of heights that slices would be many is sorted.
    """
    low, high = heights.min(), heights.max()
    if high - low > MOST_SLICES * SLICE_ANGSTROM:
        lows = np.sort(heights)
        highs = lows.copy()
    else:
        count = int((high - low) / SLICE_ANGSTROM) + 1
        lows, highs = np.full(count, np.inf), np.full(count, -np.inf)
        for i in range(len(heights)):
            k = min(int((heights[i] - low) / SLICE_ANGSTROM), count - 1)
            lows[k] = min(lows[k], heights[i])
            highs[k] = max(highs[k], heights[i])
    clusters = 0
    for k in range(len(lows)):
        if lows[k] > highs[k]:
            continue
        if clusters > 0 and lows[k] - highs[clusters - 1] <= least_gap:
            highs[clusters - 1] = highs[k]
        else:
            lows[clusters], highs[clusters] = lows[k], highs[k]
            clusters += 1
    return lows[:clusters].copy(), highs[:clusters].copy()


@compiled
def _by_height(points: Floats, highs: Floats) -> tuple[Ints, Ints, Floats]:
    """Group (N,) of each atom, and the size and mean height of each group."""
    labels = np.empty(len(points), dtype=np.int32)
    sizes = np.zeros(len(highs), dtype=np.int64)
    heights = np.zeros(len(highs))
    for i in range(len(points)):
        group = 0
        if len(highs) > 8:
            group = np.searchsorted(highs, points[i, 2])
        else:
            while points[i, 2] > highs[group]:
                group += 1
        labels[i] = group
        sizes[group] += 1
        heights[group] += points[i, 2]
    return labels, sizes, heights / np.maximum(sizes, 1)


def _connected(points: Floats, box: Box) -> tuple[Ints, Ints, Floats] | Refusal:
    """Groups of atoms joined by bonds that are not steep; works where layers ripple by more than their distance."""
    low, high = extent_of(points, box)
    spacing = math.sqrt(4.0 * max(area_of(low, high, box), 1e-6) / (math.sqrt(3.0) * len(points)))
    radius = min(1.5 * spacing, LONGEST_JOINT_ANGSTROM)
    bins = bins_of(low, high, box, radius, len(points))
    if isinstance(bins, Refusal):
        return Refusal(f"no layers found: {bins.reason}")
    atoms, starts, crowd = sorted_into_bins(points, bins)
    if crowd > MAX_CROWD:
        return Refusal(f"no layers found: {crowd} atoms lie within a square of {radius:.3g} angstrom")
    labels = np.empty(len(points), dtype=np.int32)
    labels[atoms] = _joined(points[atoms], starts, *bins.search, radius**2)
    sizes = np.bincount(labels)
    return labels, sizes, np.bincount(labels, points[:, 2]) / sizes


@compiled
def _joined(
    points: Floats,
    starts: Ints,
    counts: tuple[int, int],
    low: tuple[float, float],
    per: tuple[float, float],
    reach: tuple[int, int],
    most: tuple[int, int],
    periodic: tuple[bool, bool],
    inverse: Floats,
    moves: Floats,
    longest2: float,
) -> npt.NDArray[np.int32]:
    """Number (N,) of the group that each atom is joined to, from 0."""
    parent = np.arange(len(points))
    for row in range(counts[0]):
        for column in range(counts[1]):
            home = row * counts[1] + column
            for r in range(row - reach[0], row + reach[0] + 1):
                cell_a = r // counts[0]
                if cell_a != 0 and not periodic[0]:
                    continue
                for c in range(column - reach[1], column + reach[1] + 1):
                    cell_b = c // counts[1]
                    if cell_b != 0 and not periodic[1]:
                        continue
                    code = (cell_a + most[0]) * (2 * most[1] + 1) + cell_b + most[1]
                    place = (r - cell_a * counts[0]) * counts[1] + c - cell_b * counts[1]
                    for i in range(starts[home], starts[home + 1]):
                        for j in range(starts[place], starts[place + 1]):
                            dx = points[j, 0] + moves[code, 0] - points[i, 0]
                            dy = points[j, 1] + moves[code, 1] - points[i, 1]
                            rise = points[j, 2] - points[i, 2]
                            d2 = dx * dx + dy * dy
                            if d2 + rise * rise > longest2 or rise * rise > MAX_SLOPE * MAX_SLOPE * d2:
                                continue
                            a, b = i, j
                            while parent[a] != a:
                                parent[a] = parent[parent[a]]
                                a = parent[a]
                            while parent[b] != b:
                                parent[b] = parent[parent[b]]
                                b = parent[b]
                            parent[max(a, b)] = min(a, b)
    labels = np.empty(len(points), dtype=np.int32)
    groups = 0
    for i in range(len(points)):
        if parent[i] == i:
            labels[i] = groups
            groups += 1
        else:
            labels[i] = labels[parent[i]]
    return labels
