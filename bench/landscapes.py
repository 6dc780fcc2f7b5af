"""Landscapes that strategies are tried on: an emulator of the bead model, three analytic ones, scattered ones (pure).

Each takes a point of the unit cube, whose three axes stand for temperature, lattice strain and shear strain, and draws
a twist as one run there would give it; None stands for a run without a twist.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.parquet

from bench.grid import GRID_FILE, LATTICES, LEVELS
from bench.scattered import DIMENSION, SCATTERED

Floats = npt.NDArray[np.float64]

COHERENT_DEG: Final = (0.0, 2.8, 5.5, 8.2, 11.0, 14.4, 16.3, 18.1, 21.3, 25.3, 30.0)
"""Twists that the plateaus have: those that a small periodic cell admits, as the bead model shows them."""


class Landscape(Protocol):
    """What a run at a point of the unit cube comes to."""

    @property
    def name(self) -> str:
        """Name of the landscape, for tables and figures."""
        ...

    @property
    def dimension(self) -> int:
        """Growth parameters."""
        ...

    def draw(self, point: Floats, rng: np.random.Generator) -> float | None:
        """Twist in degrees, in [0, 30], of one run at a (d,) point, with the random numbers of that run; or None."""
        ...


@dataclass(frozen=True)
class Smooth:
    """Two broad waves: about as curved as a few dozen points can resolve. Twists scatter by `noise_deg`."""

    name: str = "smooth"
    dimension: int = DIMENSION
    noise_deg: float = 0.02

    def draw(self, point: Floats, rng: np.random.Generator) -> float:
        """See Landscape."""
        return _folded(self.mean_deg(point) + self.noise_deg * rng.standard_normal())

    def mean_deg(self, point: Floats) -> float:
        """Twist without scatter."""
        x, y, z = point
        return float(15.0 + 8.0 * np.sin(3.0 * x + 2.0 * y) + 7.0 * np.cos(4.0 * z - 1.5 * x + 0.5))


@dataclass(frozen=True)
class Ridges:
    """Many sharp ridges and valleys that cross each other, over a slow trend; some 4 to 6 along each axis."""

    name: str = "ridges"
    dimension: int = DIMENSION
    noise_deg: float = 0.05

    def draw(self, point: Floats, rng: np.random.Generator) -> float:
        """See Landscape."""
        return _folded(self.mean_deg(point) + self.noise_deg * rng.standard_normal())

    def mean_deg(self, point: Floats) -> float:
        """Twist without scatter."""
        x, y, z = point
        trend = 6.0 + 14.0 * z * (1.0 - 0.5 * x)
        return float(trend + 6.0 * abs(np.sin(9.0 * x + 4.0 * y)) + 5.0 * abs(np.sin(14.0 * z - 6.0 * y)) - 4.0 * y)


@dataclass(frozen=True)
class Plateaus:
    """The smooth landscape as a small periodic cell would show it: only coherent twists, scattered at their borders.

    Each run falls to the coherent twist nearest to the smooth one plus a scatter of its own. One run in twenty stays
    without a twist.
    """

    name: str = "plateaus"
    dimension: int = DIMENSION
    scatter_deg: float = 0.6
    refused: float = 0.05

    def draw(self, point: Floats, rng: np.random.Generator) -> float | None:
        """See Landscape."""
        if rng.random() < self.refused:
            return None
        wish = Smooth().mean_deg(point) + self.scatter_deg * rng.standard_normal()
        return min(COHERENT_DEG, key=lambda twist: abs(twist - wish))


@dataclass(frozen=True)
class GridRun:
    """A run of the grid: its twist in degrees, NaN where there was none, and its lattices (3, 2, 2) as in `Runs`."""

    twist_deg: float
    lattices: Floats


class Emulator:
    """The bead model, from the runs of the grid.

    A run at a point is one of the runs at a corner of the grid's cell around it: the corner is drawn with its
    trilinear weight, the run evenly. So twists, and runs without one, have the values, the roughness and the scatter
    from seed to seed of the real model, as finely as the grid has them.

    Args:
        path: the table that `bench.grid` writes.
    """

    name = "bead"
    dimension = DIMENSION

    def __init__(self, path: Path = GRID_FILE) -> None:
        self._shape = tuple(len(levels) for levels in LEVELS.values())
        self._runs: list[list[GridRun]] = [[] for _ in range(int(np.prod(self._shape)))]
        rows = pyarrow.parquet.read_table(path).to_pylist()
        for row in rows:
            place = [int(np.abs(levels - row[name]).argmin()) for name, levels in LEVELS.items()]
            self._runs[int(np.ravel_multi_index(place, self._shape))].append(_grid_run(row))

    @property
    def twists_deg(self) -> Floats:
        """Twists of all runs of the grid, in degrees; NaN where there was none."""
        return np.array([run.twist_deg for runs in self._runs for run in runs])

    def draw(self, point: Floats, rng: np.random.Generator) -> float | None:
        """See Landscape."""
        twist_deg = self.draw_run(point, rng).twist_deg
        return None if np.isnan(twist_deg) else twist_deg

    def draw_run(self, point: Floats, rng: np.random.Generator) -> GridRun:
        """The same with the lattices of that run."""
        steps = np.array(self._shape) - 1
        along = np.clip(point, 0.0, 1.0) * steps
        low = np.minimum(along.astype(int), steps - 1)
        corner = low + (rng.random(DIMENSION) < along - low)
        runs = self.runs_at(tuple(corner))
        return runs[int(rng.choice(len(runs)))]

    def runs_at(self, place: tuple[int, ...]) -> list[GridRun]:
        """The runs at a place of the grid, given by its three indices."""
        return self._runs[int(np.ravel_multi_index(place, self._shape))]


def _grid_run(row: dict[str, Any]) -> GridRun:
    lattices = [row[name] or [np.nan] * 4 for name in LATTICES]
    twist_deg = np.nan if row["twist_deg"] is None else row["twist_deg"]
    return GridRun(twist_deg, np.array(lattices, dtype=np.float64).reshape(3, 2, 2))


def _folded(twist_deg: float) -> float:
    """A twist brought back into [0, 30] as the six-fold symmetry does."""
    return abs((twist_deg + 30.0) % 60.0 - 30.0)


@cache
def landscapes() -> dict[str, Landscape]:
    """All landscapes, by name."""
    everything: list[Landscape] = [*([Emulator()] if GRID_FILE.exists() else []), Smooth(), Ridges(), Plateaus()]
    everything += SCATTERED
    return {landscape.name: landscape for landscape in everything}
