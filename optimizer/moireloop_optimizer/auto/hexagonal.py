"""Hexagonal lattices in the plane, their two vectors about 60 degrees apart: rotation, distortion, spacing (pure).

As complex numbers, the vectors of a lattice are the vectors of a regular one along x times `a`, plus their conjugates
times `b`. |a| + |b| and |a| - |b| are the principal stretches, and the argument of `a` is the rotation of the polar
decomposition.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Whole = npt.NDArray[np.int64]

Complex = npt.NDArray[np.complex128]

SYMMETRY_DEG: Final = 60.0

SPOKES: Final = np.exp(1j * np.radians([30.0, -90.0])) / np.sqrt(3.0)
"""By what the two vectors are multiplied: their sum is `a`, and `b` with the conjugates of these."""

SAME_DEG: Final = 0.03
"""Width of an orientation that comes again."""

FARTHEST: Final = 6.0
"""In those widths: what is farther off is another orientation."""


def in_plane(vectors: Floats) -> Complex:
    """(...) vectors (..., 2) as complex numbers."""
    return vectors[..., 0] + 1j * vectors[..., 1]


def put_into(cells: Floats, places: Floats, spokes: Complex = SPOKES) -> Complex:
    """(N, K) `a` of (K, 2, 2) lattices, in vectors of a cell, in each of (N, 2, 2) cells; `b` by other spokes."""
    parts: Complex = in_plane(cells) @ (spokes @ places).T
    return parts


def turned_deg(lattices: Floats) -> Floats:
    """(...) rotations in degrees that take a lattice along x to (..., 2, 2) lattices."""
    turned: Floats = np.angle(in_plane(lattices) @ SPOKES, deg=True)
    return turned


def distortion(a: Complex, b: Complex) -> Floats:
    """Logarithm of the ratio of the principal stretches; infinite where a lattice is flat or left-handed."""
    most, least = np.abs(a) + np.abs(b), np.abs(a) - np.abs(b)
    regular = least > 0.0
    ratio: Floats = np.log(np.where(regular, most, 1.0)) - np.log(np.where(regular, least, 1.0))
    return np.where(regular, ratio, np.inf)


def spacing(lattices: Floats) -> Floats:
    """(...) distance of neighbours in the regular lattice that has as much area to a site as (..., 2, 2) lattices."""
    distance: Floats = np.sqrt(np.abs(np.linalg.det(lattices)) / np.sin(np.radians(SYMMETRY_DEG)))
    return distance


def folded(angle_deg: Floats) -> Floats:
    """Angles in degrees between lattices, in [0, 30]: 60 degrees and the sign make no difference."""
    half = 0.5 * SYMMETRY_DEG
    small: Floats = np.abs((angle_deg + half) % SYMMETRY_DEG - half)
    return small


def whole_cells(lengths: Floats, sites: Floats, stretched: float, other_sites: float) -> Whole:
    """(K, 2, 2) whole numbers of lattice vectors that one of N cells or another may be made of.

    One of the six rotations of a hexagonal lattice into itself is enough: with the first vector from 0 to 60 degrees.

    Args:
        lengths: (N, 2) of the vectors of the cells, in spacings of the lattice.
        sites: (N,) that a layer in each cell is expected to have.
        stretched: how far layers are looked for, as a share of the lengths.
        other_sites: likewise, as a share of the number of sites.
    """
    low, high = (1.0 - stretched) * lengths.min(axis=0), (1.0 + stretched) * lengths.max(axis=0)
    most = int(2.0 / np.sqrt(3.0) * high.max()) + 1
    numbers = np.stack(np.meshgrid(*[np.arange(-most, most + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    vectors = numbers @ np.exp(1j * np.radians([0.0, SYMMETRY_DEG]))
    length, angle_deg = np.abs(vectors), np.angle(vectors, deg=True).round(9)
    first = numbers[(length >= low[0]) & (length <= high[0]) & (angle_deg >= 0.0) & (angle_deg < SYMMETRY_DEG)]
    second = numbers[(length >= low[1]) & (length <= high[1])]
    areas = first[:, :1] * second[:, 1] - first[:, 1:] * second[:, 0]
    least, largest = (1.0 - other_sites) * sites.min(), (1.0 + other_sites) * sites.max()
    i, j = np.nonzero((areas >= max(1.0, least)) & (areas <= largest))
    return np.stack([first[i], second[j]], axis=1)
