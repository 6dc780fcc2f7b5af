"""Upper layers that a small periodic cell admits, seen or not (pure).

A lattice closes over the boundaries of a cell only where the cell's vectors are integer combinations of its own. In a
small cell few lattices do so without much strain, so it is known beforehand which twists the layers not seen yet could
make. The less distorted ones, and those with about as many sites as upper layers have, are likelier.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_optimizer.auto.hexagonal import (
    FARTHEST,
    SAME_DEG,
    SPOKES,
    Whole,
    distortion,
    folded,
    put_into,
    spacing,
    turned_deg,
    whole_cells,
)
from moireloop_optimizer.auto.twist_process import Floats, mass_within, normal_density

Places = npt.NDArray[np.intp]

Mask = npt.NDArray[np.bool_]

LONGEST: Final = 24.0
"""Length of a cell's vectors, in lattice spacings, up to which layers are counted."""

MISMATCH: Final = 1.3
"""Largest ratio of the areas of a site of the two layers."""

ALIKE: Final = 0.4
"""How much of the vectors of the median cell may be added to them in a cell whose layers are counted with the others'.
"""

MOST_LAYERS: Final = 8000
"""With more candidates nothing is predicted: a match among so many means little."""

STRETCHED: Final = 0.1

OTHER_SITES: Final = 0.07
"""How far layers are looked for, as shares of the lengths of the cell's vectors and of the usual number of sites."""

COHERENT_WITHIN: Final = 0.1
"""How far from whole numbers a cell's vectors, in terms of a layer's, may be for the layer to count as coherent."""

DISTORTION: Final = 0.03
"""Standard deviation of the distortion in each of its two directions, as the bead model's upper layers have it."""

SITES: Final = 0.015
"""Standard deviation of the logarithm of the number of sites, likewise."""

LEAST_LOG_WEIGHT: Final = -8.0
"""Of a layer over the likeliest there could be; below it is not counted."""

AT_ONCE: Final = 2**20
"""Pairs of a run and a layer that are looked at together, which bounds the memory."""


class CoherentUppers:
    """The upper layers that the cell of each of N runs admits over its lower layer.

    `share` (N,) is the probability that a new upper layer is one of them, 0 where none can be counted. Such a layer may
    also be one that was seen.

    Args:
        cells: (N, 2, 2) vectors in the plane, in one unit of length, finite and none of them flat.
        lowers: (N, 2, 2) vectors of the lower layers.
        uppers: (N, 2, 2) vectors of the upper layers, which say how many sites are usual, and how many are coherent.
    """

    def __init__(self, cells: Floats, lowers: Floats, uppers: Floats) -> None:
        self.share = np.zeros(len(cells))
        self._run = np.zeros(0, dtype=np.intp)
        self._weight, self._twist_deg = np.zeros((2, 0))
        runs = _comparable(cells, lowers, uppers)
        if len(runs):
            self._count(runs, cells[runs], lowers[runs], uppers[runs])

    def hits(self, target_deg: float, tolerance_deg: float) -> Floats:
        """(N,) probabilities that a new upper layer comes within the tolerance of a target over each lower layer."""
        near = np.abs(self._twist_deg - target_deg) <= tolerance_deg + FARTHEST * SAME_DEG
        return self._summed(near, mass_within(target_deg, tolerance_deg, self._twist_deg[near], SAME_DEG))

    def density(self, twist_deg: float) -> Floats:
        """(N,) densities, per degree, of a twist over each lower layer."""
        near = np.abs(self._twist_deg - twist_deg) <= FARTHEST * SAME_DEG
        return self._summed(near, normal_density(self._twist_deg[near] - twist_deg, SAME_DEG))

    def _summed(self, near: Mask, worth: Floats) -> Floats:
        summed = np.bincount(self._run[near], self._weight[near] * worth, minlength=len(self.share))
        return np.asarray(summed * self.share, dtype=np.float64)

    def _count(self, runs: Places, cells: Floats, lowers: Floats, uppers: Floats) -> None:
        sites = np.linalg.det(cells) / np.linalg.det(lowers)
        more = np.log(np.linalg.det(lowers) / np.linalg.det(uppers))
        usual = float(np.median(more))
        coherent = _are_whole(cells, uppers) & (np.abs(more - usual) <= OTHER_SITES)
        expected = sites * np.exp(usual)
        lengths = np.linalg.norm(cells, axis=2) / spacing(lowers)[:, None] * np.exp(0.5 * usual)
        whole = whole_cells(lengths, expected, STRETCHED, OTHER_SITES)
        if not 0 < len(whole) <= MOST_LAYERS:
            return
        parts = []
        for some in np.array_split(np.arange(len(runs)), -(-len(runs) * len(whole) // AT_ONCE)):
            row, weight, admitted_deg = _admitted(cells[some], expected[some], whole)
            twist_deg = folded(admitted_deg - turned_deg(lowers[some])[row])
            parts.append((runs[some][row], weight, twist_deg))
        self._run, self._weight, self._twist_deg = (np.concatenate(each) for each in zip(*parts, strict=True))
        total = np.bincount(self._run, self._weight, minlength=len(self.share))
        self._weight /= total[self._run]
        self.share = (total > 0.0) * (coherent.sum() + 1.0) / (len(coherent) + 2.0)


def _comparable(cells: Floats, lowers: Floats, uppers: Floats) -> Places:
    """Of which runs layers can be counted: small cells, alike, in which nothing is flat or left-handed."""
    areas = np.linalg.det(np.stack([cells, lowers, uppers]))
    upright = np.flatnonzero((areas > 0.0).all(axis=0))
    ratio = areas[2, upright] / areas[1, upright]
    upright = upright[(ratio <= MISMATCH) & (ratio >= 1.0 / MISMATCH)]
    longest = np.linalg.norm(cells[upright], axis=2).max(axis=1)
    small: Places = upright[longest <= LONGEST * spacing(lowers[upright])]
    if not len(small):
        return small
    middle = np.median(cells[small], axis=0)
    apart = np.linalg.norm(cells[small] - middle, axis=2).max(axis=1)
    alike: Places = small[apart <= ALIKE * np.linalg.norm(middle, axis=1).min()]
    return alike


def _are_whole(cells: Floats, layers: Floats) -> Mask:
    """(N,) whether the vectors of each cell are whole-number combinations of its layer's."""
    numbers = cells @ np.linalg.inv(layers)
    return np.asarray(np.abs(numbers - numbers.round()).max(axis=(1, 2)) < COHERENT_WITHIN, dtype=np.bool_)


def _admitted(cells: Floats, sites: Floats, whole: Whole) -> tuple[Places, Floats, Floats]:
    """The layers of which the vectors of (n,) cells are (K,) whole numbers: cell, weight and orientation in degrees."""
    places = np.linalg.inv(whole)
    a, b = put_into(cells, places), put_into(cells, places, SPOKES.conj())
    more = np.log(np.linalg.det(whole) / sites[:, None])
    log_weight = -0.5 * ((distortion(a, b) / DISTORTION) ** 2 + (more / SITES) ** 2)
    row, column = np.nonzero(log_weight >= LEAST_LOG_WEIGHT)
    return row, np.exp(log_weight[row, column]), np.angle(a[row, column], deg=True)
