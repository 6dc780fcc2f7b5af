"""How the sites of the triangular lattice of a layer's bonds are filled: all, two thirds of them, or otherwise (pure).

A layer whose bonds follow a triangular lattice need not have an atom on every site: without a third of them, in order,
it is a honeycomb, whose own lattice is larger by the root of three and turned by 30 degrees; without a quarter it is a
kagome lattice. Sites fall into three classes by m - n modulo 3 and into four by m and n modulo 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.geometry.median import median_of

SAMPLED_ATOMS: Final = 300

CLASSES: Final = 12
"""Four classes by m and n modulo 2 for each of the three by m - n modulo 3."""

WINDOW: Final = 128
"""Sites along both directions, about the middle of a layer, whose filling is looked at."""

ROUNDING: Final = 1e-9

AROUND: Final[Ints] = np.array([[1, 0], [0, 1], [-1, 1], [-1, 0], [0, -1], [1, -1]])

SURROUNDED: Final = 5
"""An empty site with so many of its six neighbours filled is a gap of the layer, and not outside of it."""

WHOLE: Final = 0.5
"""Share of atoms with six bonds from which a layer has too few gaps for any of them to be in order."""

EMPTY, FULL = 0.75, 0.1
"""Share of gaps from which a class of sites is empty, and up to which one is full: a vacancy in a honeycomb has but
three neighbours, and is no gap."""

FEWEST_GAPS: Final = 2

OTHERS_EMPTY: Final = 0.15
"""Share of the sites of all other classes up to which they may be empty, with the vacancies that are no gaps. Where a
third of the sites is empty at random, the few that are gaps may all be of one class."""

THREEFOLD: Final = 0.9
"""Share of atoms with at most three bonds from which a layer with gaps is a honeycomb, in domains or a tiny flake."""

SOME_GAPS: Final = 0.08
"""Share of gaps from which it is asked whether they are in order."""

FEWEST_ORDERED: Final = 12

ORDERED: Final = 0.6
"""Amplitude of a wave over the gaps from which they are in order: 1 where all are in step."""

SURE_ODDS: Final = 7.0
"""Logarithm of the odds against chance from which gaps are in order."""

SURE_CLASSES: Final = 14.0
"""The same for the classes of sites; random gaps, which are none beside each other, prefer one of them as it is."""

CLEAR_CLASSES: Final = 5.0
"""The same where a class is all but empty and the others are all but full."""

LONG_WAVES: Final = 0.15
"""Waves of fewer turns a site say where in the layer there are more gaps."""

DOUBLE: Final = 0.2
"""Share of sites with two atoms from which a layer has two planes, one above the other."""

EXPLAINED: Final = 0.4
"""Share of the squares of the displacements that rows which are displaced in turn explain."""

FEWEST_IN_ROWS: Final = 12.0
"""Fewer atoms than so many over the share are displaced in turn by chance."""

DIMERISED: Final = 0.05
"""Root mean square of such displacements, in spacings: 0.09 and more in the 1T' phase."""

RAISED_ANGSTROM: Final = 0.25
"""Root mean square height at which rows, or the three classes of sites, lie in planes of their own."""

FEW_TOGETHER: Final = "too few of its atoms are connected to distinguish a honeycomb from a triangular lattice"

TO_HONEYCOMB: Final[Floats] = np.array([[1.0, -1.0], [1.0, 2.0]])
"""Lattice vectors of a honeycomb, as columns, in terms of its bond vectors: each is the diagonal of two of these."""


@dataclass(frozen=True)
class Filling:
    """What the sites of a layer's bonds show: `larger` says whether its own lattice is the one of every third site.

    `corner` are the steps of the bonds' lattice from the site nearest to the middle of the atoms to one of the larger
    lattice. `why` says why the layer is neither a triangular lattice nor a honeycomb, None where it is one.
    """

    larger: bool = False
    corner: tuple[int, int] = (0, 0)
    why: str | None = None


PLAIN: Final = Filling()


class Shown(NamedTuple):
    """What the atoms on a lattice show, where there are `total` of them.

    `sixfold` is the share of those that have six bonds, `threefold` of those with three at most; `explained` are sums
    of squares in angstrom^2, as of `_explained`.
    """

    total: float
    sixfold: float
    threefold: float
    explained: tuple[float, float, float, float, float]


