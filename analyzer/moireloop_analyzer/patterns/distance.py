"""How far the patterns of two bilayers are apart, whatever the rotation of the samples (pure).

The distance is the root mean square shift of the twelve first-ring spots of both layers that turns one pattern into
the other, after the overall rotation that makes it least. It is zero for a pattern and itself, the same
both ways, and obeys the triangle inequality: it is least over a group of motions that keep lengths (Kendall, Bulletin
of the London Mathematical Society 16, 81 (1984)). Between two twists it is |G| / 2 times their difference in radians.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.patterns.reciprocal import Floats

Complex = npt.NDArray[np.complex128]

RING: Final = np.array([[4.0, 2.0], [2.0, 4.0]])
"""Sum of the products of the indices of the six spots of {10}."""

SPOTS: Final = 12


def pattern_distance(
    pattern: Floats, others: Floats, *, layers_known: bool = False, mirrored: bool = True
) -> npt.NDArray[np.float64]:
    """(N,) distances in inverse angstrom of a pattern (2, 2, 2) from others (N, 2, 2, 2).

    Args:
        pattern: reciprocal lattices of two layers, vectors as rows, 120 degrees apart before strain.
        others: reciprocal lattices of N bilayers.
        layers_known: whether the first layer of the pattern is known to be the first one of the others.
        mirrored: whether a mirror image, the twist in the other sense, is the same.
    """
    one, many = _complex(pattern), _complex(others)
    choices = [many, many[:, ::-1]] if not layers_known else [many]
    if mirrored:
        choices += [np.conj(choice[..., ::-1]) for choice in choices]
    first, second = _turned(one[0]), _turned(one[1])
    best = np.zeros(len(many))
    for choice in choices:
        together = _products(first, choice[:, 0])[:, :, None] + _products(second, choice[:, 1])[:, None, :]
        best = np.maximum(best, np.abs(together).max(axis=(1, 2)))
    size = _squared(one) + np.array([_squared(each) for each in many])
    return np.sqrt(np.maximum(size - 2.0 * best, 0.0) / SPOTS)


def reciprocal_of(lattices: Floats) -> Floats:
    """(..., 2, 2) reciprocal vectors, as rows, of lattices with vectors as rows that are about 60 degrees apart.

    Vectors about 120 degrees apart, or the second clockwise of the first, are exchanged for others of their lattice.
    """
    first, second = lattices[..., 0, :], lattices[..., 1, :]
    turned = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0] < 0
    second = np.where(turned[..., None], -second, second)
    wide = (first * second).sum(axis=-1) < 0
    second = np.where(wide[..., None], second + first, second)
    columns = np.stack([first, second], axis=-1)
    return np.asarray(2.0 * math.pi * np.linalg.inv(columns))


def _complex(matrices: Floats) -> Complex:
    return np.asarray(matrices[..., 0] + 1j * matrices[..., 1])


def _turned(layer: Complex) -> Complex:
    """(6, 2) the same lattice by its pairs of vectors, each a sixth of a turn on."""
    b1, b2 = layer
    return np.array([[b1, b2], [b1 + b2, -b1], [b2, -b1 - b2], [-b1, -b2], [-b1 - b2, b1], [-b2, b1 + b2]])


def _products(turned: Complex, layers: Complex) -> Complex:
    """(N, 6) products of layers (N, 2) with one of them turned (6, 2)."""
    return np.asarray(layers.conj() @ RING @ turned.T)


def _squared(layers: Complex) -> float:
    return float(np.einsum("li,ij,lj->", layers.conj(), RING, layers).real)
