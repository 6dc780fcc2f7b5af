"""The lower and the upper layer of a bilayer, separated by height or, where they ripple, by connection (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.bins import Ints, binned, find_runs, runs_for
from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.layers.neighbours import bonds_of
from moireloop_analyzer.refusal import Refusal

MIN_GAP_ANGSTROM: Final = 2.0
"""Height without atoms that parts two layers; metal planes of MX2 bilayers are about 6 angstrom apart."""

MIN_LAYER_ATOMS: Final = 7
"""Fewest atoms of a layer: the smallest commensurate twisted cell (21.8 degrees) has seven."""

MIN_LAYER_SHARE: Final = 0.05
"""Share of the atoms from which a group counts as a layer and not as stray atoms."""

LAYERS_APART_ANGSTROM: Final = 3.2
"""Planes that are nearer than this, and than NEAR_PLANES bonds in them, are of one layer: graphene's are 3.35 apart."""

NEAR_PLANES: Final = 1.5

MAX_SLOPE: Final = 0.75
"""Steepest bond (rise over in-plane length) that still joins two atoms of one rippled layer."""

JOINED: Final = 1.5 * math.sqrt(2.0)
"""Joints are sought up to one and a half spacings of layers that have half of the atoms each."""

LONGEST_JOINT_ANGSTROM: Final = 4.5
"""Distance up to which atoms of one layer are joined: above MX2's 3.2 to 3.6, below the distance of layers."""

SLICE_ANGSTROM: Final = 0.5

MOST_SLICES: Final = 100_000


@dataclass(frozen=True)
class Layers:
    """Both layers: the atoms (N,) of each and their positions (N, 3); stray atoms are in neither.

    The positions are those given, cut open along the stacking direction so that heights compare.
    """

    lower: Ints
    upper: Ints
    lower_points: Floats
    upper_points: Floats


def split_layers(atoms: Ints, points: Floats, box: Box) -> Layers | Refusal:
    """The two layers that lattice atoms (N,) at `points` (N, 3), wrapped into the box, belong to.

    Where the box repeats along the stacking direction it is cut open in the widest gap of the heights, or at its
    own boundary if that gap is nearly as wide. Refused: too few atoms, one layer, more than two, no gap, and layers of
    several planes, such as the two of indium in InSe, 2.8 angstrom apart.
    """
    if len(points) < 2 * MIN_LAYER_ATOMS:
        return Refusal(f"expected at least {2 * MIN_LAYER_ATOMS} lattice atoms in two layers, got {len(points)}")
    points = points if box.stacking is None else _cut_open(points, box.stacking, box)
    labels, sizes, heights = _by_height(points, MIN_GAP_ANGSTROM)
    groups = _large(sizes)
    if len(groups) < 2:
        connected = _connected(points, box)
        if isinstance(connected, Refusal):
            return connected
        labels, sizes, heights = connected
        groups = _large(sizes)
    stacked = _stacked_planes(groups, heights, points, labels, box)
    if stacked is not None:
        return stacked
    chosen = _two_of(groups, sizes, heights)
    return chosen if isinstance(chosen, Refusal) else Layers(*_parted(atoms, points, labels, sizes, *chosen))


def _stacked_planes(groups: list[int], heights: Floats, points: Floats, labels: Ints, box: Box) -> Refusal | None:
    """Why there are not two layers of one plane each where some of the groups are planes of one layer."""
    planes = sorted(groups, key=lambda group: heights[group])
    layers = [planes[:1]]
    for below, plane in pairwise(planes):
        apart = float(heights[plane] - heights[below])
        if apart < LAYERS_APART_ANGSTROM and apart < NEAR_PLANES * _spacing_of(points[labels == below], box):
            layers[-1].append(plane)
        else:
            layers.append([plane])
    several = next((number for number, layer in enumerate(layers) if len(layer) > 1), None)
    if several is None:
        return None
    one, other = layers[several][:2]
    what = f"{len(layers[several])} planes of atoms, {heights[other] - heights[one]:.1f} angstrom apart"
    if len(layers) == 1:
        return Refusal(f"no clear gap between layers: the lattice atoms form one layer with {what}")
    name = f"{('lower', 'upper')[several]} layer" if len(layers) == 2 else f"layer {several + 1} of {len(layers)}"
    return Refusal(f"{name}: it has {what}; a layer of one plane is expected")


def _spacing_of(points: Floats, box: Box) -> float:
    """Distance of neighbours within a plane of atoms (N, 3), 0 where there is none."""
    bonds = bonds_of(points, box)
    return 0.0 if isinstance(bonds, Refusal) else bonds.spacing


