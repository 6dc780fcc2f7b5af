"""The interlayer twist of one frame, or the reason why there is none to report (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.box import Box, box_of
from moireloop_analyzer.lattice import LatticeFit, bonds_of, fit_lattice
from moireloop_analyzer.layers import Layers, split_layers
from moireloop_analyzer.moire import moire_wavelength
from moireloop_analyzer.neighbours import Floats, Ints, Pairs
from moireloop_analyzer.order import layer_order
from moireloop_analyzer.refusal import Refusal

DEFAULT_MIN_ORDER: Final = 0.5
MIN_GRAIN_SHARE: Final = 0.5
MAX_SIGMA_DEG: Final = 1.0
"""Standard error of a layer's direction above which it has none: in one frame of two grains it is 1 to 2 degrees."""

MAX_POSITION_ANGSTROM: Final = 1e8
ESTIMATORS: Final = ("lattice",)
SIXTH_TURN_DEG: Final = 60.0


def _no_atoms() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class TwistEstimate:
    """What was measured of a bilayer; exactly one of `twist_deg` and `reason` is given.

    `twist_deg` is in [0, 30]; `signed_deg`, in [-30, 30], is positive where the upper layer is turned
    counter-clockwise as seen from above. `sigma_deg` is the standard error that the scatter of the atoms about both
    lattices allows. Orders are |psi6| in [0, 1]. Lattice constants are geometric means of the principal stretches;
    strains (2, 2) are the distortions beyond them, in the axes of the cell with a along x. `lower_atoms` and
    `upper_atoms` are indices into the positions given; `lower_grain` and `upper_grain` those of them that the lattices
    were fitted to. What was not reached before a refusal is None, or empty.
    """

    twist_deg: float | None = None
    reason: str | None = None
    signed_deg: float | None = None
    sigma_deg: float | None = None
    order_lower: float | None = None
    order_upper: float | None = None
    lattice_lower_angstrom: float | None = None
    lattice_upper_angstrom: float | None = None
    strain_lower: Floats | None = None
    strain_upper: Floats | None = None
    moire_angstrom: float | None = None
    lower_atoms: Ints = field(default_factory=_no_atoms)
    upper_atoms: Ints = field(default_factory=_no_atoms)
    lower_grain: Ints = field(default_factory=_no_atoms)
    upper_grain: Ints = field(default_factory=_no_atoms)


def measure_twist(
    positions: npt.ArrayLike,
    types: npt.ArrayLike,
    cell: npt.ArrayLike,
    pbc: Sequence[bool] = (True, True, False),
    *,
    metal_types: Sequence[int] = (1,),
    chalcogen_types: Sequence[int] = (2,),
    estimator: Literal["lattice"] = "lattice",
    min_order: float = DEFAULT_MIN_ORDER,
) -> TwistEstimate:
    """Rotation of the upper layer's metal lattice relative to the lower one's.

    Each layer's rotation is that of the polar decomposition of its fitted lattice, so a simple shear of 5.5 %, which
    leaves a row along x where it is, turns a lattice by -1.58 degrees. The difference is folded
    by the six-fold symmetry.

    Args:
        positions: (N, 3) in angstrom, wrapped into the cell or not.
        types: (N,) atom types.
        cell: (3, 3) cell vectors a, b, c as rows, in angstrom; the layers lie along a and b.
        pbc: which of a, b, c are periodic.
        metal_types: types whose in-plane lattice carries the twist; a layer may hold several.
        chalcogen_types: types of the other atoms; they do not enter the lattice.
        estimator: "lattice", the convention of this project.
        min_order: smallest |psi6| in [0, 1] at which a layer counts as crystalline.

    Raises:
        ValueError: arrays of a wrong shape, a type that is both metal and chalcogen, an unknown estimator, or
            min_order outside [0, 1]. Whatever is wrong with the atoms themselves is a refusal.
    """
    places, kinds, vectors = _checked(positions, types, cell, pbc)
    _check_choices(metal_types, chalcogen_types, estimator, min_order)
    if not np.isfinite(places).all():
        broken = int(np.count_nonzero(~np.isfinite(places).all(axis=1)))
        return TwistEstimate(reason=f"{broken} of {len(places)} positions are not finite")
    if len(places) and np.abs(places).max() > MAX_POSITION_ANGSTROM:
        return TwistEstimate(reason=f"atoms lie more than {MAX_POSITION_ANGSTROM:g} angstrom from the origin")
    box = box_of(vectors, pbc)
    if isinstance(box, Refusal):
        return TwistEstimate(reason=box.reason)
    metal = np.flatnonzero(np.isin(kinds, list(metal_types)))
    layers = split_layers(box.wrapped(places[metal] @ box.axes.T), box)
    if isinstance(layers, Refusal):
        return TwistEstimate(reason=layers.reason)
    found = TwistEstimate(lower_atoms=metal[layers.lower], upper_atoms=metal[layers.upper])
    return _between(found, layers, box, min_order)