@compiled
def on_lattice(
    indices: Floats,
    places: Floats,
    atoms: Ints,
    vectors: Floats,
    reach: float,
    psi6: Floats,
    heights: Floats,
    counts: Ints,
) -> tuple[Ints, float, tuple[float, float, float, tuple[float, float, float, float, float]]]:
    """Which of the atoms lie on their sites, their order, and the parts of `Shown`.

    The origin is the median of the atoms.

    Args:
        indices, places: (M, 2) as of `fit_positions`.
        atoms: (M,) their numbers in the layer.
        vectors: (2, 2) of the lattice, as columns.
        reach: how far from its site an atom may be, in angstrom.
        psi6: (N, 2) of each atom of the layer.
        heights: (N,) in angstrom.
        counts: (N,) of the bonds of each atom.
    """
    total = len(indices)
    step = 1 + (total - 1) // SAMPLED_ATOMS
    sampled = (total + step - 1) // step
    off_x, off_y = np.empty(sampled), np.empty(sampled)
    for s in range(sampled):
        m, n = indices[s * step, 0], indices[s * step, 1]
        off_x[s] = places[s * step, 0] - m * vectors[0, 0] - n * vectors[0, 1]
        off_y[s] = places[s * step, 1] - m * vectors[1, 0] - n * vectors[1, 1]
    x, y = median_of(off_x, sampled), median_of(off_y, sampled)
    kept = np.empty(total, dtype=np.int32)
    sums, folds, squares = np.zeros((CLASSES, 4)), np.zeros(2), np.zeros(2)
    found = 0
    real = imaginary = 0.0
    level = heights[atoms[0]] if total > 0 else 0.0
    for i in range(total):
        m, n = indices[i, 0], indices[i, 1]
        dx = places[i, 0] - m * vectors[0, 0] - n * vectors[0, 1] - x
        dy = places[i, 1] - m * vectors[1, 0] - n * vectors[1, 1] - y
        misfit2 = dx * dx + dy * dy
        if misfit2 <= reach * reach:
            atom = atoms[i]
            kept[found] = atom
            found += 1
            real += psi6[atom, 0]
            imaginary += psi6[atom, 1]
            folds[0] += counts[atom] == 6
            folds[1] += counts[atom] <= 3
            height = heights[atom] - level
            kind = class_of(int(m), int(n))
            sums[kind, 0] += 1.0
            sums[kind, 1] += dx
            sums[kind, 2] += dy
            sums[kind, 3] += height
            squares[0] += misfit2
            squares[1] += height * height
    order = min(1.0, math.hypot(real, imaginary) / max(found, 1))
    shown = float(found), folds[0] / max(found, 1), folds[1] / max(found, 1), _explained(sums, squares)
    return kept[:found].copy(), order, shown


@compiled
def class_of(m: int, n: int) -> int:
    """Class of a site: 4 times m - n modulo 3, twice m modulo 2, and n modulo 2."""
    return 4 * ((m - n) % 3) + 2 * (m & 1) + (n & 1)


@compiled
def _put_back(m: int, n: int, laps: Floats, inverse: Floats, closed: tuple[bool, bool]) -> tuple[int, int]:
    """The image of a site within the cell, along the rows over which the layer closes."""
    a = np.floor(m * inverse[0, 0] + n * inverse[1, 0] + ROUNDING) if closed[0] else 0.0
    b = np.floor(m * inverse[0, 1] + n * inverse[1, 1] + ROUNDING) if closed[1] else 0.0
    return int(m - a * laps[0, 0] - b * laps[1, 0]), int(n - a * laps[0, 1] - b * laps[1, 1])


