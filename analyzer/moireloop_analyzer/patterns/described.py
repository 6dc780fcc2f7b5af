"""One lattice of a pattern with all its numbers, and the relative brightness of lattices (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from moireloop_analyzer.patterns.indexed import Layer
from moireloop_analyzer.patterns.lattices.search import Lattice
from moireloop_analyzer.patterns.layer_values import constant_of, error_of, mosaic_of, strain_of
from moireloop_analyzer.patterns.peaks import Floats, Ints, Peaks
from moireloop_analyzer.patterns.reciprocal import norms, rotation_rad


def layer_of(
    peaks: Peaks,
    matrix: Floats,
    covariance: Floats,
    nominal: float,
    brightness: float,
    own: Ints,
    indices: Ints,
) -> Layer:
    """All numbers of one lattice with their errors."""
    lattices = matrix[None]
    parts = [[error_of(_strain(nominal, a, b), lattices, covariance) for b in (0, 1)] for a in (0, 1)]
    mosaic = mosaic_of(peaks.select(own))
    return Layer(
        matrix=matrix,
        nominal_angstrom=nominal,
        lattice_angstrom=constant_of(matrix),
        lattice_error_angstrom=error_of(lambda m: constant_of(m[0]), lattices, covariance),
        strain=strain_of(matrix, nominal),
        strain_error=np.array(parts),
        direction_deg=direction_deg(matrix),
        mosaic_deg=mosaic and mosaic[0],
        mosaic_error_deg=mosaic and mosaic[1],
        brightness=brightness,
        peaks=own,
        indices=indices,
    )


def _strain(nominal: float, a: int, b: int) -> Callable[[Floats], float]:
    return lambda matrices: float(strain_of(matrices[0], nominal)[a, b])


def domain_of(peaks: Peaks, one: Lattice, nominal: float, brightness: float) -> Layer:
    """A further lattice besides the two layers."""
    return layer_of(peaks, one.matrix, one.covariance, nominal, brightness, one.peaks, one.indices)


def brightness_of(peaks: Peaks, found: Sequence[Lattice]) -> list[float]:
    """Of each lattice, the median over its rings of its intensity over the brightest lattice's in that ring."""
    rings: list[dict[int, float]] = []
    for one in found:
        size, intensity = norms(one.indices), peaks.intensity[one.peaks]
        rings.append({int(n): float(np.median(intensity[size == n])) for n in np.unique(size)})
    brightest = {n: max(ring.get(n, 0.0) for ring in rings) for ring in rings for n in ring}
    values = [float(np.median([ring[n] / brightest[n] for n in ring])) for ring in rings]
    most = max(values, default=1.0)
    return [value / most for value in values]


def direction_deg(matrix: Floats) -> float:
    """Rotation of a lattice against the x axis, in [0, 60)."""
    return float(np.degrees(rotation_rad(matrix)) % 60.0)
