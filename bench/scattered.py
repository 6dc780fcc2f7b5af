"""Landscapes without smooth structure: irregular cells, each with a few own twists, drawn at random (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from moireloop_optimizer.sobol import sobol_points

Floats = npt.NDArray[np.float64]

DIMENSION: Final = 3

TWISTS: Final = 4
"""Twists of a cell: the preferred one, and others that share the rest of its runs evenly."""

LARGEST_DEG: Final = 30.0

WITHIN_DEG: Final = 0.1

COUNTED: Final = 4096
"""Points by which the shares of twists are counted."""


@dataclass(frozen=True)
class Scattered:
    """Voronoi cells of random sites in the unit cube, each with four twists unrelated to its neighbours'.

    Args:
        seed: of the sites and of the twists.
        cells: how many.
        preferred: share of a cell's runs that have its preferred twist.
        distinct: number of twists from which all cells draw; 0 gives each cell four separate ones.
        rare: share of runs, evenly over the cube, that have the target; the twist nearest to it is the target.
        dimension: growth parameters.
    """

    seed: int
    name: str = "scattered"
    cells: int = 60
    preferred: float = 0.6
    distinct: int = 0
    rare: float = 0.01
    dimension: int = DIMENSION

    @cached_property
    def sites(self) -> Floats:
        """(cells, dimension) points of the unit cube."""
        return np.random.default_rng((self.seed, 0)).random((self.cells, self.dimension))

    @cached_property
    def twists_deg(self) -> Floats:
        """(cells, 4) twists, the preferred one first."""
        rng = np.random.default_rng((self.seed, 1))
        if not self.distinct:
            return (LARGEST_DEG * rng.random((self.cells, TWISTS))).round(2)
        spaced = (np.arange(self.distinct) + rng.uniform(0.25, 0.75, self.distinct)) * LARGEST_DEG / self.distinct
        common = rng.permutation(1.0 / np.arange(1, self.distinct + 1))
        chosen = [rng.choice(spaced, TWISTS, replace=False, p=common / common.sum()) for _ in range(self.cells)]
        return np.array(chosen).round(2)

    @property
    def weights(self) -> Floats:
        """(4,) shares of a cell's runs."""
        return np.array([self.preferred, *[(1.0 - self.preferred) / (TWISTS - 1)] * (TWISTS - 1)])

    @cached_property
    def target_deg(self) -> float:
        """The twist whose share of all runs, those within 0.1 degrees counted too, is nearest to `rare`."""
        shares = {float(twist): self.share(float(twist)) for twist in np.unique(self.twists_deg)}
        return min(shares, key=lambda twist: abs(np.log(max(shares[twist], 1e-9) / self.rare)))

    def share(self, twist_deg: float) -> float:
        """Share of runs, evenly over the cube, within 0.1 degrees of a twist."""
        near = np.abs(self.twists_deg - twist_deg) <= WITHIN_DEG
        return float(self._volumes @ (near @ self.weights))

    def draw(self, point: Floats, rng: np.random.Generator) -> float:
        """Twist in degrees of one run at a (dimension,) point."""
        twists_deg = self.twists_deg[self._cells_of(point[np.newaxis])[0]]
        return float(twists_deg[rng.choice(TWISTS, p=self.weights)])

    @cached_property
    def _volumes(self) -> Floats:
        cell = self._cells_of(sobol_points(COUNTED, self.dimension, seed=0))
        volumes: Floats = np.bincount(cell, minlength=self.cells) / COUNTED
        return volumes

    def _cells_of(self, points: Floats) -> npt.NDArray[np.intp]:
        nearest: npt.NDArray[np.intp] = cdist(points, self.sites).argmin(axis=1)
        return nearest


SCATTERED: Final = (
    *(Scattered(seed, f"scattered {seed}") for seed in (1, 2, 3, 4)),
    Scattered(5, "scattered, 20 cells", cells=20, rare=0.02),
    Scattered(6, "scattered, 150 cells", cells=150),
    Scattered(7, "scattered, 40 %", preferred=0.4),
    Scattered(8, "scattered, 90 %", preferred=0.9),
    Scattered(9, "scattered, 5 %", cells=20, rare=0.05),
    Scattered(10, "scattered, shared twists", distinct=24),
    Scattered(11, "scattered, six parameters", dimension=6),
)
"""Some of each kind: several seeds, fewer and more cells, a weaker and a stronger preference, twists of many cells."""
