"""Rings of bonds round the cell of a layer, and the places of the atoms where the cell is cut open (pure)."""

from __future__ import annotations

from typing import Final

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.lattice.grain import STEPS

FEWEST_RINGS: Final = 3


@compiled
def gather(
    points: Floats, root: Ints, walk: Ints, wrapped: Ints, plane: Floats, name: int, size: int
) -> tuple[Ints, Floats, Floats]:
    """Atoms (M,), lattice indices (M, 2) and unwrapped positions (M, 2) in angstrom of one set of joined atoms."""
    atoms = np.empty(size, dtype=np.int32)
    indices = np.empty((size, 2))
    places = np.empty((size, 2))
    n = 0
    for i in range(len(root)):
        if root[i] == name:
            a, b = walk[i, 2] + wrapped[i, 0], walk[i, 3] + wrapped[i, 1]
            atoms[n] = i
            indices[n, 0] = walk[i, 0]
            indices[n, 1] = walk[i, 1]
            places[n, 0] = points[i, 0] + a * plane[0, 0] + b * plane[1, 0]
            places[n, 1] = points[i, 1] + a * plane[0, 1] + b * plane[1, 1]
            n += 1
    return atoms, indices, places


@compiled
def laps_of(plane: Floats, vectors: Floats) -> Floats:
    """Whole lattice steps (2, 2) of going once along each row of the plane, for lattice vectors (2, 2) as columns."""
    xx, xy, yx, yy = vectors[0, 0], vectors[0, 1], vectors[1, 0], vectors[1, 1]
    determinant = xx * yy - xy * yx
    laps = np.empty((2, 2))
    for axis in range(2):
        x, y = plane[axis, 0], plane[axis, 1]
        laps[axis, 0] = np.rint((yy * x - xy * y) / determinant)
        laps[axis, 1] = np.rint((xx * y - yx * x) / determinant)
    return laps


@compiled
def rings_of(
    points: Floats, moves: Floats, root: Ints, walk: Ints, crossing: Ints, name: int, laps: Floats, vectors: Floats
) -> Floats:
    """The rings of bonds of one set round each direction of the cell.

    A direction takes the rings that go round it and round no other; where these are few, all rings that go round it.

    Args:
        points, moves: of the bonds.
        root, walk, crossing: as of `join_grains`.
        name: of the set.
        laps: (2, 2) lattice steps that rings round the two directions may be.
        vectors: (2, 2) lattice vectors as columns, in angstrom.

    Returns:
        For each direction (2, 4) how many rings there are, how many of them agree with its lap, and by how much the
        bonds through the cut miss their lattice steps on average, x and y in angstrom.
    """
    counts = np.zeros((2, 2, 2))
    rings = np.zeros((2, 4))
    through = np.zeros(2)
    for c in range(len(crossing)):
        i, j, code, step = crossing[c, 0], crossing[c, 1], crossing[c, 2] // STEPS, crossing[c, 2] % STEPS
        if root[i] != name or root[j] != name:
            continue
        a, b = walk[i, 2] - walk[j, 2] + crossing[c, 3], walk[i, 3] - walk[j, 3] + crossing[c, 4]
        if a == 0 and b == 0:
            continue
        m, n = step // 3 - 1, step % 3 - 1
        ex = points[j, 0] + moves[code, 0] - points[i, 0] - vectors[0, 0] * m - vectors[0, 1] * n
        ey = points[j, 1] + moves[code, 1] - points[i, 1] - vectors[1, 0] * m - vectors[1, 1] * n
        m += walk[i, 0] - walk[j, 0]
        n += walk[i, 1] - walk[j, 1]
        agrees = m == a * laps[0, 0] + b * laps[1, 0] and n == a * laps[0, 1] + b * laps[1, 1]
        for axis in range(2):
            cut = crossing[c, 3 + axis]
            rings[axis, 2] += ex * cut
            rings[axis, 3] += ey * cut
            through[axis] += abs(cut)
            around, other = (a, b) if axis == 0 else (b, a)
            if around != 0:
                kind = 0 if other == 0 else 1
                counts[axis, kind, 0] += 1.0
                counts[axis, kind, 1] += 1.0 if agrees else 0.0
    for axis in range(2):
        for part in range(2):
            others = counts[axis, 1, part] if counts[axis, 0, 0] < FEWEST_RINGS else 0.0
            rings[axis, part] = counts[axis, 0, part] + others
            rings[axis, 2 + part] /= max(through[axis], 1.0)
    return rings
