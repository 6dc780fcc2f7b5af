"""The moire pattern of two triangular lattices (pure)."""

from __future__ import annotations

import math
from typing import Final

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
