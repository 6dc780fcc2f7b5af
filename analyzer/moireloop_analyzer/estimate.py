"""What is measured of a bilayer (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]


def _no_atoms() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Grain:
    """One grain of a layer: atoms joined by bonds of one lattice.

    `atoms` are indices into the positions given, `share` is their share of the layer's lattice atoms, and
    `direction_deg`, in [0, 60), is the rotation of the grain's lattice against the cell's vector a.
    """

    layer: Literal["lower", "upper"]
    atoms: Ints
    direction_deg: float
    share: float


@dataclass(frozen=True, eq=False)
class TwistEstimate:
    """What was measured of a bilayer; exactly one of `twist_deg` and `reason` is given.

    `twist_deg` is in [0, 30]; `signed_deg`, in [-30, 30], is positive where the upper layer is turned
    counter-clockwise as seen from above. `sigma_deg` is the standard error that the scatter of the atoms about both
    lattices allows; layers that close over their cell are surer than it says. `confidence`, in [0, 1], is the share of
    the atoms that lie on the lattice which the twist is taken from, in the layer where it is smaller: 1 for two perfect
    layers, 0.6 where the largest grain of a layer has that share of it.

    Orders are |psi6| in [0, 1]. Lattice constants are geometric means of the principal stretches; strains (2, 2) are
    the distortions beyond them, in the axes of the cell with a along x. `vectors_lower` and `vectors_upper` (2, 3)
    have the two lattice vectors of each layer as rows, in the axes of the positions, and `origin_lower` and
    `origin_upper` (3,) a site of each lattice, all in angstrom. `moire_angstrom` is the wavelength of the moire
    pattern, None where it is infinite. `stacking` is "R" (parallel) or "H" (antiparallel) after the side of the metal
    atoms that the chalcogen atoms of each layer lie on, None where they do not say.

    `lower_atoms` and `upper_atoms` are indices into the positions given. `lower_grain` and `upper_grain` are the atoms
    among them that lie on the lattices that the twist is taken from. `grains` lists all grains of both layers, the
    largest first. What was not reached before a refusal is None, or empty.
    """

    twist_deg: float | None = None
    reason: str | None = None
    signed_deg: float | None = None
    sigma_deg: float | None = None
    confidence: float | None = None
    order_lower: float | None = None
    order_upper: float | None = None
    lattice_lower_angstrom: float | None = None
    lattice_upper_angstrom: float | None = None
    strain_lower: Floats | None = None
    strain_upper: Floats | None = None
    vectors_lower: Floats | None = None
    vectors_upper: Floats | None = None
    origin_lower: Floats | None = None
    origin_upper: Floats | None = None
    moire_angstrom: float | None = None
    stacking: Literal["R", "H"] | None = None
    lower_atoms: Ints = field(default_factory=_no_atoms)
    upper_atoms: Ints = field(default_factory=_no_atoms)
    lower_grain: Ints = field(default_factory=_no_atoms)
    upper_grain: Ints = field(default_factory=_no_atoms)
    grains: tuple[Grain, ...] = ()
