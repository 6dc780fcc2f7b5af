"""The interlayer twist of one frame, or the reason why there is none to report (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.crystals.crystal import Crystal, Surveyed, survey
from moireloop_analyzer.crystals.row import row_of
from moireloop_analyzer.crystals.stacking import stacking_of
from moireloop_analyzer.estimate import Floats, Grain, Ints, TwistEstimate
from moireloop_analyzer.geometry.arguments import checked_arrays, checked_flags, checked_types
from moireloop_analyzer.geometry.box import Box, box_of
from moireloop_analyzer.geometry.moire import moire_wavelength
from moireloop_analyzer.layers.atoms import atoms_of, inside, sample_of
from moireloop_analyzer.layers.separation import Layers, split_layers
from moireloop_analyzer.refusal import Refusal

__all__ = ["TwistEstimate", "measure_twist"]

DEFAULT_MIN_ORDER: Final = 0.5

ESTIMATORS: Final = ("lattice", "row")

SIXTH_TURN_DEG: Final = 60.0


def measure_twist(
    positions: npt.ArrayLike,
    types: npt.ArrayLike,
    cell: npt.ArrayLike,
    pbc: Sequence[bool] = (True, True, False),
    *,
    metal_types: Sequence[int] = (1,),
    chalcogen_types: Sequence[int] = (2,),
    estimator: Literal["lattice", "row"] = "lattice",
    min_order: float = DEFAULT_MIN_ORDER,
) -> TwistEstimate:
    """Rotation of the upper layer's metal lattice relative to the lower one's.

    Each layer's rotation comes from the polar decomposition of its fitted lattice, so a simple shear of 5.5 %, which
    leaves a row along x where it is, turns a lattice by -1.58 degrees. The difference is folded
    by the six-fold symmetry. A layer is a triangular lattice or a honeycomb, whose lattice vectors lead to second
    neighbours; layers of other lattices, and of several planes, are refused by name.

    Args:
        positions: (N, 3) in angstrom, wrapped into the cell or not.
        types: (N,) atom types, whole numbers.
        cell: (3, 3) cell vectors a, b, c as rows, in angstrom; the layers lie along a and b.
        pbc: which of a, b, c are periodic.
        metal_types: types whose in-plane lattice carries the twist; a layer may hold several.
        chalcogen_types: types of the other atoms; they do not enter the lattice, but determine the stacking.
        estimator: "lattice", the convention of this project, or "row", the paper's Algorithm 1: the direction of the
            row of atoms nearest to the cell's vector a, in each layer.
        min_order: smallest |psi6| in [0, 1] of a layer's largest grain at which the layer counts as crystalline.

    Raises:
        ValueError: arrays of a wrong shape, types that are no whole numbers, a type that is both metal and chalcogen,
            an unknown estimator, or min_order outside [0, 1]. Whatever is wrong with the atoms is a refusal.
    """
    places, kinds, vectors = checked_arrays(positions, types, cell)
    pbc = checked_flags(pbc)
    metal_types = checked_types("metal_types", metal_types)
    chalcogen_types = checked_types("chalcogen_types", chalcogen_types)
    _check_choices(metal_types, chalcogen_types, estimator, min_order)
    box = box_of(vectors, pbc)
    if isinstance(box, Refusal):
        return TwistEstimate(reason=box.reason)
    chosen = atoms_of(places, kinds, metal_types, box)
    if isinstance(chosen, Refusal):
        return TwistEstimate(reason=chosen.reason)
    metal, points = chosen
    if not len(metal) and len(places):
        return TwistEstimate(
            reason=f"no atom is of the types {list(metal_types)}; there are {np.unique(kinds)[:10].tolist()}"
        )
    layers = split_layers(metal, points, box)
    if isinstance(layers, Refusal):
        return TwistEstimate(reason=layers.reason)
    surveyed = _surveyed(layers, box, min_order)
    if isinstance(surveyed, TwistEstimate):
        return surveyed
    estimate, lower, upper = surveyed
    turned = _between_lattices(lower, upper) if estimator == "lattice" else _between_rows(lower, upper, box)
    if isinstance(turned, Refusal):
        return estimate(reason=turned.reason)
    chalcogens = _chalcogens(places, kinds, vectors, chalcogen_types, box)
    stacking = stacking_of(lower, upper, chalcogens)
    return estimate(
        lower_grain=layers.lower[lower.bonds.atoms[lower.fit.atoms]],
        upper_grain=layers.upper[upper.bonds.atoms[upper.fit.atoms]],
        **_twist_fields(lower, upper, box, turned),
        stacking=stacking,
    )


def _check_choices(
    metal_types: Sequence[int], chalcogen_types: Sequence[int], estimator: str, min_order: float
) -> None:
    shared = set(metal_types) & set(chalcogen_types)
    if shared:
        raise ValueError(f"expected types to be metal or chalcogen, got both for {sorted(shared)}")
    if estimator not in ESTIMATORS:
        raise ValueError(f"expected an estimator among {', '.join(ESTIMATORS)}, got {estimator!r}")
    if not isinstance(min_order, int | float) or not 0.0 <= min_order <= 1.0:
        raise ValueError(f"expected min_order in [0, 1], got {min_order!r}")


def _surveyed(
    layers: Layers, box: Box, min_order: float
) -> tuple[Callable[..., TwistEstimate], Crystal, Crystal] | TwistEstimate:
    """What makes an estimate with the atoms, orders and grains of both layers, and their crystals; or a refusal."""
    estimate = partial(TwistEstimate, lower_atoms=layers.lower, upper_atoms=layers.upper)
    lower = survey(layers.lower_points, box, min_order)
    if isinstance(lower, Refusal):
        return estimate(reason=f"lower layer: {lower.reason}")
    upper = survey(layers.upper_points, box, min_order)
    if isinstance(upper, Refusal):
        return estimate(reason=f"upper layer: {upper.reason}")
    grains = _grains("lower", layers.lower, lower) + _grains("upper", layers.upper, upper)
    grains.sort(key=lambda grain: -len(grain.atoms))
    estimate = partial(estimate, order_lower=lower.order, order_upper=upper.order, grains=tuple(grains))
    if isinstance(lower.crystal, Refusal):
        return estimate(reason=f"lower layer: {lower.crystal.reason}")
    if isinstance(upper.crystal, Refusal):
        return estimate(reason=f"upper layer: {upper.crystal.reason}")
    return estimate, lower.crystal, upper.crystal


def _grains(layer: Literal["lower", "upper"], atoms: Ints, surveyed: Surveyed) -> list[Grain]:
    return [
        Grain(layer, atoms[patch.atoms], _folded(math.degrees(patch.angle_rad)), len(patch.atoms) / len(atoms))
        for patch in surveyed.patches
    ]


def _folded(direction_deg: float) -> float:
    """A direction modulo 60 degrees, in [0, 60); 60 apart from rounding becomes 0."""
    folded = direction_deg % SIXTH_TURN_DEG
    return 0.0 if SIXTH_TURN_DEG - folded < 1e-9 else folded


def _between_lattices(lower: Crystal, upper: Crystal) -> tuple[float, float]:
    """Rotation of the upper lattice against the lower one and its standard error, in radians."""
    return upper.fit.rotation_rad - lower.fit.rotation_rad, math.hypot(lower.fit.sigma_rad, upper.fit.sigma_rad)


def _between_rows(lower: Crystal, upper: Crystal, box: Box) -> tuple[float, float] | Refusal:
    """Rotation of the upper layer's rows of atoms against the lower one's and its standard error, in radians."""
    one, other = row_of(lower, box), row_of(upper, box)
    if isinstance(one, Refusal):
        return Refusal(f"lower layer: {one.reason}")
    if isinstance(other, Refusal):
        return Refusal(f"upper layer: {other.reason}")
    return other.angle_rad - one.angle_rad, math.hypot(one.sigma_rad, other.sigma_rad)


def _twist_fields(lower: Crystal, upper: Crystal, box: Box, turned: tuple[float, float]) -> dict[str, Any]:
    """The twist, folded, and what the lattices show."""
    turned_deg = math.degrees(turned[0])
    signed = turned_deg - SIXTH_TURN_DEG * round(turned_deg / SIXTH_TURN_DEG)
    one, other = lower.fit, upper.fit
    return {
        "twist_deg": abs(signed),
        "signed_deg": signed,
        "sigma_deg": math.degrees(turned[1]),
        "confidence": min(lower.share, upper.share),
        "lattice_lower_angstrom": one.constant_angstrom,
        "lattice_upper_angstrom": other.constant_angstrom,
        "strain_lower": one.strain,
        "strain_upper": other.strain,
        "vectors_lower": one.vectors.T @ box.axes[:2],
        "vectors_upper": other.vectors.T @ box.axes[:2],
        "origin_lower": _in_space(one.origin, lower.bonds.heights, box),
        "origin_upper": _in_space(other.origin, upper.bonds.heights, box),
        "moire_angstrom": moire_wavelength(abs(signed), one.constant_angstrom, other.constant_angstrom),
    }


def _in_space(origin: Floats, heights: Floats, box: Box) -> Floats:
    """A site of a lattice at the mean height of its layer, in the axes of the positions."""
    place: Floats = np.array([origin[0], origin[1], heights.sum() / len(heights)]) @ box.axes
    return place


def _chalcogens(places: Floats, kinds: Ints, cell: Floats, types: Sequence[int], box: Box) -> Floats:
    """Positions (M, 3) in the box of some dozens of the chalcogen atoms, with images along a periodic stacking."""
    sample = sample_of(places, kinds, types)
    if box.stacking is not None:
        heights = sample @ box.axes[2] / box.stacking[2]
        sample = sample - np.floor(heights)[:, None] * cell[2]
        sample = np.concatenate([sample - cell[2], sample, sample + cell[2]])
    return inside(sample, box)
