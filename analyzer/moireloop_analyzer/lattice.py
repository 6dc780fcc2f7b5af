"""The triangular lattice of one layer: the lattice that fits the atoms of its grains best (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.bond_fit import MAX_STRETCH, BondFit, fit_bonds
from moireloop_analyzer.box import Box, Floats
from moireloop_analyzer.grain import Grains, grains_of, places_of, rings_of
from moireloop_analyzer.neighbours import Bonds, Ints
from moireloop_analyzer.position_fit import PositionFit, fit_positions, fitted_with, near_sites
from moireloop_analyzer.refusal import Refusal

ROOT_3: Final = math.sqrt(3.0)

MIN_GRAIN_ATOMS: Final = 7
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
    strain = np.array([[xx * c - xy * s, xx * s + xy * c], [yx * c - yy * s, yx * s + yy * c]]) / constant - np.eye(2)
    by_xx, by_xy, by_yx, by_yy = -sine / size2, -cosine / size2, cosine / size2, -sine / size2
    return Polar(
        rotation_rad=math.atan2(sine, cosine),
        constant=constant,
        strain=strain,
        slope=(by_xx - by_xy / ROOT_3, 2.0 * by_xy / ROOT_3, by_yx - by_yy / ROOT_3, 2.0 * by_yy / ROOT_3),
    )


@dataclass(frozen=True)
class LatticeFit:
    """The lattice of the largest grain of one direction in a layer.

    `vectors` (2, 2) has the two lattice vectors as columns, 60 degrees apart before strain, and `origin` (2,) is a
    lattice site. `rotation_rad` is the rotation part R of the polar decomposition vectors = R U IDEAL,
    counter-clockwise and defined modulo 60 degrees; `sigma_rad` is its standard error. `constant_angstrom` is the
    geometric mean of the principal stretches, `strain` (2, 2) what distorts the lattice beyond that: V / constant - 1,
    with vectors = V R IDEAL. `atoms` (M,) are those that lie on the lattice, numbered as in the bonds; `closed` the
    rows of the grains' plane over which it closes; `grains` all atoms that were joined, this one's by the name `name`.
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


def inverse_of(matrix: Floats) -> Floats:
    """Inverse of a (2, 2) matrix; numpy's takes longer than all else for small layers."""
    (xx, xy), (yx, yy) = matrix.tolist()
    determinant = xx * yy - xy * yx
    return np.array([[yy / determinant, -xy / determinant], [-yx / determinant, xx / determinant]])


def fit_lattice(bonds: Bonds, box: Box, angle_rad: float, member: npt.NDArray[np.bool_]) -> LatticeFit | Refusal:
    """The lattice of the largest grain among the atoms in a mask (N,) that are turned by about this angle.

    First the bonds are assigned to six directions and fitted robustly; then every atom that hangs together by good
    bonds gets lattice indices, and the lattice is fitted to positions over indices, so that thermal noise averages
    over the whole layer and vacancies do no harm. Where a grain closes over a periodic direction, the cell vector is
    a whole number of lattice vectors, and the fit is held to that; where it does not, it is cut open at its seam.
    """
    fit = fit_bonds(bonds, angle_rad, member)
    if isinstance(fit, Refusal):
        return fit
    grains = grains_of(bonds, fit, member, box.plane)
    return _fit_to_positions(bonds, grains, fit)


def _fit_to_positions(bonds: Bonds, grains: Grains, fit: BondFit) -> LatticeFit | Refusal:
    """The lattice of the largest set of joined atoms, with closures held."""
    name = grains.largest
    atoms, indices, places = places_of(bonds, grains, name)
    free = fit_positions(indices, places, fit.vectors, bonds.spacing) if len(atoms) >= MIN_GRAIN_ATOMS else None
    if free is None:
        return Refusal("too few of its atoms form one lattice")
    laps, closures = _closures(bonds, grains, name, free)
    solution = _solution(free, laps, grains.plane, tuple(closure.closed for closure in closures))
    vectors = np.ascontiguousarray(solution[:2].T)
    polar = polar_of(vectors)
    if polar is None:
        return Refusal("its atoms form no triangular lattice")
    if np.abs(polar.strain).max() > MAX_STRAIN:
        return Refusal(f"its lattice is not triangular: it is distorted by {np.abs(polar.strain).max():.0%}")
    sigma_rad = _rotation_sigma(polar, free.errors)
    if any(closure.doubtful for closure in closures):
        otherwise = _solution(
            free, laps, grains.plane, tuple(closure.closed != closure.doubtful for closure in closures)
        )
        sigma_rad = math.hypot(sigma_rad, 0.5 * _turned(polar, otherwise))
    return LatticeFit(
        vectors=vectors,
        origin=solution[2],
        rotation_rad=polar.rotation_rad,
        sigma_rad=sigma_rad,
        constant_angstrom=polar.constant,
        strain=polar.strain,
        atoms=atoms[near_sites(indices, places, vectors, MAX_STRETCH * bonds.spacing)],
        closed=(closures[0].closed, closures[1].closed),
        grains=grains,
        name=name,
    )


def _solution(free: PositionFit, laps: Floats, plane: Floats, closed: tuple[bool, ...]) -> Floats:
    """Lattice and origin (3, 2) with the fit held to the cell over the directions that are closed."""
    held = list(closed)
    return fitted_with(free, laps[held], plane[held]) if any(held) else free.solution


def _turned(polar: Polar, solution: Floats) -> float:
    """By how much another solution (3, 2) is turned against a lattice, in radians; 0 if it is no lattice."""
    other = polar_of(solution[:2].T)
    return 0.0 if other is None else math.remainder(other.rotation_rad - polar.rotation_rad, math.pi / 3.0)


@dataclass(frozen=True)
class Closure:
    """Whether a layer closes over one direction of its cell, and whether that may as well be the other way round."""

    closed: bool
    doubtful: bool


def _closures(bonds: Bonds, grains: Grains, name: int, free: PositionFit) -> tuple[Floats, tuple[Closure, Closure]]:
    """Lattice indices (2, 2) of going once along each row of the plane, and over which of them the layer closes.

    It closes where the rings round the direction agree on a lattice vector, and this vector is the cell's but for the
    error of the free fit, or but for a strain that is spread over the layer. Where what is left over is found in the
    bonds through the cut, the layer has a seam there instead.
    """
    vectors = np.ascontiguousarray(free.solution[:2].T)
    (xx, xy), (yx, yy) = vectors.tolist()
    determinant = xx * yy - xy * yx
    laps = [
        (round((yy * x - xy * y) / determinant), round((xx * y - yx * x) / determinant))
        for x, y in grains.plane.tolist()
    ]
    spread = (free.errors[:2, :2] + free.errors[2:, 2:]).tolist()
    closures = []
    counted = rings_of(bonds, grains, name, np.array(laps, dtype=np.int64), vectors)
    for (m, n), (x, y), rings in zip(laps, grains.plane.tolist(), counted, strict=True):
        if rings.agreed < max(MIN_CLOSING_BONDS, MIN_CLOSING_SHARE * rings.count):
            closures.append(Closure(closed=False, doubtful=False))
            continue
        gap = (x - xx * m - xy * n, y - yx * m - yy * n)
        error2 = m * m * spread[0][0] + 2.0 * m * n * spread[0][1] + n * n * spread[1][1]
        error = math.sqrt(max(0.0, error2)) * (1.0 + FEW_ATOMS / int(grains.sizes[name]))
        closures.append(_closure(gap, error, rings.offset, bonds.spacing))
    return np.array(laps, dtype=np.float64), (closures[0], closures[1])


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
