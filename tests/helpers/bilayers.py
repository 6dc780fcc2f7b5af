"""Bilayers whose twist is known by construction."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.twist import TwistEstimate, measure_twist

Floats = npt.NDArray[np.floating[Any]]

SPACING = 3.16
BASIS = SPACING * np.array([[1.0, 0.5], [0.0, math.sqrt(3.0) / 2.0]])
LOWER_Z, UPPER_Z, HEIGHT = 4.0, 10.3, 20.0


@dataclass(frozen=True)
class Bilayer:
    """Atoms (N, 3) of type 1 below and 2 above, their cell (3, 3) and which directions are periodic."""

    positions: Floats
    types: npt.NDArray[np.int64]
    cell: Floats
    pbc: tuple[bool, bool, bool] = (True, True, False)

    def shaken(self, noise: float, rng: np.random.Generator) -> Bilayer:
        """Every coordinate moved by normal noise of this standard deviation in angstrom."""
        return replace(self, positions=self.positions + noise * rng.normal(size=self.positions.shape))

    def thinned(self, share: float, rng: np.random.Generator) -> Bilayer:
        """Without a random share of the atoms."""
        kept = rng.random(len(self.positions)) >= share
        return replace(self, positions=self.positions[kept], types=self.types[kept])

    def shuffled(self, rng: np.random.Generator) -> Bilayer:
        """The same atoms in another order."""
        order = rng.permutation(len(self.positions))
        return replace(self, positions=self.positions[order], types=self.types[order])

    def moved(self, by: Floats) -> Bilayer:
        """All atoms moved, and put back into the periodic directions of the cell."""
        fractions = (self.positions + by) @ np.linalg.inv(self.cell)
        return replace(self, positions=(fractions - np.floor(fractions) * np.array(self.pbc)) @ self.cell)

    def deformed(self, matrix: Floats) -> Bilayer:
        """Cell and atoms mapped by a (3, 3) matrix that acts on columns."""
        return replace(self, positions=self.positions @ matrix.T, cell=self.cell @ matrix.T)


def rotation(angle_deg: float) -> Floats:
    """Counter-clockwise rotation (2, 2)."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[c, -s], [s, c]])


def commensurate_twist_deg(m: int, n: int) -> float:
    """Twist of the commensurate cell (m, n) from the law of cosines, folded to [0, 30] degrees."""
    cosine = (m * m + 4 * m * n + n * n) / (2 * (m * m + m * n + n * n))
    angle = math.degrees(math.acos(min(1.0, cosine)))
    return min(angle, 60.0 - angle)


def commensurate(m: int, n: int, repeats: int = 1) -> Bilayer:
    """Periodic bilayer in which (n, m) steps of the lower lattice are (m, n) steps of the upper one.

    The sites of each layer are found by counting whole lattice steps inside the common cell; no angle is used. For
    0 < n < m the upper lattice is turned counter-clockwise.
    """
    layers = []
    for (p, q), z in (((n, m), LOWER_Z), ((m, n), UPPER_Z)):
        size = p * p + p * q + q * q
        span = np.arange(-2 * (p + q), 2 * (p + q) + 1)
        steps = np.stack(np.meshgrid(span, span, indexing="ij"), axis=-1).reshape(-1, 2)
        inside = steps @ np.array([[p + q, -q], [q, p]])
        chosen = inside[((inside >= 0) & (inside < size)).all(axis=1)] / size
        layers.append((chosen, z))
    return _tiled(layers, BASIS @ np.array([[n, -m], [m, n + m]]), repeats)


def _tiled(layers: list[tuple[Floats, float]], plane: Floats, repeats: int) -> Bilayer:
    tiles = np.array([(i, j) for i in range(repeats) for j in range(repeats)])
    positions, types = [], []
    for kind, (fractions, z) in enumerate(layers, start=1):
        everywhere = (fractions[None] + tiles[:, None]).reshape(-1, 2) @ plane.T
        positions.append(np.column_stack([everywhere, np.full(len(everywhere), z)]))
        types.append(np.full(len(everywhere), kind))
    cell = np.zeros((3, 3))
    cell[:2, :2] = repeats * plane.T
    cell[2, 2] = HEIGHT
    return Bilayer(np.concatenate(positions), np.concatenate(types), cell)


def crystal(basis: Floats, length: float, origin: Floats) -> Floats:
    """Lattice points inside the square [0, length) x [0, length)."""
    reach = int(3 * length / SPACING) + 5
    steps = np.arange(-reach, reach + 1)
    i, j = np.meshgrid(steps, steps)
    points = np.column_stack([i.ravel(), j.ravel()]) @ basis.T + origin
    return points[((points >= 0) & (points < length)).all(axis=1)]


def stacked(lower: Floats, upper: Floats, length: float, *, periodic: bool) -> Bilayer:
    """Two sets of points (N, 2) as the layers of a square cell."""
    positions = np.concatenate(
        [np.column_stack([layer, np.full(len(layer), z)]) for layer, z in ((lower, LOWER_Z), (upper, UPPER_Z))]
    )
    types = np.repeat([1, 2], [len(lower), len(upper)])
    return Bilayer(positions, types, np.diag([length, length, HEIGHT]), (periodic, periodic, False))


def square(
    twist_deg: float, *, turn_deg: float = 0.0, length: float = 60.0, periodic: bool = False, seed: int = 0
) -> Bilayer:
    """Square piece of a bilayer of any twist; as a periodic cell it has seams, since its lattices do not close."""
    rng = np.random.default_rng(seed)
    layers = [crystal(rotation(turn_deg + twist) @ BASIS, length, rng.random(2)) for twist in (0.0, twist_deg)]
    return stacked(layers[0], layers[1], length, periodic=periodic)


def twist_of(bilayer: Bilayer) -> TwistEstimate:
    """Twist of a bilayer whose two types are both lattice types, as in the bead model."""
    return measure_twist(
        bilayer.positions, bilayer.types, bilayer.cell, bilayer.pbc, metal_types=(1, 2), chalcogen_types=()
    )