@compiled
def filled_sites(indices: Floats, laps: Floats, inverse: Floats, closed: tuple[bool, bool]) -> tuple[Ints, float, Ints]:
    """Which sites about the middle of a layer hold an atom, and which are gaps.

    Args:
        indices: (M, 2) of the atoms.
        laps, inverse: (2, 2) lattice steps of going once along each row of the plane, and the inverse.
        closed: over which rows the layer closes.

    Returns:
        Classes of the sites as a map: 0 outside of the layer, 1 + class where filled, -1 - class for a gap. The
        share of filled sites that hold two atoms or more. How many sites of each class are empty and no gaps, of a
        layer that closes over both rows: it has no outside.
    """
    total = len(indices)
    places = np.empty((total, 2), dtype=np.int64)
    middle, low, high = np.zeros(2), np.full(2, np.inf), np.full(2, -np.inf)
    for i in range(total):
        places[i, 0], places[i, 1] = _put_back(int(indices[i, 0]), int(indices[i, 1]), laps, inverse, closed)
        for axis in range(2):
            middle[axis] += places[i, axis]
            low[axis] = min(low[axis], places[i, axis])
            high[axis] = max(high[axis], places[i, axis])
    first, size = np.empty(2, dtype=np.int64), np.empty(2, dtype=np.int64)
    for axis in range(2):
        centre = np.rint(middle[axis] / total)
        start = max(low[axis] - 1.0, centre - WINDOW // 2)
        first[axis] = int(start)
        size[axis] = int(min(high[axis] + 2.0, centre + WINDOW // 2) - start)
    here = np.zeros((size[0], size[1]), dtype=np.int64)
    double = single = 0
    for i in range(total):
        m, n = places[i, 0] - first[0], places[i, 1] - first[1]
        if 0 <= m < size[0] and 0 <= n < size[1]:
            here[m, n] += 1
            single += here[m, n] == 1
            double += here[m, n] == 2
    sites, bare = np.zeros((size[0], size[1]), dtype=np.int64), np.zeros(CLASSES, dtype=np.int64)
    for m in range(size[0]):
        for n in range(size[1]):
            kind = 1 + class_of(m + first[0], n + first[1])
            if here[m, n] > 0:
                sites[m, n] = kind
                continue
            p, q = m + first[0], n + first[1]
            at_p, at_q = _put_back(p, q, laps, inverse, closed)
            if at_p != p or at_q != q:
                continue
            around = 0
            for step in range(6):
                at_p, at_q = _put_back(p + AROUND[step, 0], q + AROUND[step, 1], laps, inverse, closed)
                at_p, at_q = at_p - first[0], at_q - first[1]
                if 0 <= at_p < size[0] and 0 <= at_q < size[1]:
                    around += here[at_p, at_q] > 0
            if around >= SURROUNDED:
                sites[m, n] = -kind
            elif closed[0] and closed[1]:
                bare[kind - 1] += 1
    return sites, double / max(single, 1), bare


def filling_of(indices: Floats, laps: Floats, closed: tuple[bool, bool], shown: Shown, spacing: float) -> Filling:
    """Whether a layer is a triangular lattice or a honeycomb, or what it is instead.

    Args:
        indices: (M, 2) of its atoms in the lattice of its bonds.
        laps: (2, 2) lattice steps of going once along each row of the plane.
        closed: over which of them the layer closes.
        shown: what its atoms show, by `on_lattice`.
        spacing: of the bonds, in angstrom.
    """
    found = PLAIN if shown.sixfold >= WHOLE else _by_gaps(indices, laps, closed, shown.threefold >= THREEFOLD)
    rows = _why_rows(shown, spacing)
    if rows is not None and found.why in (None, FEW_TOGETHER):
        return Filling(why=rows)
    _, _, _, heights, thirds = shown.explained
    if not found.larger and found.why is None and _stands_out(thirds, heights, shown.total, RAISED_ANGSTROM):
        return Filling(larger=True)
    return found


def _by_gaps(indices: Floats, laps: Floats, closed: tuple[bool, bool], threefold: bool) -> Filling:
    """What a layer is some of whose sites may be empty in order; `threefold` where its atoms have three bonds."""
    whole = abs(float(np.linalg.det(laps))) > 0.5
    inverse = np.linalg.inv(laps) if whole else np.eye(2)
    closed = closed[0] and whole, closed[1] and whole
    sites, double, bare = filled_sites(indices, laps, inverse, closed)
    if double > DOUBLE:
        return Filling(why="its atoms lie one above the other, in two planes")
    filled, gaps = (np.bincount(sign * sites[sign * sites > 0] - 1, minlength=CLASSES) for sign in (1, -1))
    thirds = _Classes.of(*(counts.reshape(3, 4).sum(axis=1) for counts in (filled, gaps, bare)))
    quarters = _Classes.of(*(counts.reshape(3, 4).sum(axis=0) for counts in (filled, gaps, bare)))
    rows = laps[list(closed)]
    if thirds.one_is_empty and not ((rows[:, 0] - rows[:, 1]) % 3).any():
        m, n = np.rint(indices.mean(axis=0)).astype(int).tolist()
        return Filling(larger=True, corner=((thirds.emptiest + 1 - m + n) % 3, 0))
    if quarters.one_is_empty and not (rows % 2).any():
        return Filling(why="its atoms form a kagome lattice; a triangular lattice or a honeycomb is expected")
    share = float(gaps.sum() / max(filled.sum() + gaps.sum(), 1))
    if threefold:
        return Filling(larger=True) if gaps.any() else Filling(why=FEW_TOGETHER)
    if share >= SOME_GAPS and (max(thirds.odds, quarters.odds) > SURE_CLASSES or _in_order(sites)):
        return Filling(
            why=f"its atoms do not form a triangular lattice: "
            f"{share:.0%} of the sites of one are empty, in a regular order"
        )
    return PLAIN


@dataclass(frozen=True)
class _Classes:
    """Classes of sites: which has the most gaps, whether these are all of them, and how unlikely that is by chance.

    `odds` is a log likelihood ratio: the classes as they are, over the same share of gaps in each.
    """

    emptiest: int
    one_is_empty: bool
    odds: float

    @classmethod
    def of(cls, filled: Ints, gaps: Ints, bare: Ints) -> _Classes:
        """By how many sites of each class are filled, are gaps, and are empty without being gaps."""
        sizes = np.maximum(filled + gaps, 1)
        shares, whole = gaps / sizes, gaps.sum() / sizes.sum()
        emptiest = int(shares.argmax())
        others = np.delete(shares, emptiest)
        empty = shares[emptiest] >= EMPTY and others.max() <= FULL and gaps[emptiest] >= FEWEST_GAPS
        odds = _log_odds(gaps, shares, whole) + _log_odds(filled, 1.0 - shares, 1.0 - whole)
        in_all = _share_of_others(filled, gaps + bare, emptiest) <= OTHERS_EMPTY
        return cls(emptiest, bool(empty) and in_all and odds > CLEAR_CLASSES, odds)


def _share_of_others(filled: Ints, empty: Ints, emptiest: int) -> float:
    """Share of the sites that are empty of all classes but one."""
    others = np.delete(empty, emptiest).sum()
    return float(others / max(others + np.delete(filled, emptiest).sum(), 1))


def _log_odds(counts: Ints, shares: Floats, whole: float) -> float:
    some = counts > 0
    return float((counts[some] * np.log(shares[some] / whole)).sum())


def _in_order(sites: Ints) -> bool:
    """Whether the gaps of a map of sites repeat: whether they scatter a wave of a few sites in step."""
    gaps, within = sites < 0, sites != 0
    count = int(gaps.sum())
    if count < FEWEST_ORDERED:
        return False
    size = 2 * WINDOW
    spread = gaps - within * (count / within.sum())
    waves = np.abs(np.fft.rfft2(spread, s=(size, size))) / count
    long = np.abs(np.fft.fftfreq(size))[:, None] < LONG_WAVES, np.abs(np.fft.rfftfreq(size)) < LONG_WAVES
    waves[long[0] & long[1]] = 0.0
    by_chance = math.sqrt((math.log(within.sum()) + SURE_ODDS) / count)
    return float(waves.max()) >= max(ORDERED, by_chance)


def _why_rows(shown: Shown, spacing: float) -> str | None:
    """Why a layer is no triangular lattice whose rows are displaced, or raised, in turn."""
    displaced, scatter, raised, heights, _ = shown.explained
    if _stands_out(displaced, scatter, shown.total, DIMERISED * spacing):
        return "its atoms do not form a triangular lattice: its rows are drawn together in pairs, as in the 1T' phase"
    if _stands_out(raised, heights, shown.total, RAISED_ANGSTROM):
        return "its atoms do not form a triangular lattice: it is puckered, with its rows in two planes in turn"
    return None


def _stands_out(explained: float, whole: float, count: float, least: float) -> bool:
    """Whether a pattern explains a good share of some squares, more than `least` for each of so many atoms."""
    share = max(EXPLAINED, FEWEST_IN_ROWS / max(count, 1.0))
    return explained > share * whole and explained > count * least * least


@compiled
def _explained(sums: Floats, squares: Floats) -> tuple[float, float, float, float, float]:
    """What alternating rows explain at best of the squares of displacements, these squares about their means, the same
    two for heights, and what the three classes of sites explain of the heights.

    Rows alternate by m, by n, or by m + n; each class of sites may have its own amplitude.
    """
    count = 0.0
    means = np.zeros(3)
    for kind in range(CLASSES):
        count += sums[kind, 0]
        for k in range(3):
            means[k] += sums[kind, 1 + k]
    means /= max(count, 1.0)
    displaced = raised = thirds = 0.0
    for way in range(3):
        rows = np.zeros(3)
        for third in range(3):
            size = 0.0
            waves, whole = np.zeros(3), 0.0
            for parity in range(4):
                kind = 4 * third + parity
                turn = parity >> 1 if way == 0 else parity & 1 if way == 1 else (parity >> 1) ^ (parity & 1)
                size += sums[kind, 0]
                whole += sums[kind, 3] - sums[kind, 0] * means[2]
                for k in range(3):
                    waves[k] += (1.0 - 2.0 * turn) * (sums[kind, 1 + k] - sums[kind, 0] * means[k])
            for k in range(3):
                rows[k] += waves[k] * waves[k] / max(size, 1.0)
            if way == 0:
                thirds += whole * whole / max(size, 1.0)
        displaced, raised = max(displaced, rows[0] + rows[1]), max(raised, rows[2])
    scatter = squares[0] - count * (means[0] * means[0] + means[1] * means[1])
    return displaced, scatter, raised, squares[1] - count * means[2] * means[2], thirds
