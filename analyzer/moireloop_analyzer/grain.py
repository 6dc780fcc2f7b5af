"""Lattice indices of the atoms of a layer that hang together by good bonds (pure).

Atoms are joined bond by bond, the good bonds first, those through a cut of the cell last, and each set of joined atoms
knows by how many lattice steps its atoms are apart. The cut is laid where a seam is likeliest, if the layer has one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.bond_fit import MAX_STRETCH, BondFit
from moireloop_analyzer.box import Floats
from moireloop_analyzer.compiled import compiled
from moireloop_analyzer.neighbours import Bonds, Ints

COORDINATES: Final[Ints] = np.array([[1, 0], [0, 1], [1, 1], [1, -1]])
"""Rows: fractions along a and b, and what is constant along a - b and a + b; any two but the last two give the cell."""

PAIRS: Final[Ints] = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]])
CLEARLY: Final = 1.3
SURELY: Final = 60.0
"""Seams along other directions than a and b must be likelier by this factor, and by so much: seven bonds."""

BAD: Final = 3.0
"""A bond that is missing or bad counts as much as one of so many standard deviations where a seam is looked for."""

FEWEST_RINGS: Final = 3
MOST_REDUCTIONS: Final = 50
STICKY: Final = 1.0 - 1e-6
TIGHT, LOOSE = 2, 1
SAMPLED_ATOMS: Final = 2000
SAMPLED_PER_EDGE: Final = 30
EDGES_PER_ROW: Final = 4


@dataclass(frozen=True)
class Grains:
    """Sets of atoms joined by good bonds of one lattice.

    `root` (N,) is the set of each atom, named after one of its atoms; -1 for atoms that were not asked for. `walk`
    (N, 4) is the way to each atom from that one, in lattice steps and in cells, and `wrapped` (N, 2) the cells by which
    an atom moves where the cell is cut open. Cells are counted along the rows of `plane` (2, 2), in angstrom, which
    span the same cells as a and b do: m cells along a and n along b are `basis @ (m, n)` of these. `sizes` (N,) is how
    many atoms each set has, at its name. `crossing` (B, 2) are the good bonds through the cut, by atom and neighbour,
    and `steps` (N, K) the lattice step of each good bond as 3 (m + 1) + n + 1.
    """

    root: Ints
    walk: Ints
    wrapped: Ints
    sizes: Ints
    crossing: Ints
    steps: Ints
    basis: Ints
    plane: Floats

    @property
    def largest(self) -> int:
        """Name of the largest set."""
        return int(self.sizes.argmax())


@dataclass(frozen=True)
class Rings:
    """Rings of bonds round one direction of the cell.

    There are `count` of them, `agreed` of which agree with a lap; the bonds through the cut miss their lattice steps by
    `offset` (2,) on average, in angstrom.
    """

    count: int
    agreed: int
    offset: tuple[float, float]


def grains_of(bonds: Bonds, fit: BondFit, member: npt.NDArray[np.bool_], plane: Floats) -> Grains:
    """Join the atoms in the mask `member` (N,) by the bonds that follow a lattice; `plane` (2, 2) has a and b as rows.

    Seams may lie along a, b, a + b or a - b of the reduced cell (its shortest vectors): it is cut open along those two
    of these along which a seam is likeliest.
    """
    spacing, bins = bonds.spacing, bonds.bins
    loose = min(MAX_STRETCH * spacing, max(6.0 * fit.scale, 0.1 * spacing))
    tight = min(loose, max(2.5 * fit.scale, 0.02 * spacing))
    coordinates = COORDINATES @ _reduced(plane) if all(bins.periodic) else COORDINATES
    duals = bins.inverse @ coordinates.T
    rows = EDGES_PER_ROW * int(math.sqrt(len(bonds.points))) + 64
    wraps = (*bins.periodic, all(bins.periodic), all(bins.periodic))
    edges = [
        max(1, min(int(1.0 / (math.hypot(x, y) * spacing)), rows)) if cut else 0
        for (x, y), cut in zip(duals.T.tolist(), wraps, strict=True)
    ]
    step = 1 + (len(bonds.points) - 1) // max(SAMPLED_ATOMS, SAMPLED_PER_EDGE * max(edges))
    root, walk, wrapped, sizes, crossing, steps, basis = _grains(
        bonds.points,
        bonds.table,
        bonds.codes,
        bonds.counts,
        bins.images,
        bins.moves,
        coordinates,
        duals,
        member,
        fit.vectors,
        (tight, loose, max(fit.scale, 0.005 * spacing) ** 2),
        np.array(edges),
        step,
    )
    (p, q), (r, t) = basis.tolist()
    size = p * t - q * r
    plane = np.array([[t, -r], [-q, p]]) @ plane / size
    return Grains(root, walk, wrapped, sizes, crossing, steps, basis, plane)


def _reduced(plane: Floats) -> Ints:
    """Rows: the fractions along the shortest two vectors of a cell, as sums of those along a and b (Gauss's reduction).

    A cell whose vectors are as short as can be stays as it is.
    """
    (ax, ay), (bx, by) = plane.tolist()
    one, other = (1, 0), (0, 1)
    for _ in range(MOST_REDUCTIONS):
        along = ax * bx + ay * by
        if ax * ax + ay * ay <= bx * bx + by * by:
            times = round(along / (ax * ax + ay * ay) * STICKY)
            bx, by = bx - times * ax, by - times * ay
            one = (one[0] + times * other[0], one[1] + times * other[1])
        else:
            times = round(along / (bx * bx + by * by) * STICKY)
            ax, ay = ax - times * bx, ay - times * by
            other = (other[0] + times * one[0], other[1] + times * one[1])
        if times == 0:
            break
    return np.array([one, other])


def places_of(bonds: Bonds, grains: Grains, name: int) -> tuple[Ints, Floats, Floats]:
    """Atoms (M,), lattice indices (M, 2) and unwrapped positions (M, 2) in angstrom of one set."""
    return _gathered(
        bonds.points, grains.root, grains.walk, grains.wrapped, name, int(grains.sizes[name]), grains.plane
    )


def rings_of(bonds: Bonds, grains: Grains, name: int, laps: Ints, vectors: Floats) -> tuple[Rings, Rings]:
    """The rings of bonds of one set round a and round b.

    Rings round one direction alone tell of it, or where these are few all that go round it.

    Args:
        name: of the set.
        laps: (2, 2) lattice steps that rings round a and b may be.
        vectors: (2, 2) lattice vectors as columns, in angstrom.
    """
    counts, offsets = _rings(
        bonds.points,
        bonds.table,
        bonds.codes,
        bonds.bins.images,
        bonds.bins.moves,
        grains.root,
        grains.walk,
        grains.wrapped,
        grains.crossing,
        grains.steps,
        grains.basis,
        name,
        laps,
        vectors,
    )
    found = []
    for ((alone, alone_agreed), (any_, any_agreed)), offset in zip(counts.tolist(), offsets.tolist(), strict=True):
        enough = alone >= FEWEST_RINGS
        found.append(Rings(alone if enough else any_, alone_agreed if enough else any_agreed, tuple(offset)))
    return found[0], found[1]


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
    limits: tuple[float, float, float],
    edges: Ints,
    step: int,
) -> tuple[Ints, Ints, Floats]:
    """Grade (N, K) of each bond, 0 where it is none of the lattice's, its lattice step (N, K), and the edges' sums.

    The plane has edges parallel to b, a, a - b and a + b, and each step-th atom's bonds tell of those that they cross:
    good and bad bonds, and the sum of misfits of the good ones, shape (4, 4, edges).
    """
    grades = np.zeros(table.shape, dtype=np.int8)
    steps = np.empty(table.shape, dtype=np.int8)
    sums = np.zeros((len(edges), 4, max(edges.max(), 1)))
    xx, xy, yx, yy = vectors[0, 0], vectors[0, 1], vectors[1, 0], vectors[1, 1]
    determinant = xx * yy - xy * yx
    mx, my, nx, ny = yy / determinant, -xy / determinant, -yx / determinant, xx / determinant
    tight2, loose2 = limits[0] * limits[0], limits[1] * limits[1]
    for i in range(len(points)):
        if not member[i]:
            continue
        for k in range(counts[i]):
            j, code = table[i, k], codes[i, k]
            if not member[j]:
                continue
            x = points[j, 0] + moves[code, 0] - points[i, 0]
            y = points[j, 1] + moves[code, 1] - points[i, 1]
            m, n = np.rint(mx * x + my * y), np.rint(nx * x + ny * y)
            ex, ey = x - xx * m - xy * n, y - yx * m - yy * n
            misfit2 = ex * ex + ey * ey
            good = m * m + m * n + n * n == 1.0 and misfit2 <= loose2
            if good:
                grades[i, k] = TIGHT if misfit2 <= tight2 else LOOSE
                steps[i, k] = 3 * (int(m) + 1) + int(n) + 1
            if i % step != 0:
                continue
            for axis in range(len(edges)):
                span = x * duals[0, axis] + y * duals[1, axis]
                if edges[axis] == 0 or span <= 0:
                    continue
                start = points[i, 0] * duals[0, axis] + points[i, 1] * duals[1, axis]
                first = int(np.floor(start * edges[axis])) + 1
                last = int(np.floor((start + span) * edges[axis]))
                for edge in range(first, last + 1):
                    place = edge % edges[axis]
                    if good:
                        sums[axis, 0, place] += 1.0
                        sums[axis, 2, place] += ex
                        sums[axis, 3, place] += ey
                    else:
                        sums[axis, 1, place] += 1.0
    return grades, steps, sums


@compiled
def _likeliest(sums: Floats, edges: int, variance: float) -> tuple[float, float]:
    """Fraction of the edge at which bonds are missing, bad, or all off by the same vector, and by how much so."""
    if edges == 0:
        return 0.0, 0.0
    usual = np.median(sums[0, :edges])
    best = 0
    scores = np.empty(edges)
    for edge in range(edges):
        good, bad, x, y = sums[0, edge], sums[1, edge], sums[2, edge], sums[3, edge]
        missing = max(0.0, usual - good - bad)
        scores[edge] = (x * x + y * y) / (max(good, 1.0) * variance) + BAD * BAD * (bad + missing)
        if scores[edge] > scores[best]:
            best = edge
    return best / edges, scores[best] - np.median(scores)


@compiled
def _cuts(sums: Floats, edges: Ints, variance: float) -> tuple[int, int, float, float]:
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
def _cells(image: Ints, basis: Ints, here: Ints, there: Ints) -> tuple[int, int]:
    """Cells between an atom and its neighbour in this image, both moved to where the cut puts them."""
    return (
        basis[0, 0] * image[0] + basis[0, 1] * image[1] - there[0] + here[0],
        basis[1, 0] * image[0] + basis[1, 1] * image[1] - there[1] + here[1],
    )


@compiled
def _join(i: int, j: int, step: int, cell_a: int, cell_b: int, parent: Ints, walk: Ints, sizes: Ints) -> bool:
    """Join the sets of two atoms by the lattice step and cells from one to the other; whether they were two."""
    a, b = _root(parent, walk, i), _root(parent, walk, j)
    if a == b:
        return False
    m = walk[i, 0] + step // 3 - 1 - walk[j, 0]
    n = walk[i, 1] + step % 3 - 1 - walk[j, 1]
    cell_a += walk[i, 2] - walk[j, 2]
    cell_b += walk[i, 3] - walk[j, 3]
    if sizes[a] >= sizes[b]:
        parent[b] = a
        sizes[a] += sizes[b]
        walk[b, 0], walk[b, 1], walk[b, 2], walk[b, 3] = m, n, cell_a, cell_b
    else:
        parent[a] = b
        sizes[b] += sizes[a]
        walk[a, 0], walk[a, 1], walk[a, 2], walk[a, 3] = -m, -n, -cell_a, -cell_b
    return True


@compiled
def _grains(
    points: Floats,
    table: Ints,
    codes: Ints,
    counts: Ints,
    images: Ints,
    moves: Floats,
    coordinates: Ints,
    duals: Floats,
    member: npt.NDArray[np.bool_],
    vectors: Floats,
    limits: tuple[float, float, float],
    edges: Ints,
    step: int,
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints, Ints]:
    """The parts of `Grains` but for its plane, in their order."""
    grades, steps, sums = _graded(points, table, codes, counts, moves, duals, member, vectors, limits, edges, step)
    first, second, cut_a, cut_b = _cuts(sums, edges, limits[2])
    basis = np.empty((2, 2), dtype=np.int64)
    basis[0], basis[1] = coordinates[first], coordinates[second]
    total = len(points)
    wrapped = np.zeros((total, 2), dtype=np.int8)
    parent = np.empty(total, dtype=np.int32)
    walk = np.zeros((total, 4), dtype=np.int32)
    sizes = np.ones(total, dtype=np.int32)
    left = -1
    for i in range(total):
        if edges[first] > 0:
            wrapped[i, 0] = -np.floor(points[i, 0] * duals[0, first] + points[i, 1] * duals[1, first] - cut_a)
        if edges[second] > 0:
            wrapped[i, 1] = -np.floor(points[i, 0] * duals[0, second] + points[i, 1] * duals[1, second] - cut_b)
        parent[i] = i
        left += member[i]
    crossing = np.empty((total * table.shape[1], 2), dtype=np.int32)
    through = 0
    for grade in (TIGHT, LOOSE):
        for i in range(total):
            for k in range(counts[i]):
                j = table[i, k]
                if j < i or grades[i, k] != grade:
                    continue
                cell_a, cell_b = _cells(images[codes[i, k]], basis, wrapped[i], wrapped[j])
                if cell_a != 0 or cell_b != 0:
                    crossing[through, 0], crossing[through, 1] = i, k
                    through += 1
                elif left > 0 and _join(i, j, steps[i, k], 0, 0, parent, walk, sizes):
                    left -= 1
    for c in range(through):
        if left == 0:
            break
        i, k = crossing[c, 0], crossing[c, 1]
        j = table[i, k]
        cell_a, cell_b = _cells(images[codes[i, k]], basis, wrapped[i], wrapped[j])
        left -= _join(i, j, steps[i, k], cell_a, cell_b, parent, walk, sizes)
    for i in range(total):
        if _root(parent, walk, i) != i or not member[i]:
            sizes[i] = 0
    for i in range(total):
        if not member[i]:
            parent[i] = -1
    return parent, walk, wrapped, sizes, crossing[:through].copy(), steps, basis


@compiled
def _gathered(
    points: Floats, root: Ints, walk: Ints, wrapped: Ints, name: int, size: int, plane: Floats
) -> tuple[Ints, Floats, Floats]:
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
def _rings(
    points: Floats,
    table: Ints,
    codes: Ints,
    images: Ints,
    moves: Floats,
    root: Ints,
    walk: Ints,
    wrapped: Ints,
    crossing: Ints,
    steps: Ints,
    basis: Ints,
    name: int,
    laps: Ints,
    vectors: Floats,
) -> tuple[Ints, Floats]:
    """Rings round each axis, of it alone or of any, all or those that agree, (2, 2, 2), and offsets (2, 2)."""
    rings = np.zeros((2, 2, 2), dtype=np.int64)
    offsets = np.zeros((2, 2))
    through = np.zeros(2)
    for c in range(len(crossing)):
        i, k = crossing[c, 0], crossing[c, 1]
        j, code, step = table[i, k], codes[i, k], steps[i, k]
        if root[i] != name or root[j] != name:
            continue
        cut_a, cut_b = _cells(images[code], basis, wrapped[i], wrapped[j])
        a, b = walk[i, 2] - walk[j, 2] + cut_a, walk[i, 3] - walk[j, 3] + cut_b
        if a == 0 and b == 0:
            continue
        m, n = step // 3 - 1, step % 3 - 1
        ex = points[j, 0] + moves[code, 0] - points[i, 0] - vectors[0, 0] * m - vectors[0, 1] * n
        ey = points[j, 1] + moves[code, 1] - points[i, 1] - vectors[1, 0] * m - vectors[1, 1] * n
        for axis in range(2):
            cut = cut_a if axis == 0 else cut_b
            offsets[axis, 0] += ex * cut
            offsets[axis, 1] += ey * cut
            through[axis] += abs(cut)
        m += walk[i, 0] - walk[j, 0]
        n += walk[i, 1] - walk[j, 1]
        agrees = m == a * laps[0, 0] + b * laps[1, 0] and n == a * laps[0, 1] + b * laps[1, 1]
        for axis in range(2):
            around, other = (a, b) if axis == 0 else (b, a)
            if around != 0:
                rings[axis, 1, 0] += 1
                rings[axis, 1, 1] += agrees
                if other == 0:
                    rings[axis, 0, 0] += 1
                    rings[axis, 0, 1] += agrees
    for axis in range(2):
        offsets[axis] /= max(through[axis], 1.0)
    return rings, offsets
