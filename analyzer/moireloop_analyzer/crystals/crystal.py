"""What one layer consists of: its order, its grains, and the lattice of the largest one (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.lattice.closure import FEW_ATOMS
from moireloop_analyzer.lattice.fit import LatticeFit, fit_lattice
from moireloop_analyzer.lattice.grain_fit import MIN_GRAIN_ATOMS
from moireloop_analyzer.layers.directions import directions_of
from moireloop_analyzer.layers.neighbours import Bonds, bonds_of
from moireloop_analyzer.refusal import Refusal
from moireloop_analyzer.sites.filling import FEW_TOGETHER
from moireloop_analyzer.sites.naming import named_lattice

MIN_CRYSTAL_SHARE: Final = 0.37
"""Share of a layer's atoms on one lattice from which their direction is the layer's, however unsure."""

LEAST_GRAIN_SHARE: Final = 0.02

MAX_SIGMA_DEG: Final = 1.0
"""Standard error of a layer's direction above which it has none, times the square of its grain's share of the layer.

A part of a disordered layer that is aligned by chance is a small one and badly aligned; a grain is sharp. Layers of
few atoms are aligned by chance more often.
"""


@dataclass(frozen=True)
class Patch:
    """One grain of a layer: its atoms, numbered as in the layer, and its direction in radians modulo 60 degrees."""

    atoms: Ints
    angle_rad: float


@dataclass(frozen=True)
class Crystal:
    """A layer of which most atoms lie on one lattice, the lattice of its largest grain.

    `share` is the largest grain's share of the layer's atoms.
    """

    bonds: Bonds
    fit: LatticeFit
    share: float


@dataclass(frozen=True)
class Surveyed:
    """A layer's order |psi6| in [0, 1], its grains, the largest first, and its crystal or the reason why it is none."""

    order: float
    patches: tuple[Patch, ...]
    crystal: Crystal | Refusal


def survey(points: Floats, box: Box, min_order: float) -> Surveyed | Refusal:
    """Order, grains and crystal of a layer at `points` (N, 3) in the box.

    A layer is no crystal where less than 37 % of its atoms lie on one lattice, where |psi6| of the largest grain
    is below `min_order`, where the direction of its lattice is uncertain by more than a degree (less for a smaller
    grain), or where they form a lattice that is neither triangular nor a honeycomb.
    """
    bonds = bonds_of(points, box)
    if isinstance(bonds, Refusal):
        return bonds
    directions = directions_of(bonds)
    fits: list[LatticeFit] = []
    refused: list[Refusal] = []
    for angle_rad, member in directions.shared:
        fit = fit_lattice(bonds, box, angle_rad, member, directions.psi6)
        if isinstance(fit, Refusal):
            refused.append(fit)
        else:
            fits.append(fit)
    if not fits:
        refused.append(Refusal("it is amorphous: its bonds have no common direction"))
        return Surveyed(directions.order, (), Refusal(_other_lattice(bonds, box) or refused[0].reason))
    best = max(fits, key=lambda fit: len(fit.atoms))
    if best.filling.larger:
        best, *fits = (fit.of_honeycomb() for fit in (best, *fits))
    share = len(best.atoms) / len(points)
    disorder = _why_no_crystal(best, share, min_order)
    why = disorder or best.filling.why
    if disorder or why == FEW_TOGETHER:
        why = _other_lattice(bonds, box) or why
    crystal = Refusal(why) if why else Crystal(bonds, best, share)
    return Surveyed(directions.order, _patches(fits, bonds), crystal)


def _other_lattice(bonds: Bonds, box: Box) -> str | None:
    """What a layer is that is neither a triangular lattice nor a honeycomb, None where it may be one or has none."""
    named = named_lattice(bonds.points, box)
    if named is None or named.measurable:
        return None
    return f"its atoms form {named}; a triangular lattice or a honeycomb is expected"


def _why_no_crystal(best: LatticeFit, share: float, min_order: float) -> str | None:
    if len(best.atoms) < MIN_GRAIN_ATOMS:
        return f"too few of its atoms form one lattice: {len(best.atoms)}"
    if share < MIN_CRYSTAL_SHARE:
        return f"it is amorphous or polycrystalline: {share:.0%} of its atoms lie on the lattice of its largest grain"
    if best.order < min_order:
        return f"it is amorphous: |psi6| of its largest grain, {best.order:.2f}, is below {min_order:.2f}"
    sigma_deg = math.degrees(best.sigma_rad)
    if sigma_deg * (1.0 + FEW_ATOMS / len(best.atoms)) > MAX_SIGMA_DEG * share**2:
        return f"it has no single direction: it is uncertain by {sigma_deg:.1f} degrees"
    return None


def _patches(fits: list[LatticeFit], bonds: Bonds) -> tuple[Patch, ...]:
    """All grains of at least a fiftieth of the atoms, the largest first, including grains other than the fitted one."""
    least = max(MIN_GRAIN_ATOMS, LEAST_GRAIN_SHARE * len(bonds.atoms))
    patches = []
    for fit in fits:
        sizes = fit.grains.sizes
        names = [fit.name] if sizes[fit.name] == len(sizes) else np.flatnonzero(sizes >= least).tolist()
        for name in names:
            atoms = fit.atoms if name == fit.name else np.flatnonzero(fit.grains.root == name)
            if len(atoms) >= least:
                patches.append(Patch(bonds.atoms[atoms], fit.rotation_rad))
    return tuple(sorted(patches, key=lambda patch: -len(patch.atoms)))
