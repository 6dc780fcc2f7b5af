"""Decides from the sites of a layer's bond lattice whether it is triangular, a honeycomb or something else (pure).

A layer whose bonds follow a triangular lattice need not have an atom on every site. With every third site empty it is
a honeycomb: its own lattice is larger by the root of three and turned by 30 degrees. With every fourth site empty it
is a kagome lattice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.sites.occupancy import CLASSES, WINDOW, SiteEvidence, filled_sites

WHOLE: Final = 0.5
"""With at least this share of six-fold bonded atoms, a layer has too few gaps for them to form an ordered pattern."""

EMPTY, FULL = 0.75, 0.1
"""A class of sites counts as empty from the first share of gaps on, and as full up to the second. A vacancy in a
honeycomb has only three neighbours, so it is not a gap."""

FEWEST_GAPS: Final = 2

OTHERS_EMPTY: Final = 0.15
"""At most this share of the other classes' sites may be empty, vacancies that are not gaps included. Where a third of
the sites is empty at random, the few gaps may all fall into one class."""

THREEFOLD: Final = 0.9
"""A layer with gaps and at least this share of atoms with three bonds or fewer is a honeycomb, in domains or tiny."""

SOME_GAPS: Final = 0.08
"""Smallest share of gaps at which an ordered pattern is looked for."""

FEWEST_ORDERED: Final = 12

ORDERED: Final = 0.6
"""Smallest amplitude of a density wave at which the gaps are ordered; 1 where all are in phase."""

SURE_ODDS: Final = 7.0
"""Smallest log odds against chance at which the gaps are ordered."""

SURE_CLASSES: Final = 14.0
"""The same for the classes of sites: random gaps, which are never neighbours, prefer one class anyway."""

CLEAR_CLASSES: Final = 5.0
"""The same where one class is nearly empty and the others are nearly full."""

LONG_WAVES: Final = 0.15
"""Waves with fewer periods per site only show where in the layer gaps are denser."""

DOUBLE: Final = 0.2
"""A layer with more than this share of doubly occupied sites has two planes, one above the other."""

EXPLAINED: Final = 0.4
"""Smallest share of the squared displacements that alternating rows must explain."""

FEWEST_IN_ROWS: Final = 12.0
"""With fewer atoms than this number over the share, rows alternate by chance."""

DIMERISED: Final = 0.05
"""Smallest root mean square of such displacements, in spacings; 0.09 and more in the 1T' phase."""

RAISED_ANGSTROM: Final = 0.25
"""Root mean square height from which rows, or the three classes of sites, lie in separate planes."""

FEW_TOGETHER: Final = "too few of its atoms are connected to distinguish a honeycomb from a triangular lattice"

TO_HONEYCOMB: Final[Floats] = np.array([[1.0, -1.0], [1.0, 2.0]])
"""Lattice vectors of a honeycomb, as columns, in terms of its bond vectors: each is the diagonal of two bonds."""


@dataclass(frozen=True)
class Filling:
    """How a layer fills the sites of its bond lattice. `larger` is whether its own lattice has only every third site.

    `corner` leads from the site nearest to the middle of the atoms to a site of the larger lattice, in steps of the
    bond lattice. `why` is the reason why the layer is neither triangular nor a honeycomb; None where it is.
    """

    larger: bool = False
    corner: tuple[int, int] = (0, 0)
    why: str | None = None


PLAIN: Final = Filling()


def filling_of(
    indices: Floats, laps: Floats, closed: tuple[bool, bool], evidence: SiteEvidence, spacing: float
) -> Filling:
    """Whether a layer is a triangular lattice, a honeycomb or something else.

    Args:
        indices: (M, 2) lattice indices of its atoms in the lattice of its bonds.
        laps: (2, 2) lattice steps of one period along each row of the plane.
        closed: over which of these rows the layer closes.
        evidence: what its atoms show, from `on_lattice`.
        spacing: bond length in angstrom.
    """
    filling = PLAIN if evidence.sixfold >= WHOLE else _by_gaps(indices, laps, closed, evidence.threefold >= THREEFOLD)
    rows = _why_rows(evidence, spacing)
    if rows is not None and filling.why in (None, FEW_TOGETHER):
        return Filling(why=rows)
    _, _, _, heights, thirds = evidence.explained
    if not filling.larger and filling.why is None and _stands_out(thirds, heights, evidence.total, RAISED_ANGSTROM):
        return Filling(larger=True)
    return filling


def _by_gaps(indices: Floats, laps: Floats, closed: tuple[bool, bool], threefold: bool) -> Filling:
    """The filling of a layer that may have ordered gaps; `threefold` where most of its atoms have three bonds."""
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
    """Classes of sites: which has the most gaps, whether it alone is empty, and how unlikely that is by chance.

    `odds` is a log likelihood ratio: the observed shares of gaps over one common share.
    """

    emptiest: int
    one_is_empty: bool
    odds: float

    @classmethod
    def of(cls, filled: Ints, gaps: Ints, bare: Ints) -> _Classes:
        """The classes from their numbers of filled sites, of gaps, and of empty sites that are not gaps."""
        sizes = np.maximum(filled + gaps, 1)
        shares, whole = gaps / sizes, gaps.sum() / sizes.sum()
        emptiest = int(shares.argmax())
        others = np.delete(shares, emptiest)
        empty = shares[emptiest] >= EMPTY and others.max() <= FULL and gaps[emptiest] >= FEWEST_GAPS
        odds = _log_odds(gaps, shares, whole) + _log_odds(filled, 1.0 - shares, 1.0 - whole)
        in_all = _share_of_others(filled, gaps + bare, emptiest) <= OTHERS_EMPTY
        return cls(emptiest, bool(empty) and in_all and odds > CLEAR_CLASSES, odds)


def _share_of_others(filled: Ints, empty: Ints, emptiest: int) -> float:
    """Share of empty sites in all classes but one."""
    others = np.delete(empty, emptiest).sum()
    return float(others / max(others + np.delete(filled, emptiest).sum(), 1))


def _log_odds(counts: Ints, shares: Floats, whole: float) -> float:
    some = counts > 0
    return float((counts[some] * np.log(shares[some] / whole)).sum())


def _in_order(sites: Ints) -> bool:
    """Whether the gaps of a map of sites form a pattern that repeats every few sites: a peak in their spectrum."""
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


def _why_rows(evidence: SiteEvidence, spacing: float) -> str | None:
    """Why a layer with alternately displaced or raised rows is not a triangular lattice; None without such rows."""
    displaced, scatter, raised, heights, _ = evidence.explained
    if _stands_out(displaced, scatter, evidence.total, DIMERISED * spacing):
        return "its atoms do not form a triangular lattice: its rows are drawn together in pairs, as in the 1T' phase"
    if _stands_out(raised, heights, evidence.total, RAISED_ANGSTROM):
        return "its atoms do not form a triangular lattice: it is puckered, with its rows in two planes in turn"
    return None


def _stands_out(explained: float, whole: float, count: float, least: float) -> bool:
    """Whether a pattern explains a large share of a sum of squares over `count` atoms, and more than `least` each."""
    share = max(EXPLAINED, FEWEST_IN_ROWS / max(count, 1.0))
    return explained > share * whole and explained > count * least * least
