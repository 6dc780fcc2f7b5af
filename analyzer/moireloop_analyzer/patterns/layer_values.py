"""Numbers of one lattice, and of two together, with the errors that a covariance gives them (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.moire import moire_wavelength
from moireloop_analyzer.patterns.peaks import Floats, Peaks
from moireloop_analyzer.patterns.reciprocal import IDEAL, lattice_of, rotation_rad

STEP: Final = 1e-6


def signed_twist_deg(matrices: Floats) -> float:
    """Rotation of the second of two lattices (2, 2, 2) against the first, in [-30, 30]."""
    first, second = np.degrees(rotation_rad(matrices))
    return float((second - first + 30.0) % 60.0 - 30.0)


def strain_of(matrix: Floats, nominal: float) -> Floats:
    """(2, 2) strain V - 1 of the lattice in space against the nominal one, V the left stretch of its deformation."""
    deformation = lattice_of(matrix) @ np.linalg.inv(lattice_of(IDEAL / nominal))
    u, stretch, _ = np.linalg.svd(deformation)
    return np.asarray(u @ np.diag(stretch) @ u.T - np.eye(2))


def constant_of(matrix: Floats) -> float:
    """Lattice constant in angstrom of the regular lattice with as large a cell."""
    return float(math.sqrt(np.linalg.det(IDEAL) / np.linalg.det(matrix)))


def wavelength_of(matrices: Floats) -> float | None:
    """Wavelength of the moire pattern of two lattices in angstrom."""
    return moire_wavelength(signed_twist_deg(matrices), constant_of(matrices[0]), constant_of(matrices[1]))


def error_of(function: Callable[[Floats], float], matrices: Floats, covariance: Floats) -> float:
    """Standard error of a number of lattices (L, 2, 2) with a covariance (4 L, 4 L), to first order."""
    flat, slope = matrices.ravel(), np.zeros(matrices.size)
    for place in range(matrices.size):
        step = np.zeros(matrices.size)
        step[place] = STEP
        up, down = (function((flat + sign * step).reshape(matrices.shape)) for sign in (1.0, -1.0))
        slope[place] = (up - down) / (2.0 * STEP)
    return float(math.sqrt(max(float(slope @ covariance @ slope), 0.0)))


def mosaic_of(peaks: Peaks) -> tuple[float, float] | None:
    """Full width of the mosaic spread in degrees and its standard error; None where too few peaks have both widths.

    Across q a peak is wider than along it by q times the spread, in squares: the medians of the spots are compared.
    """
    known = np.isfinite(peaks.width_radial) & np.isfinite(peaks.width_azimuthal)
    if known.sum() < 4:
        return None
    seen = peaks.select(known)
    excess = (seen.width_azimuthal**2 - seen.width_radial**2) / seen.lengths**2
    middle = float(np.median(excess))
    scatter = 1.4826 * float(np.median(np.abs(excess - middle))) * 1.2533 / math.sqrt(len(excess))
    spread = math.sqrt(max(middle, 0.0))
    error = scatter / (2.0 * spread) if spread**2 > scatter else math.sqrt(scatter)
    return math.degrees(spread), math.degrees(error)
