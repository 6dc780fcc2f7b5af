"""The triangular lattice of one layer: the lattice that fits the atoms of its grains best (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.lattice.bond_fit import MAX_STRETCH
from moireloop_analyzer.lattice.closure import closed_or_cut, held_to
from moireloop_analyzer.lattice.grain import Grains
from moireloop_analyzer.lattice.grain_fit import fit_grain
from moireloop_analyzer.lattice.polar import ROOT_3, Polar, polar_of
from moireloop_analyzer.layers.neighbours import Bonds
from moireloop_analyzer.refusal import Refusal
from moireloop_analyzer.sites.filling import TO_HONEYCOMB, Filling, filling_of
from moireloop_analyzer.sites.naming import MAX_STRAIN, described, reduced
from moireloop_analyzer.sites.occupancy import SiteEvidence, on_lattice

SIXTH_TURN_RAD: Final = math.pi / 3.0


@dataclass(frozen=True)
class LatticeFit:
    """The lattice of the largest grain of one direction in a layer.

    `vectors` (2, 2) has the two lattice vectors as columns, 60 degrees apart before strain, and `origin` (2,) is a
    lattice site. `rotation_rad` is the rotation part R of the polar decomposition vectors = R U IDEAL,
    counter-clockwise and defined modulo 60 degrees; `sigma_rad` is its standard error. `constant_angstrom` is the
    geometric mean of the principal stretches, `strain` (2, 2) what distorts the lattice beyond that: V / constant - 1,
    with vectors = V R IDEAL. `atoms` (M,) are those that lie on the lattice, numbered as in the bonds; `closed` the
    rows of the grains' plane over which it closes; `grains` all atoms that were joined, this one's by the name
    `name`; `order` is |psi6| of its atoms, in [0, 1]. `filling` says how the sites of its bonds are filled. The bonds
    define the lattice until `of_honeycomb` makes it the larger one.
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
    filling: Filling

    def of_honeycomb(self) -> LatticeFit:
        """The lattice of the honeycomb that these bonds are of: turned by 30 degrees, larger by the root of three."""
        return replace(
            self,
            vectors=np.ascontiguousarray(self.vectors @ TO_HONEYCOMB),
            origin=self.origin + self.vectors @ np.array(self.filling.corner),
            rotation_rad=self.rotation_rad + SIXTH_TURN_RAD / 2.0,
            constant_angstrom=ROOT_3 * self.constant_angstrom,
        )


def fit_lattice(
    bonds: Bonds, box: Box, angle_rad: float, member: npt.NDArray[np.bool_], psi6: Floats
) -> LatticeFit | Refusal:
    """The lattice of the largest grain among the atoms in a mask (N,) that are turned by about this angle.

    Where the grain closes over a periodic direction, the cell vector is a whole number of lattice vectors, and the fit
    is held to that. Where it does not close, it is cut open at its seam. psi6 (N, 2) belongs to the layer's atoms.
    """
    grain = fit_grain(bonds, box, angle_rad, member)
    if isinstance(grain, Refusal):
        return grain
    grain, closures = closed_or_cut(grain, bonds)
    solution = held_to(grain, (closures[0].closed, closures[1].closed))
    vectors = np.ascontiguousarray(solution[:2].T)
    polar = polar_of(vectors)
    if polar is None:
        return Refusal("its atoms do not form a triangular lattice")
    distortion = max(abs(part) for part in polar.strain.ravel().tolist())
    if distortion > MAX_STRAIN:
        return Refusal(
            f"its atoms form {described(reduced(vectors.T))}, not a strained triangular one: it is distorted by "
            f"{distortion:.1%}; no layer can be strained by more than {MAX_STRAIN:.0%}"
        )
    sigma_rad = _rotation_sigma(polar, grain.free.errors)
    if any(closure.doubtful for closure in closures):
        one, other = (closure.closed != closure.doubtful for closure in closures)
        otherwise = held_to(grain, (one, other))
        sigma_rad = math.hypot(sigma_rad, 0.5 * _turned(polar, otherwise))
    closed = (closures[0].closed, closures[1].closed)
    atoms, order, evidence = on_lattice(
        grain.indices,
        grain.places,
        grain.atoms,
        vectors,
        MAX_STRETCH * bonds.spacing,
        psi6,
        bonds.heights,
        bonds.counts,
    )
    return LatticeFit(
        vectors=vectors,
        origin=solution[2],
        rotation_rad=polar.rotation_rad,
        sigma_rad=sigma_rad,
        constant_angstrom=polar.constant,
        strain=polar.strain,
        atoms=atoms,
        closed=closed,
        grains=grain.grains,
        name=grain.name,
        order=order,
        filling=filling_of(grain.indices, grain.laps, closed, SiteEvidence(*evidence), bonds.spacing),
    )


def _turned(polar: Polar, solution: Floats) -> float:
    """By how much another solution (3, 2) is turned against a lattice, in radians; 0 if it is no lattice."""
    other = polar_of(solution[:2].T)
    return 0.0 if other is None else math.remainder(other.rotation_rad - polar.rotation_rad, SIXTH_TURN_RAD)


def _rotation_sigma(polar: Polar, errors: Floats) -> float:
    """Standard error in radians of the rotation, from the covariance (4, 4) of the lattice vectors as x1, x2, y1, y2.

    Where the layer closes over the boundary the rotation is surer than this.
    """
    slope = np.array(polar.slope)
    return math.sqrt(max(0.0, float(slope @ errors @ slope)))
