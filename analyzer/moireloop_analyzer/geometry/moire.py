"""The moire pattern of two triangular lattices (pure)."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MIN_DIFFERENCE: Final = 1e-6


def moire_wavelength(twist_deg: float, lower_angstrom: float, upper_angstrom: float) -> float | None:
    """Wavelength in angstrom of the moire pattern of two triangular lattices, or None where it is infinite.

    L = a b / sqrt(a^2 + b^2 - 2 a b cos(twist)), which is a / (2 sin(twist / 2)) for equal lattice constants: the
    inverse of the difference of the reciprocal lattice vectors. Infinite means more than a million lattice
    constants, that is no twist and no mismatch.
    """
    half_sine = math.sin(math.radians(twist_deg) / 2.0)
    product = lower_angstrom * upper_angstrom
    difference = math.hypot(lower_angstrom - upper_angstrom, 2.0 * math.sqrt(product) * half_sine)
    if difference <= MIN_DIFFERENCE * max(lower_angstrom, upper_angstrom):
        return None
    return product / difference


Floats = npt.NDArray[np.floating[Any]]

WIDEST: Final = 1e3
"""A moire cell wider than this many lattice vectors does not count: there is neither twist nor mismatch."""


def sixty(lattice: Floats) -> Floats:
    """The same lattice by two vectors (columns) about 60 degrees apart, the second counter-clockwise of the first."""
    first, second = lattice.T
    second = second if first[0] * second[1] > first[1] * second[0] else -second
    return np.column_stack([first, second if first @ second > 0 else second + first])


def turned_to(lower: Floats, upper: Floats) -> Floats:
    """The upper lattice by the pair of its vectors, 60 degrees apart, nearest to the lower one's `sixty`."""
    wanted, choice = sixty(lower), sixty(upper)
    choices = []
    for _ in range(6):
        choices.append(choice)
        choice = np.column_stack([choice[:, 1], choice[:, 1] - choice[:, 0]])
    return min(choices, key=lambda vectors: float(np.linalg.norm(vectors - wanted)))


def moire_vectors(lower: Floats, upper: Floats) -> Floats | None:
    """The vectors (2, 2), as columns, over which two lattices come into step again; None where they never part.

    They solve upper^-1 L - lower^-1 L = whole numbers, with the vectors of `sixty` and `turned_to` as columns of lower
    and upper: the matrix of both L is the inverse of upper^-1 - lower^-1.
    """
    lower, upper = sixty(lower), turned_to(lower, upper)
    drift = np.linalg.inv(upper) - np.linalg.inv(lower)
    if np.linalg.norm(drift, 2) * np.linalg.norm(lower, 2) < 1.0 / WIDEST:
        return None
    if abs(np.linalg.det(drift @ lower)) < WIDEST**-2:
        return None
    vectors: Floats = np.linalg.inv(drift)
    return vectors


def moire_corner(lower: Floats, lower_site: Floats, upper: Floats, upper_site: Floats, near: Floats) -> Floats | None:
    """The place (2,) near to `near` where the lattices are in step, metal above metal; None without a moire cell.

    There upper^-1 (r - upper_site) - lower^-1 (r - lower_site) is whole.
    """
    vectors = moire_vectors(lower, upper)
    if vectors is None:
        return None
    lower, upper = sixty(lower), turned_to(lower, upper)
    offset = np.linalg.inv(upper) @ upper_site - np.linalg.inv(lower) @ lower_site
    steps = np.round(np.linalg.inv(vectors) @ near - offset)
    corner: Floats = vectors @ (steps + offset)
    return corner
