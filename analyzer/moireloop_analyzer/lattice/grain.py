"""Lattice indices of the atoms of a layer that hang together by good bonds (pure).

Atoms are joined bond by bond, the good bonds first, those through a cut of the cell last, and each set of joined atoms
knows by how many lattice steps its atoms are apart. The cut is laid where a seam is likeliest, if the layer has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.lattice.bond_fit import MAX_STRETCH
from moireloop_analyzer.lattice.seams import SAMPLED_ATOMS, SAMPLED_PER_EDGE, cuts_of, edges_of, look_across

STEPS: Final = 9
"""A lattice step of a bond, m and n, is kept as 3 (m + 1) + n + 1, and with its image as STEPS * image + that."""


@dataclass(frozen=True)
class Grains:
    """Sets of atoms joined by good bonds of one lattice.

    `root` (N,) is the set of each atom, named after one of its atoms; -1 for atoms that were not asked for. `sizes`
    (N,) is how many atoms each set has, at its name. `wrapped` (N, 2) are the cells by which an atom moves where the
    cell is cut open. Cells are counted along the rows of `plane` (2, 2), in angstrom, which span the same cells as a
    and b do: m cells along a and n along b are `basis @ (m, n)` of these.
    """

    root: Ints
    sizes: Ints
    wrapped: Ints
    basis: Ints
    plane: Floats


@compiled
def _graded(
    points: Floats,
    table: Ints,
    codes: Ints,
    counts: Ints,
    moves: Floats,
    duals: Floats,
    member: npt.NDArray[np.bool_],
    vectors: Floats,
    tight: float,
    loose: float,
    edges: Ints,
    step: int,
) -> tuple[Ints, int, Ints, int, Floats]:
    """The tight and the loose bonds of a lattice, how many of each there are, and the edges' sums.

    A bond (3,) is its first atom, its second one, and its image and lattice step. Each step-th atom's bonds show the
    edges that they cross; where all atoms' do, a bond that both of its atoms have is looked at once.
    """
    most = 0
    for i in range(len(points)):
        most += counts[i]
    tight_bonds = np.empty((most, 3), dtype=np.int32)
    loose_bonds = np.empty((most, 3), dtype=np.int32)
    tight_ones = loose_ones = 0
    sums = np.zeros((len(edges), max(edges[0], edges[1], edges[2], edges[3], 1), 4))
    xx, xy, yx, yy = vectors[0, 0], vectors[0, 1], vectors[1, 0], vectors[1, 1]
    determinant = xx * yy - xy * yx
    mx, my, nx, ny = yy / determinant, -xy / determinant, -yx / determinant, xx / determinant
    for i in range(len(points)):
        if not member[i]:
            continue
        looks = step == 1 or i % step == 0
        for k in range(counts[i]):
            j, code = table[i, k], codes[i, k]
            once = step == 1 and counts[i] < table.shape[1] and counts[j] < table.shape[1]
            if (j < i and (once or not looks)) or not member[j]:
                continue
            x = points[j, 0] + moves[code, 0] - points[i, 0]
            y = points[j, 1] + moves[code, 1] - points[i, 1]
            m, n = np.rint(mx * x + my * y), np.rint(nx * x + ny * y)
            ex, ey = x - xx * m - xy * n, y - yx * m - yy * n
            misfit2 = ex * ex + ey * ey
            good = m * m + m * n + n * n == 1.0 and misfit2 <= loose * loose
            if good and j >= i:
                packed = STEPS * code + 3 * (int(m) + 1) + int(n) + 1
                if misfit2 <= tight * tight:
                    tight_bonds[tight_ones, 0], tight_bonds[tight_ones, 1] = i, j
                    tight_bonds[tight_ones, 2] = packed
                    tight_ones += 1
                else:
                    loose_bonds[loose_ones, 0], loose_bonds[loose_ones, 1] = i, j
                    loose_bonds[loose_ones, 2] = packed
                    loose_ones += 1
            if looks:
                look_across(points[i, 0], points[i, 1], x, y, good, ex, ey, once and j > i, duals, edges, sums)
    return tight_bonds, tight_ones, loose_bonds, loose_ones, sums


@compiled
def _root(parent: Ints, walk: Ints, atom: int) -> int:
    """Name of the set of an atom; the walks of all atoms on the way to it are made relative to it."""
    root = atom
    w0 = w1 = w2 = w3 = 0
    while parent[root] != root:
        w0 += walk[root, 0]
        w1 += walk[root, 1]
        w2 += walk[root, 2]
        w3 += walk[root, 3]
        root = parent[root]
    while parent[atom] != root and atom != root:
        above = parent[atom]
        o0, o1, o2, o3 = walk[atom, 0], walk[atom, 1], walk[atom, 2], walk[atom, 3]
        walk[atom, 0], walk[atom, 1], walk[atom, 2], walk[atom, 3] = w0, w1, w2, w3
        parent[atom] = root
        w0, w1, w2, w3 = w0 - o0, w1 - o1, w2 - o2, w3 - o3
        atom = above
    return root


@compiled
def _join(i: int, j: int, step: int, cell_a: int, cell_b: int, parent: Ints, walk: Ints, sizes: Ints) -> int:
    """Join the sets of two atoms by the lattice step and cells from one to the other; 1 if they were two, else 0."""
    if parent[i] == parent[j]:
        return 0
    a, b = _root(parent, walk, i), _root(parent, walk, j)
    if a == b:
        return 0
    m = walk[i, 0] + step // 3 - 1 - walk[j, 0]
    n = walk[i, 1] + step % 3 - 1 - walk[j, 1]
    cell_a += walk[i, 2] - walk[j, 2]
    cell_b += walk[i, 3] - walk[j, 3]
    if sizes[a] < sizes[b]:
        a, b = b, a
        m, n, cell_a, cell_b = -m, -n, -cell_a, -cell_b
    parent[b] = a
    sizes[a] += sizes[b]
    walk[b, 0], walk[b, 1], walk[b, 2], walk[b, 3] = m, n, cell_a, cell_b
    return 1


@compiled
def _join_inside(
    bonds: Ints,
    count: int,
    cells: Ints,
    wrapped: Ints,
    parent: Ints,
    walk: Ints,
    sizes: Ints,
    left: int,
    crossing: Ints,
    through: int,
) -> tuple[int, int]:
    """Join atoms by the first `count` bonds except those through the cut, which are listed in `crossing`.

    How many sets may still be joined, and how many bonds are listed.
    """
    for bond in range(count):
        i, j, packed = bonds[bond, 0], bonds[bond, 1], bonds[bond, 2]
        code, step = packed // STEPS, packed % STEPS
        cell_a = cells[code, 0] - wrapped[j, 0] + wrapped[i, 0]
        cell_b = cells[code, 1] - wrapped[j, 1] + wrapped[i, 1]
        if cell_a != 0 or cell_b != 0:
            crossing[through, 0], crossing[through, 1], crossing[through, 2] = i, j, packed
            crossing[through, 3], crossing[through, 4] = cell_a, cell_b
            through += 1
        elif left > 0:
            left -= _join(i, j, step, 0, 0, parent, walk, sizes)
    return left, through


@compiled
def _wrap(points: Floats, duals: Floats, edges: Ints, axis: int, cut: float, wrapped: Ints, column: int) -> None:
    """Fill in a column of the cells (N, 2) by which atoms move where the cell is cut open along one coordinate."""
    for i in range(len(points)):
        place = points[i, 0] * duals[0, axis] + points[i, 1] * duals[1, axis] - cut
        wrapped[i, column] = -int(np.floor(place)) if edges[axis] > 0 else 0


@compiled
def join_grains(
    points: Floats,
    table: Ints,
    codes: Ints,
    counts: Ints,
    images: Ints,
    moves: Floats,
    grid: Ints,
    frame: Floats,
    member: npt.NDArray[np.bool_],
    plane: Floats,
    spacing: float,
    vectors: Floats,
    scale: float,
) -> tuple[Ints, Ints, Ints, Ints, Floats, Ints, Ints]:
    """Join the atoms in the mask `member` (N,) by the bonds that follow a lattice.

    Args:
        plane: (2, 2) with a and b as rows, in angstrom.
        vectors, scale: the lattice (2, 2) as columns, and how bonds scatter about it, in angstrom.
        points to frame, spacing: parts of `Bonds` and their `Bins`.

    Returns:
        The parts of `Grains`; `walk` (N, 4), the way to each atom from the one that its set is named after, in lattice
        steps and in cells; and the good bonds through the cut (C, 5): first atom, second, image and lattice step, and
        the two numbers of cells between the atoms where they stand when the cell is cut open.
    """
    loose = min(MAX_STRETCH * spacing, max(6.0 * scale, 0.1 * spacing))
    tight = min(loose, max(2.5 * scale, 0.02 * spacing))
    variance = max(scale, 0.005 * spacing) ** 2
    total = len(points)
    coordinates, duals, edges = edges_of(plane, grid, frame, total, spacing)
    step = 1 + (total - 1) // max(SAMPLED_ATOMS, SAMPLED_PER_EDGE * max(edges[0], edges[1], edges[2], edges[3]))
    tight_bonds, tight_ones, loose_bonds, loose_ones, sums = _graded(
        points, table, codes, counts, moves, duals, member, vectors, tight, loose, edges, step
    )
    first, second, cut_a, cut_b = cuts_of(sums, edges, variance)
    p, q, r, t = coordinates[first, 0], coordinates[first, 1], coordinates[second, 0], coordinates[second, 1]
    basis = np.empty((2, 2), dtype=np.int64)
    basis[0, 0], basis[0, 1], basis[1, 0], basis[1, 1] = p, q, r, t
    spanned = np.empty((2, 2))
    for axis in range(2):
        spanned[0, axis] = (t * plane[0, axis] - r * plane[1, axis]) / (p * t - q * r)
        spanned[1, axis] = (p * plane[1, axis] - q * plane[0, axis]) / (p * t - q * r)
    wrapped = np.empty((total, 2), dtype=np.int8)
    _wrap(points, duals, edges, first, cut_a, wrapped, 0)
    _wrap(points, duals, edges, second, cut_b, wrapped, 1)
    cells = np.empty((len(images), 2), dtype=np.int64)
    for code in range(len(images)):
        cells[code, 0] = p * images[code, 0] + q * images[code, 1]
        cells[code, 1] = r * images[code, 0] + t * images[code, 1]
    root = np.empty(total, dtype=np.int32)
    walk = np.zeros((total, 4), dtype=np.int32)
    sizes = np.ones(total, dtype=np.int32)
    left = -1
    for i in range(total):
        root[i] = i
        left += member[i]
    crossing = np.empty((tight_ones + loose_ones, 5), dtype=np.int32)
    left, through = _join_inside(tight_bonds, tight_ones, cells, wrapped, root, walk, sizes, left, crossing, 0)
    left, through = _join_inside(loose_bonds, loose_ones, cells, wrapped, root, walk, sizes, left, crossing, through)
    for bond in range(through):
        if left == 0:
            break
        i, j, at = crossing[bond, 0], crossing[bond, 1], crossing[bond, 2] % STEPS
        left -= _join(i, j, at, crossing[bond, 3], crossing[bond, 4], root, walk, sizes)
    for i in range(total):
        if _root(root, walk, i) != i or not member[i]:
            sizes[i] = 0
    for i in range(total):
        if not member[i]:
            root[i] = -1
    return root, sizes, wrapped, basis, spanned, walk, crossing[:through]
