"""The triangular lattice of one layer: the lattice that fits the atoms of its grains best (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.bins import Ints
from moireloop_analyzer.bond_fit import MAX_STRETCH
from moireloop_analyzer.box import Box, Floats
from moireloop_analyzer.grain import Grains
from moireloop_analyzer.grain_fit import GrainFit, fit_grain
from moireloop_analyzer.neighbours import Bonds
from moireloop_analyzer.polar import Polar, polar_of
from moireloop_analyzer.position_fit import fitted_with, on_lattice
from moireloop_analyzer.refusal import Refusal

MIN_CLOSING_BONDS: Final = 3
MIN_CLOSING_SHARE: Final = 0.9
SURELY_CLOSED_SIGMAS: Final = 2.5
CLOSING_SIGMAS: Final = 10.0
MAX_STRAIN: Final = 0.15
FEW_ATOMS: Final = 20.0
"""Errors of layers of some dozen atoms, with their strains and gaps, are larger than their scatter says."""

CLOSING_GAP: Final = 0.01
MAX_CLOSING_GAP: Final = 0.3
SEAM_SHARE: Final = 0.4
"""Share of what a layer lacks to close from which it is a seam where it is found at the cut, and not a strain."""


@dataclass(frozen=True)
class LatticeFit:
    """The lattice of the largest grain of one direction in a layer.

    `vectors` (2, 2) has the two lattice vectors as columns, 60 degrees apart before strain, and `origin` (2,) is a
    lattice site. `rotation_rad` is the rotation part R of the polar decomposition vectors = R U IDEAL,
    counter-clockwise and defined modulo 60 degrees; `sigma_rad` is its standard error. `constant_angstrom` is the
    geometric mean of the principal stretches, `strain` (2, 2) what distorts the lattice beyond that: V / constant - 1,
    with vectors = V R IDEAL. `atoms` (M,) are those that lie on the lattice, numbered as in the bonds; `closed` the
    rows of the grains' plane over which it closes; `grains` all atoms that were joined, this one's by the name
    `name`; `order` is |psi6| of its atoms, in [0, 1].
    """

    vectors: Floats
    origin: Floats
    rotation_rad: float
    sigma_rad: float
    constant_angstrom: float
    strain: Floats
    atoms: Ints
    closed: tuple[bool, bool]
    grains: Grains
    name: int
    order: float


def fit_lattice(
    bonds: Bonds, box: Box, angle_rad: float, member: npt.NDArray[np.bool_], psi6: Floats
) -> LatticeFit | Refusal:
    """The lattice of the largest grain among the atoms in a mask (N,) that are turned by about this angle.

    Where the grain closes over a periodic direction, the cell vector is a whole number of lattice vectors, and the fit
    is held to that; where it does not, it is cut open at its seam. psi6 (N, 2) is that of the layer's atoms.
    """
    grain = fit_grain(bonds, box, angle_rad, member)
    if isinstance(grain, Refusal):
        return grain
    closures = _closures(grain, bonds.spacing)
    solution = _solution(grain, tuple(closure.closed for closure in closures))
    vectors = np.ascontiguousarray(solution[:2].T)
    polar = polar_of(vectors)
    if polar is None:
        return Refusal("its atoms form no triangular lattice")
    distortion = max(abs(part) for part in polar.strain.ravel().tolist())
    if distortion > MAX_STRAIN:
        return Refusal(f"its lattice is not triangular: it is distorted by {distortion:.0%}")
    sigma_rad = _rotation_sigma(polar, grain.free.errors)
    if any(closure.doubtful for closure in closures):
        otherwise = _solution(grain, tuple(closure.closed != closure.doubtful for closure in closures))
        sigma_rad = math.hypot(sigma_rad, 0.5 * _turned(polar, otherwise))
    atoms, order = on_lattice(grain.indices, grain.places, grain.atoms, vectors, MAX_STRETCH * bonds.spacing, psi6)
    return LatticeFit(
        vectors=vectors,
        origin=solution[2],
        rotation_rad=polar.rotation_rad,
        sigma_rad=sigma_rad,
        constant_angstrom=polar.constant,
        strain=polar.strain,
        atoms=atoms,
        closed=(closures[0].closed, closures[1].closed),
        grains=grain.grains,
        name=grain.name,
        order=order,
    )


def _solution(grain: GrainFit, closed: tuple[bool, ...]) -> Floats:
    """Lattice and origin (3, 2) with the fit held to the cell over the directions that are closed."""
    if not any(closed):
        return grain.free.solution
    if all(closed):
        return fitted_with(grain.free, grain.laps, grain.grains.plane)
    held = list(closed)
    return fitted_with(grain.free, grain.laps[held], grain.grains.plane[held])


def _turned(polar: Polar, solution: Floats) -> float:
    """By how much another solution (3, 2) is turned against a lattice, in radians; 0 if it is no lattice."""
    other = polar_of(solution[:2].T)
    return 0.0 if other is None else math.remainder(other.rotation_rad - polar.rotation_rad, math.pi / 3.0)


@dataclass(frozen=True)
class Closure:
    """Whether a layer closes over one direction of its cell, and whether that may as well be the other way round."""

    closed: bool
    doubtful: bool


def _closures(grain: GrainFit, spacing: float) -> tuple[Closure, Closure]:
    """Over which rows of the grains' plane the layer closes.

    It closes where the rings round the direction agree on a lattice vector, and this vector is the cell's but for the
    error of the free fit, or but for a strain that is spread over the layer. Where what is left over is found in the
    bonds through the cut, the layer has a seam there instead.
    """
    (xx, yx), (xy, yy) = grain.free.solution[:2].tolist()
    errors = grain.free.errors.tolist()
    mm, mn, nn = errors[0][0] + errors[2][2], errors[0][1] + errors[2][3], errors[1][1] + errors[3][3]
    closures = []
    for (m, n), (x, y), (count, agreed, off_x, off_y) in zip(
        grain.laps.tolist(), grain.grains.plane.tolist(), grain.rings.tolist(), strict=True
    ):
        if agreed < max(MIN_CLOSING_BONDS, MIN_CLOSING_SHARE * count):
            closures.append(Closure(closed=False, doubtful=False))
            continue
        gap = (x - xx * m - xy * n, y - yx * m - yy * n)
        error2 = m * m * mm + 2.0 * m * n * mn + n * n * nn
        error = math.sqrt(max(0.0, error2)) * (1.0 + FEW_ATOMS / len(grain.atoms))
        closures.append(_closure(gap, error, (off_x, off_y), spacing))
    return closures[0], closures[1]


def _closure(gap: tuple[float, float], error: float, at_cut: tuple[float, float], spacing: float) -> Closure:
    """Whether what a layer lacks to close, a vector, is the error of its fit or a strain, and not a seam."""
    left = math.hypot(*gap)
    if left <= SURELY_CLOSED_SIGMAS * error + CLOSING_GAP * spacing:
        return Closure(closed=True, doubtful=left > SURELY_CLOSED_SIGMAS * error)
    is_at_cut = at_cut[0] * gap[0] + at_cut[1] * gap[1] >= SEAM_SHARE * left**2
    may_close = left <= min(CLOSING_SIGMAS * error, MAX_CLOSING_GAP * spacing)
    return Closure(closed=may_close and not is_at_cut, doubtful=may_close)


def _rotation_sigma(polar: Polar, errors: Floats) -> float:
    """Standard error in radians of the rotation, from the covariance (4, 4) of the lattice vectors as x1, x2, y1, y2.

    Where the layer closes over the boundary the rotation is surer than this.
    """
    slope = np.array(polar.slope)
    return math.sqrt(max(0.0, float(slope @ errors @ slope)))
