"""Upper layers that a small periodic cell admits, seen or not (pure).

A lattice closes over the boundaries of a cell only where the cell's vectors are whole numbers of its own. In a small
cell few lattices do so without being stretched much, so that it is known beforehand which twists the layers not seen
yet could make. Of these the less distorted ones, and those with about as many sites as layers had so far, are likelier.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_optimizer.hexagonal import SPOKES, SYMMETRY_DEG, Complex, distortion, folded, in_plane, turned_deg
from moireloop_optimizer.twist_process import Floats, mass_within, normal_density

Whole = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LONGEST: Final = 24.0
"""Length of a cell's vectors, in lattice spacings, up to which layers are counted: larger ones admit too many to tell
anything."""

STRETCHED: Final = 0.1
OTHER_SITES: Final = 0.07
"""How far layers are looked for, as shares of the lengths of the cell's vectors and of the lower layer's sites."""

MOST_SHEARED: Final = 0.1
"""|b| / |a| of `hexagonal` from which on a layer is not looked at: that of stretches of 10 percent either way."""

COHERENT_WITHIN: Final = 0.1
"""How far from whole numbers a cell's vectors in those of a layer may be for it to count as coherent."""

DISTORTION: Final = 0.03
SITES: Final = 0.015
PRIOR_RUNS: Final = 5.0
"""Standard deviations, before any run is known, of the distortion in each of its two directions and of the logarithm of
the upper layer's sites over the lower one's; and the runs that these count for."""

SAME_DEG: Final = 0.03
"""Width of an orientation that comes again."""

FARTHEST: Final = 6.0
"""In those widths: what is farther off is another orientation."""

LEAST_AREA: Final = 1e-6
LEAST_LOG_WEIGHT: Final = -8.0
TINY: Final = 1e-300


class CoherentUppers:
    """The upper layers that the cell of each of N runs admits over its lower layer.

    `share` (N,) is the probability that a new upper layer is one of them, 0 where none can be counted.

    Args:
        cells: (N, 2, 2) vectors in the plane, in any unit of length, finite and none of them flat.
        lowers: (N, 2, 2) vectors of the lower layers.
        uppers: (N, 2, 2) vectors of the upper layers, by which it is judged what is likely.
    """

    def __init__(self, cells: Floats, lowers: Floats, uppers: Floats) -> None:
        self._weight, self._twist_deg = np.zeros((2, len(cells), 0))
        self.share = np.zeros(len(cells))
        places = np.flatnonzero(_are_small(cells, lowers, uppers))
        if len(places):
            self._count(places, cells[places], lowers[places], uppers[places])

    def hits(self, target_deg: float, tolerance_deg: float) -> Floats:
        """(N,) probabilities that a new upper layer comes within the tolerance of a target over each lower layer."""
        near = np.nonzero(np.abs(self._twist_deg - target_deg) <= tolerance_deg + FARTHEST * SAME_DEG)
        return self._summed(near, mass_within(target_deg, tolerance_deg, self._twist_deg[near], SAME_DEG))

    def density(self, twist_deg: float) -> Floats:
        """(N,) densities, per degree, of a twist over each lower layer."""
        near = np.nonzero(np.abs(self._twist_deg - twist_deg) <= FARTHEST * SAME_DEG)
        return self._summed(near, normal_density(self._twist_deg[near] - twist_deg, SAME_DEG))

    def _summed(self, near: tuple[npt.NDArray[np.intp], ...], worth: Floats) -> Floats:
        summed = np.bincount(near[0], self._weight[near] * worth, minlength=len(self.share))
        return np.asarray(summed * self.share, dtype=np.float64)

    def _count(self, places: npt.NDArray[np.intp], cells: Floats, lowers: Floats, uppers: Floats) -> None:
        whole = _whole_cells(cells, lowers)
        a, b = _layers(cells, whole)
        likely = (np.abs(b) < MOST_SHEARED * np.abs(a)).any(axis=0)
        whole, a, b = whole[likely], a[:, likely], b[:, likely]
        coherent = _are_coherent(cells, uppers)
        had_a, had_b = (in_plane(uppers[coherent]) @ spokes for spokes in (SPOKES, SPOKES.conj()))
        had_sites = np.log(np.linalg.det(lowers) / np.linalg.det(uppers))[coherent]
        sites = np.log(np.linalg.det(whole) / _sites(cells, lowers)[:, None])
        log_weight = _log_weight(distortion(a, b), sites, distortion(had_a, had_b), had_sites)
        log_weight[log_weight < LEAST_LOG_WEIGHT] = -np.inf
        kept = np.isfinite(log_weight).any(axis=0)
        weight = np.exp(log_weight[:, kept])
        total = weight.sum(axis=1)
        self._weight, self._twist_deg = np.zeros((2, len(self.share), int(kept.sum())))
        self._weight[places] = weight / np.maximum(total, TINY)[:, None]
        self._twist_deg[places] = folded(np.angle(a[:, kept], deg=True) - turned_deg(lowers)[:, None])
        self.share[places] = (total > 0.0) * (coherent.sum() + 1.0) / (len(coherent) + 2.0)


