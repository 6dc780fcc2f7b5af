"""What a measured pattern shows of a bilayer (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Layer:
    """One lattice of a pattern.

    Attributes:
        matrix: (2, 2) reciprocal vectors as rows, in inverse angstrom.
        nominal_angstrom: lattice constant that its strain is counted from.
        lattice_angstrom: geometric mean of the principal stretches, as a lattice constant; with its standard error.
        strain: (2, 2) of the lattice in space against the nominal one, in the axes of the pattern.
        strain_error: (2, 2) standard errors.
        direction_deg: rotation against the pattern's x axis, in [0, 60).
        mosaic_deg: full width at half maximum of its mosaic spread; None where widths do not show it.
        mosaic_error_deg: standard error of that.
        brightness: intensity over the other layers', ring by ring; 1 for the brightest.
        peaks: (K,) numbers of its peaks.
        indices: (K, 2) which spots these are.
    """

    matrix: Floats
    nominal_angstrom: float
    lattice_angstrom: float
    lattice_error_angstrom: float
    strain: Floats
    strain_error: Floats
    direction_deg: float
    mosaic_deg: float | None
    mosaic_error_deg: float | None
    brightness: float
    peaks: Ints
    indices: Ints

    @property
    def vectors_angstrom(self) -> Floats:
        """Lattice vectors (2, 2) as columns, 60 degrees apart."""
        return np.asarray(2.0 * np.pi * np.linalg.inv(self.matrix))

    @property
    def principal_strains(self) -> tuple[float, float]:
        """Principal values of the strain, the larger first."""
        low, high = np.linalg.eigvalsh(self.strain)
        return float(high), float(low)


@dataclass(frozen=True, eq=False)
class IndexedPattern:
    """The two lattices of a pattern; exactly one of `twist_deg` and `reason` is given.

    Attributes:
        twist_deg: rotation of the layers against each other, in [0, 30].
        sigma_deg: its standard error.
        signed_deg: rotation of `layers[1]` against `layers[0]`, in [-30, 30], counter-clockwise.
        layers: two, the one of the first nominal constant first where the constants identify the layers, else the
            brighter one first; fewer where the pattern was refused.
        layers_known: whether the constants show which layer is which.
        covariance: (8, 8) of the elements of both layers' matrices.
        moire_angstrom: wavelength of the moire pattern of the two lattices, None where it is infinite.
        moire_error_angstrom: its standard error.
        satellites: (S,) numbers of the peaks that stand at moire satellites and belong to neither lattice.
        satellite_share: ratio of their mean intensity to the mean of the spots they surround; None without any.
        domains: further rotations of one of the lattices.
        unexplained: (U,) numbers of the peaks that belong to none of all these.
        reduced_chi2: of the fit of both lattices.
        spots: number of spots where the list of peaks names some of them several times; else None.
        scale: factor on the stated q that was fitted; None where the calibration was taken as it was stated.
    """

    twist_deg: float | None = None
    reason: str | None = None
    sigma_deg: float | None = None
    signed_deg: float | None = None
    layers: tuple[Layer, ...] = ()
    layers_known: bool = False
    covariance: Floats | None = None
    moire_angstrom: float | None = None
    moire_error_angstrom: float | None = None
    satellites: Ints = field(default_factory=_none)
    satellite_share: float | None = None
    domains: tuple[Layer, ...] = ()
    unexplained: Ints = field(default_factory=_none)
    reduced_chi2: float | None = None
    scale: float | None = None
    spots: int | None = None

    def refused(self, reason: str) -> IndexedPattern:
        """The same without a twist, and why."""
        return replace(self, twist_deg=None, sigma_deg=None, signed_deg=None, reason=reason)