def _two_of(groups: list[int], sizes: Ints, heights: Floats) -> tuple[int, int] | Refusal:
    """The groups that are the lower and the upper layer."""
    if len(groups) == 0:
        return Refusal("no clear gap between layers: no connected group holds a twentieth of the lattice atoms")
    if len(groups) == 1:
        return Refusal("no clear gap between layers: the lattice atoms form one layer")
    if len(groups) != 2:
        return Refusal(f"expected two layers, found {len(groups)}")
    one, other = groups
    fewest = int(min(sizes[one], sizes[other]))
    if fewest < MIN_LAYER_ATOMS:
        return Refusal(f"expected at least {MIN_LAYER_ATOMS} lattice atoms in each layer, got {fewest}")
    return (one, other) if heights[one] <= heights[other] else (other, one)


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
def _by_height(points: Floats, least_gap: float) -> tuple[Ints, Ints, Floats]:
    """Group (N,) of each atom, parted by gaps of more than this, and the size and mean height of each group."""
    rises = np.empty(len(points))
    for i in range(len(points)):
        rises[i] = points[i, 2]
    _, highs = _clusters(rises, least_gap)
    labels = np.empty(len(points), dtype=np.int32)
    sizes = np.zeros(len(highs), dtype=np.int64)
    heights = np.zeros(len(highs))
    for i in range(len(points)):
        low, high = 0, len(highs) - 1
        while low < high:
            middle = (low + high) // 2
            if rises[i] > highs[middle]:
                low = middle + 1
            else:
                high = middle
        labels[i] = low
        sizes[low] += 1
        heights[low] += rises[i]
    for group in range(len(sizes)):
        heights[group] /= max(sizes[group], 1)
    return labels, sizes, heights


@compiled
def _parted(
    atoms: Ints, points: Floats, labels: Ints, sizes: Ints, lower: int, upper: int
) -> tuple[Ints, Ints, Floats, Floats]:
    """The parts of `Layers`."""
    lower_atoms = np.empty(sizes[lower], dtype=np.int64)
    upper_atoms = np.empty(sizes[upper], dtype=np.int64)
    lower_points = np.empty((sizes[lower], 3))
    upper_points = np.empty((sizes[upper], 3))
    m = n = 0
    for i in range(len(labels)):
        if labels[i] == lower:
            lower_atoms[m] = atoms[i]
            for axis in range(3):
                lower_points[m, axis] = points[i, axis]
            m += 1
        elif labels[i] == upper:
            upper_atoms[n] = atoms[i]
            for axis in range(3):
                upper_points[n, axis] = points[i, axis]
            n += 1
    return lower_atoms, upper_atoms, lower_points, upper_points


def _connected(points: Floats, box: Box) -> tuple[Ints, Ints, Floats] | Refusal:
    """Groups of atoms joined by bonds that are not steep; works where layers ripple by more than their distance."""
    bins = binned(points, box, JOINED, LONGEST_JOINT_ANGSTROM)
    if isinstance(bins, Refusal):
        return Refusal(f"no layers found: {bins.reason}")
    return _joined(points, bins.order, bins.grid, bins.starts, bins.moves, bins.radius**2)


@compiled
def _top(parent: Ints, atom: int) -> int:
    """The first atom of the group of an atom; the ways there are halved."""
    while parent[atom] != atom:
        parent[atom] = parent[parent[atom]]
        atom = parent[atom]
    return atom


@compiled
def _joined(
    points: Floats, order: Ints, grid: Ints, starts: Ints, moves: Floats, longest2: float
) -> tuple[Ints, Ints, Floats]:
    """Number (N,) of the group that each atom is joined to, from 0, and the size and mean height of each group."""
    total = len(points)
    parent = np.arange(total)
    runs = runs_for(grid)
    for home in range(len(starts) - 1):
        if starts[home] == starts[home + 1]:
            continue
        count = find_runs(home, grid, starts, runs)
        for r in range(count):
            code = runs[r, 2]
            for s in range(starts[home], starts[home + 1]):
                i = order[s]
                for t in range(runs[r, 0], runs[r, 1]):
                    j = order[t]
                    dx = points[j, 0] + moves[code, 0] - points[i, 0]
                    dy = points[j, 1] + moves[code, 1] - points[i, 1]
                    rise = points[j, 2] - points[i, 2]
                    d2 = dx * dx + dy * dy
                    if d2 + rise * rise > longest2 or rise * rise > MAX_SLOPE * MAX_SLOPE * d2:
                        continue
                    a, b = _top(parent, s), _top(parent, t)
                    parent[max(a, b)] = min(a, b)
    labels = np.empty(total, dtype=np.int32)
    numbers = np.empty(total, dtype=np.int32)
    sizes = np.zeros(total, dtype=np.int64)
    heights = np.zeros(total)
    groups = 0
    for s in range(total):
        if parent[s] == s:
            numbers[s] = groups
            groups += 1
        else:
            numbers[s] = numbers[parent[s]]
        labels[order[s]] = numbers[s]
        sizes[numbers[s]] += 1
        heights[numbers[s]] += points[order[s], 2]
    for group in range(groups):
        heights[group] /= sizes[group]
    return labels, sizes[:groups].copy(), heights[:groups].copy()