def _are_small(cells: Floats, lowers: Floats, uppers: Floats) -> Mask:
    """(N,) whether layers can be counted: none of them is flat or left-handed, and the cell is small."""
    areas = np.linalg.det(np.stack([cells, lowers, uppers]))
    spacing = np.sqrt(np.maximum(areas[1], LEAST_AREA))
    longest = np.linalg.norm(cells, axis=2).max(axis=1)
    return np.asarray((areas > LEAST_AREA).all(axis=0) & (longest <= LONGEST * spacing), dtype=np.bool_)


def _are_coherent(cells: Floats, layers: Floats) -> Mask:
    """(N,) whether the vectors of each cell are whole numbers of those of its layer."""
    numbers = cells @ np.linalg.inv(layers)
    return np.asarray(np.abs(numbers - numbers.round()).max(axis=(1, 2)) < COHERENT_WITHIN, dtype=np.bool_)


def _sites(cells: Floats, layers: Floats) -> Floats:
    """(N,) lattice sites of a layer in its cell."""
    sites: Floats = np.linalg.det(cells) / np.linalg.det(layers)
    return sites


def _whole_cells(cells: Floats, lowers: Floats) -> Whole:
    """(K, 2, 2) whole numbers of lattice vectors that one of the cells or another may be made of.

    One of the six rotations of a hexagonal lattice into itself is enough: with the first vector from 0 to 60 degrees.
    """
    spacing = np.sqrt(np.linalg.det(lowers) / np.sin(np.radians(SYMMETRY_DEG)))
    lengths = np.linalg.norm(cells, axis=2) / spacing[:, None]
    low, high = (1.0 - STRETCHED) * lengths.min(axis=0), (1.0 + STRETCHED) * lengths.max(axis=0)
    most = int(2.0 / np.sqrt(3.0) * high.max()) + 1
    numbers = np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    vectors = numbers @ np.exp(1j * np.radians([0.0, SYMMETRY_DEG]))
    length, angle_deg = np.abs(vectors), np.angle(vectors, deg=True).round(9)
    first = numbers[(length >= low[0]) & (length <= high[0]) & (angle_deg >= 0.0) & (angle_deg < SYMMETRY_DEG)]
    second = numbers[(length >= low[1]) & (length <= high[1])]
    found = first[:, :1] * second[:, 1] - first[:, 1:] * second[:, 0]
    sites = _sites(cells, lowers)
    i, j = np.nonzero((found >= (1.0 - OTHER_SITES) * sites.min()) & (found <= (1.0 + OTHER_SITES) * sites.max()))
    return np.stack([first[i], second[j]], axis=1)


def _layers(cells: Floats, whole: Whole) -> tuple[Complex, Complex]:
    """(N, K) the layers, as `hexagonal` describes them, of which the vectors of (N,) cells are (K,) whole numbers."""
    places, corners = np.linalg.inv(whole), in_plane(cells)
    a, b = (corners @ (spokes @ places).T for spokes in (SPOKES, SPOKES.conj()))
    return a, b


def _log_weight(distorted: Floats, sites: Floats, had_distorted: Floats, had_sites: Floats) -> Floats:
    """Of layers, by their distortion and by the logarithm of their sites over the lower layer's; `had` are known."""
    runs = len(had_sites) + PRIOR_RUNS
    middle = had_sites.sum() / runs
    distortion_variance = (0.5 * (had_distorted**2).sum() + PRIOR_RUNS * DISTORTION**2) / runs
    sites_variance = (((had_sites - middle) ** 2).sum() + PRIOR_RUNS * SITES**2) / runs
    log_weight: Floats = -0.5 * (distorted**2 / distortion_variance + (sites - middle) ** 2 / sites_variance)
    return log_weight
