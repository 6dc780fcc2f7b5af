"""Reciprocal lattices of layers that are nearly hexagonal: indices, distortion, rotation (pure).

A reciprocal lattice is a matrix (2, 2) with its two vectors, 120 degrees apart before strain, as rows; the spot (h, k)
is `(h, k) @ matrix`. The lattice in space has `2 pi inv(matrix)` as columns, 60 degrees apart.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]

IDEAL: Final = 2.0 * math.pi * np.array([[1.0, -1.0 / math.sqrt(3.0)], [0.0, 2.0 / math.sqrt(3.0)]])
"""Of the hexagonal lattice of constant 1 with its first vector along x."""


def first_ring(constant: float) -> float:
    """|G| of the ring {10} in inverse angstrom, for a lattice constant in angstrom."""
    return 4.0 * math.pi / (math.sqrt(3.0) * constant)


def norms(indices: Ints) -> Ints:
    """(...) squared lengths of indices (..., 2), in units of the first ring's: 1, 3, 4, 7, 9, 12, 13 ..."""
    h, k = indices[..., 0], indices[..., 1]
    return np.asarray(h * h + k * k - h * k)


def sites_within(most: float) -> Ints:
    """Indices (M, 2) of all spots but the origin whose `norms` are at most this, the inner ones first."""
    reach = int(math.sqrt(4.0 * most / 3.0)) + 1
    h, k = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    indices = np.stack([h.ravel(), k.ravel()], axis=1)
    size = norms(indices)
    kept = indices[(size > 0) & (size <= most)]
    order = np.lexsort((kept[:, 1], kept[:, 0], norms(kept)))
    return kept[order]


def upward(indices: Ints) -> npt.NDArray[np.bool_]:
    """Which of indices (M, 2) stand for themselves and their opposite: one of each pair."""
    return np.asarray((indices[:, 1] > 0) | ((indices[:, 1] == 0) & (indices[:, 0] > 0)))


def stretches(matrices: Floats, constant: float) -> Floats:
    """(..., 2) principal stretches, the larger first, of lattices in space against the ideal one.

    Infinite or zero where the matrices (..., 2, 2) are singular.
    """
    reduced = np.linalg.inv(IDEAL / constant) @ matrices
    values = np.linalg.svd(reduced, compute_uv=False)
    with np.errstate(divide="ignore"):
        return 1.0 / values[..., ::-1]


def rotation_rad(matrices: Floats) -> Floats:
    """(...) rotations of the polar decomposition of the lattices in space, counter-clockwise, in radians.

    In-space F = V R has the reciprocal one V^-1 R: the rotation is the same.
    """
    reduced = np.swapaxes(np.linalg.inv(IDEAL) @ matrices, -1, -2)
    return np.asarray(np.arctan2(reduced[..., 1, 0] - reduced[..., 0, 1], reduced[..., 0, 0] + reduced[..., 1, 1]))


def lattice_of(matrix: Floats) -> Floats:
    """The lattice in space, vectors (2, 2) as columns in angstrom."""
    return np.asarray(2.0 * math.pi * np.linalg.inv(matrix))


def strained(constant: float, angle_rad: float, strain: Floats) -> Floats:
    """The reciprocal lattice of one in space that is turned and then strained by a symmetric (2, 2) strain."""
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    deformed = (np.eye(2) + strain) @ np.array([[c, -s], [s, c]])
    return np.asarray(IDEAL / constant @ np.linalg.inv(deformed))


def turns(matrix: Floats) -> list[Floats]:
    """The same lattice by six pairs of its vectors, each turned by a sixth from the one before."""
    b1, b2 = matrix
    found = []
    for _ in range(6):
        found.append(np.stack([b1, b2]))
        b1, b2 = b1 + b2, -b1
    return found