def _checked(
    positions: npt.ArrayLike, types: npt.ArrayLike, cell: npt.ArrayLike, pbc: Sequence[bool]
) -> tuple[Floats, npt.NDArray[Any], Floats]:
    places, kinds = np.asarray(positions, dtype=np.float64), np.asarray(types)
    vectors = np.asarray(cell, dtype=np.float64)
    if places.ndim != 2 or places.shape[1] != 3:
        raise ValueError(f"expected positions of shape (N, 3), got {places.shape}")
    if kinds.shape != (len(places),):
        raise ValueError(f"expected types of shape ({len(places)},), got {kinds.shape}")
    if vectors.shape != (3, 3):
        raise ValueError(f"expected a cell of shape (3, 3), got {vectors.shape}")
    if len(pbc) != 3:
        raise ValueError(f"expected three flags in pbc, got {len(pbc)}")
    return places, kinds, vectors


def _check_choices(
    metal_types: Sequence[int], chalcogen_types: Sequence[int], estimator: str, min_order: float
) -> None:
    shared = set(metal_types) & set(chalcogen_types)
    if shared:
        raise ValueError(f"expected types to be metal or chalcogen, got both for {sorted(shared)}")
    if estimator not in ESTIMATORS:
        raise ValueError(f"expected an estimator among {', '.join(ESTIMATORS)}, got {estimator!r}")
    if not 0.0 <= min_order <= 1.0:
        raise ValueError(f"expected min_order in [0, 1], got {min_order}")


def _between(found: TwistEstimate, layers: Layers, box: Box, min_order: float) -> TwistEstimate:
    """The estimate completed by order, lattice and twist, as far as these can be had."""
    lower, upper = layers.points[layers.lower, :2], layers.points[layers.upper, :2]
    lower_bonds, upper_bonds = bonds_of(lower, box), bonds_of(upper, box)
    if isinstance(lower_bonds, Refusal):
        return replace(found, reason=f"lower layer: {lower_bonds.reason}")
    if isinstance(upper_bonds, Refusal):
        return replace(found, reason=f"upper layer: {upper_bonds.reason}")
    found = replace(
        found,
        order_lower=layer_order(lower_bonds, len(lower)),
        order_upper=layer_order(upper_bonds, len(upper)),
    )
    disordered = _why_disordered(found, min_order)
    if disordered is not None:
        return replace(found, reason=disordered)
    lower_fit = _single_crystal("lower", lower, lower_bonds, box)
    upper_fit = _single_crystal("upper", upper, upper_bonds, box)
    if isinstance(lower_fit, Refusal):
        return replace(found, reason=lower_fit.reason)
    if isinstance(upper_fit, Refusal):
        return replace(found, reason=upper_fit.reason)
    return _twisted(found, lower_fit, upper_fit)


def _why_disordered(found: TwistEstimate, min_order: float) -> str | None:
    for name, order in (("lower", found.order_lower), ("upper", found.order_upper)):
        if order is not None and order < min_order:
            return f"{name} layer is amorphous or polycrystalline: |psi6| {order:.2f} is below {min_order:.2f}"
    return None


def _single_crystal(name: str, points: Floats, bonds: Pairs, box: Box) -> LatticeFit | Refusal:
    fit = fit_lattice(points, bonds, box)
    if isinstance(fit, Refusal):
        return Refusal(f"{name} layer: {fit.reason}")
    share = float(fit.members.mean())
    if share < MIN_GRAIN_SHARE:
        return Refusal(f"{name} layer is polycrystalline: its largest grain has {share:.0%} of its atoms")
    sigma_deg = math.degrees(fit.sigma_rad)
    if sigma_deg > MAX_SIGMA_DEG:
        return Refusal(f"{name} layer has no single direction: it is uncertain by {sigma_deg:.1f} degrees")
    return fit


def _twisted(found: TwistEstimate, lower: LatticeFit, upper: LatticeFit) -> TwistEstimate:
    turned = math.degrees(upper.rotation_rad - lower.rotation_rad)
    signed = turned - SIXTH_TURN_DEG * round(turned / SIXTH_TURN_DEG)
    twist = abs(signed)
    return replace(
        found,
        twist_deg=twist,
        signed_deg=signed,
        sigma_deg=math.degrees(math.hypot(lower.sigma_rad, upper.sigma_rad)),
        lattice_lower_angstrom=lower.constant_angstrom,
        lattice_upper_angstrom=upper.constant_angstrom,
        strain_lower=lower.strain,
        strain_upper=upper.strain,
        moire_angstrom=moire_wavelength(twist, lower.constant_angstrom, upper.constant_angstrom),
        lower_grain=found.lower_atoms[lower.members],
        upper_grain=found.upper_atoms[upper.members],
    )
