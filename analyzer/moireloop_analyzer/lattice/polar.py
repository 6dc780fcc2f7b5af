"""The rotation and the stretch of a triangular lattice (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.box import Floats

ROOT_3: Final = math.sqrt(3.0)


@dataclass(frozen=True)
class Polar:
    """Polar decomposition of the deformation F that maps the ideal lattice of constant 1 to a lattice.

    `rotation_rad` is the angle of R in F = V R, in radians, counter-clockwise. `constant` is the geometric mean of the
    stretches, and `strain` (2, 2) what distorts the lattice beyond that: V / constant - 1. `slope` is the derivative of
    the angle by the lattice vectors, as x1, x2, y1, y2.
    """

    rotation_rad: float
    constant: float
    strain: Floats
    slope: tuple[float, float, float, float]


def polar_of(vectors: Floats) -> Polar | None:
    """The decomposition for lattice vectors (2, 2) as columns, 60 degrees apart before strain; None for mirrored ones.

    With F = vectors @ IDEAL^-1 the angle is atan2(F21 - F12, F11 + F22).
    """
    (x1, x2), (y1, y2) = vectors.tolist()
    xx, xy = x1, (2.0 * x2 - x1) / ROOT_3
    yx, yy = y1, (2.0 * y2 - y1) / ROOT_3
    determinant = xx * yy - xy * yx
    if not determinant > 0:
        return None
    sine, cosine, constant = yx - xy, xx + yy, math.sqrt(determinant)
    size2 = sine * sine + cosine * cosine
    c, s = cosine / math.sqrt(size2), sine / math.sqrt(size2)
    strain_xx, strain_xy = (xx * c - xy * s) / constant - 1.0, (xx * s + xy * c) / constant
    strain_yx, strain_yy = (yx * c - yy * s) / constant, (yx * s + yy * c) / constant - 1.0
    by_xx, by_xy, by_yx, by_yy = -sine / size2, -cosine / size2, cosine / size2, -sine / size2
    return Polar(
        rotation_rad=math.atan2(sine, cosine),
        constant=constant,
        strain=np.array([[strain_xx, strain_xy], [strain_yx, strain_yy]]),
        slope=(by_xx - by_xy / ROOT_3, 2.0 * by_xy / ROOT_3, by_yx - by_yy / ROOT_3, 2.0 * by_yy / ROOT_3),
    )
