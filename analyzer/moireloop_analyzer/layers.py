"""The lower and the upper layer of a bilayer, told apart by height or, where they ripple, by connection (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from moireloop_analyzer.box import Box
from moireloop_analyzer.neighbours import Floats, Ints, pairs_within, why_unsearchable
from moireloop_analyzer.refusal import Refusal

MIN_GAP_ANGSTROM: Final = 2.0
"""Height without atoms that parts two layers; metal planes of MX2 bilayers are about 6 angstrom apart."""

MIN_LAYER_ATOMS: Final = 7
"""Fewest atoms of a layer: the smallest commensurate twisted cell (21.8 degrees) has seven."""

MIN_LAYER_SHARE: Final = 0.1
"""Share of the atoms from which a group counts as a layer and not as stray atoms."""

MAX_SLOPE: Final = 0.8
"""Steepest bond (rise over in-plane length) that still joins two atoms of one rippled layer."""


@dataclass(frozen=True)
class Layers:
    """Indices of the atoms of both layers; stray atoms are in neither.

    `points` (N, 3) are the positions given, cut open along the stacking direction so that heights compare.
    """

    lower: Ints
    upper: Ints
    points: Floats


def split_layers(points: Floats, box: Box) -> Layers | Refusal:
    """The two layers that lattice atoms at `points` (N, 3), in the axes of the box, belong to.

    Where the box repeats along the stacking direction it is cut open in the widest gap of the heights, or at its
    own boundary if that gap is nearly as wide. Refused: too few atoms, one layer, more than two, no gap.
    """
    if len(points) < 2 * MIN_LAYER_ATOMS:
        return Refusal(f"expected at least {2 * MIN_LAYER_ATOMS} lattice atoms in two layers, got {len(points)}")
    points = points if box.stacking is None else _cut_open(points, box.stacking)
    groups = _large(_groups_by_height(points[:, 2]), len(points))
    if len(groups) < 2:
        connected = _groups_by_connection(points, box)
        if isinstance(connected, Refusal):
            return connected
        groups = _large(connected, len(points))
    return _two_of(groups, points)


def _two_of(groups: list[Ints], points: Floats) -> Layers | Refusal:
    if len(groups) == 1:
        return Refusal("no clear gap between layers: the lattice atoms form one layer")
    if len(groups) != 2:
        return Refusal(f"expected two layers, found {len(groups)}")
    lower, upper = sorted(groups, key=lambda group: float(points[group, 2].mean()))
    fewest = min(len(lower), len(upper))
    if fewest < MIN_LAYER_ATOMS:
        return Refusal(f"expected at least {MIN_LAYER_ATOMS} lattice atoms in each layer, got {fewest}")
    return Layers(lower, upper, points)


def _cut_open(points: Floats, stacking: Floats) -> Floats:
    """Positions moved by whole stacking vectors so that the box begins above its widest gap in height."""
    heights = points[:, 2] / stacking[2]
    places = heights - np.floor(heights)
    ordered = np.sort(places)
    gaps = np.append(np.diff(ordered), ordered[0] + 1.0 - ordered[-1])
    widest = int(gaps.argmax())
    at_boundary = gaps[-1] >= 0.8 * gaps[widest]
    start = 0.0 if at_boundary else float(ordered[widest] + 0.5 * gaps[widest])
    moved = np.floor(heights - start)
    cut: Floats = points - moved[:, None] * stacking
    return cut


def _groups_by_height(heights: Floats) -> list[Ints]:
    order = np.argsort(heights, kind="stable")
    breaks = np.flatnonzero(np.diff(heights[order]) > MIN_GAP_ANGSTROM) + 1
    return [np.sort(group) for group in np.split(order, breaks)]


def _groups_by_connection(points: Floats, box: Box) -> list[Ints] | Refusal:
    """Atoms joined by bonds that are not steep; works where layers ripple by more than their distance."""
    plane, flat = box.plane, np.ascontiguousarray(points[:, :2])
    area = box.area if all(box.periodic) else float(np.prod(np.ptp(flat, axis=0)))
    reach = 1.5 * math.sqrt(4.0 * max(area, 1e-6) / (math.sqrt(3.0) * len(points)))
    reason = why_unsearchable(flat, plane, box.periodic, reach)
    if reason is not None:
        return Refusal(f"no layers found: {reason}")
    pairs = pairs_within(flat, plane, box.periodic, reach)
    rise = np.abs(points[pairs.second, 2] - points[pairs.first, 2])
    joined = pairs.where(rise <= MAX_SLOPE * np.linalg.norm(pairs.vectors, axis=1))
    count = len(points)
    graph = coo_matrix((np.ones(len(joined)), (joined.first, joined.second)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _large(groups: list[Ints], count: int) -> list[Ints]:
    return [group for group in groups if len(group) >= MIN_LAYER_SHARE * count]
