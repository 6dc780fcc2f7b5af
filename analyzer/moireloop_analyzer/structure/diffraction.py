"""The kinematic diffraction pattern of a bilayer, looked at along its normal (pure).

I(q) = |sum_j f_j(q) exp(i q . r_j)|^2 / (sum_j f_j(q))^2 for q in the plane (Als-Nielsen and McMorrow, Elements of
Modern X-ray Physics, 2nd ed., 2011, ch. 5). With this normalization, 1 is what atoms scatter
that are all in phase, as in the direct beam. A Bragg spot does not depend on the number of atoms, nor much on the
radiation; scattering between the spots falls as one over the number of atoms. Atoms stand where the frame has them:
thermal motion and disorder weaken the spots only through these positions, without a further factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.geometry.moire import sixty, turned_to
from moireloop_analyzer.structure.form_factors import Floats, Radiation, form_factors, points_among

Ints = npt.NDArray[np.integer[Any]]

RINGS: Final[Mapping[str, tuple[tuple[int, int], ...]]] = {
    "10": ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1)),
    "11": ((2, 1), (1, 2), (-1, 1), (-2, -1), (-1, -2), (1, -1)),
    "20": ((2, 0), (2, 2), (0, 2), (-2, 0), (-2, -2), (0, -2)),
}
"""Indices of the six spots of each ring, counter-clockwise, for lattice vectors 60 degrees apart; that is the ring's
name in the usual axes of 120 degrees."""

ATOMS_AT_ONCE: Final = 4096

PLACES: Final = 7
"""Decimals of q, in inverse angstrom, by which two spots are one."""

FWHM: Final = 0.8859
"""Full width at half maximum of (sin x / x)^2 in units of pi: for N atoms in a row, in units of 2 pi / L."""


@dataclass(frozen=True, eq=False)
class Spots:
    """Scattering vectors (Q, 2) in inverse angstrom and the intensity (Q,) at each, in [0, 1]."""

    vectors: Floats
    xray: Floats
    electron: Floats


@dataclass(frozen=True, eq=False)
class Diffraction:
    """The spots of a bilayer.

    `lower` and `upper` have the six spots of each ring ("10", "11", "20") at the reciprocal vectors of the layers'
    lattices. `moire` (6, 2) are the differences G_upper - G_lower of the first rings. `satellites` are the spots at
    `moire` about the direct beam and about each spot of both first rings, each once, without those that a spot of
    either lattice covers; none where there is no moire pattern. `peak_width` (inverse angstrom) is the full width at
    half maximum of a spot of this patch of atoms; spots nearer to each other are one. `point_types` scatter as points
    of strength 1, alike for both radiations, because their element is not known.
    """

    lower: Mapping[str, Spots]
    upper: Mapping[str, Spots]
    moire: Floats
    satellites: Spots
    peak_width: float
    point_types: tuple[int, ...]


def diffract(
    points: Floats,
    types: Ints,
    lower: Floats,
    upper: Floats,
    elements: Mapping[int, str],
    area: float,
) -> Diffraction:
    """The spots of a bilayer whose lattices are known.

    Args:
        points: (N, 2) places of all atoms in the plane, in angstrom; for a periodic frame, of one cell.
        types: (N,) types.
        lower: (2, 2) lattice vectors of the lower layer as columns, in angstrom and in the same axes.
        upper: the same of the upper layer.
        elements: symbol of each type that has one.
        area: of the patch that the atoms cover, in square angstrom.
    """
    rings = [{name: ring_vectors(lattice, name) for name in RINGS} for lattice in (lower, turned_to(lower, upper))]
    moire = rings[1]["10"] - rings[0]["10"]
    width = FWHM * 2.0 * math.pi / math.sqrt(area)
    main = np.concatenate([np.zeros((1, 2)), *rings[0].values(), *rings[1].values()])
    near = np.concatenate([np.zeros((1, 2)), rings[0]["10"], rings[1]["10"]])
    satellites = (near[:, None] + moire).reshape(-1, 2)
    apart = np.linalg.norm(satellites[:, None] - main, axis=-1).min(axis=1)
    satellites = satellites[apart > width]
    satellites = satellites[np.sort(np.unique(np.round(satellites, PLACES), axis=0, return_index=True)[1])]
    spots = _spots(points, types, elements, np.concatenate([main[1:], satellites]))
    parts = iter(np.split(np.arange(len(main) - 1 + len(satellites)), np.arange(6, 37, 6)))
    lower_spots, upper_spots = ({name: _subset(spots, next(parts)) for name in RINGS} for _ in range(2))
    return Diffraction(
        lower_spots, upper_spots, moire, _subset(spots, next(parts)), width, points_among(np.unique(types), elements)
    )  # fmt: skip


def pattern(
    points: Floats,
    types: Ints,
    elements: Mapping[int, str],
    weights: Floats,
    reach: float,
    size: int,
    by: Radiation,
) -> Floats:
    """I(q) on a square grid (size, size), both components from -reach to reach in inverse angstrom; rows go along y.

    Each atom counts with its weight (N,): 1, or less towards the edge of what a beam sees at once. The exponential is a
    product of one in x and one in y, so that the sum over atoms is a product of two matrices.
    """
    axis = np.linspace(-reach, reach, size)
    names, species = np.unique(types, return_inverse=True)
    sums = np.zeros((len(names), size * size), dtype=np.complex128)
    for kind in range(len(names)):
        atoms = np.flatnonzero(species == kind)
        for some in np.array_split(atoms, 1 + len(atoms) // ATOMS_AT_ONCE):
            rows = np.exp(1j * np.outer(axis, points[some, 1])) * weights[some]
            sums[kind] += (rows @ np.exp(1j * np.outer(points[some, 0], axis))).ravel()
    waves = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return _weighed(sums, names, np.bincount(species, weights), elements, waves, by).reshape(size, size)


def ring_vectors(lattice: Floats, ring: str) -> Floats:
    """Reciprocal vectors (6, 2), counter-clockwise, of a ring of a lattice with these vectors as columns."""
    reciprocal = 2.0 * math.pi * np.linalg.inv(sixty(lattice))
    vectors: Floats = np.array(RINGS[ring]) @ reciprocal
    return vectors


def _spots(points: Floats, types: Ints, elements: Mapping[int, str], waves: Floats) -> Spots:
    """Spots at these vectors; of q and -q, which are alike, one is computed."""
    x, y = np.round(waves, PLACES).T
    upward = waves * np.where((y < 0) | ((y == 0) & (x < 0)), -1.0, 1.0)[:, None]
    _, chosen, which = np.unique(np.round(upward, PLACES), axis=0, return_index=True, return_inverse=True)
    names, species = np.unique(types, return_inverse=True)
    sums, numbers = _sums(points, species, upward[chosen], len(names)), np.bincount(species)
    xray, electron = (_weighed(sums, names, numbers, elements, upward[chosen], by) for by in ("xray", "electron"))
    return Spots(waves, xray[which.ravel()], electron[which.ravel()])


def _subset(spots: Spots, which: Ints) -> Spots:
    return Spots(spots.vectors[which], spots.xray[which], spots.electron[which])


def _weighed(
    sums: npt.NDArray[np.complex128],
    types: Ints,
    numbers: Floats | Ints,
    elements: Mapping[int, str],
    waves: Floats,
    by: Radiation,
) -> Floats:
    """I(q) from the sums (T, Q) of exp(i q . r) over the atoms of each type, whose weights come to `numbers` (T,)."""
    factors = form_factors(types, elements, np.linalg.norm(waves, axis=1), by)
    together: Floats = (np.abs((factors * sums).sum(axis=0)) / (factors * numbers[:, None]).sum(axis=0)) ** 2
    return together


def _sums(points: Floats, species: Ints, waves: Floats, kinds: int) -> npt.NDArray[np.complex128]:
    """Sums (T, Q) of exp(i q . r) over the atoms of each species."""
    real, imaginary = np.zeros((kinds, len(waves))), np.zeros((kinds, len(waves)))
    places, directions = (np.ascontiguousarray(array, dtype=np.float64) for array in (points, waves))
    _add_waves(places, directions, np.ascontiguousarray(species, dtype=np.int64), real, imaginary)
    return real + 1j * imaginary


@compiled
def _add_waves(points: Floats, waves: Floats, species: Ints, real: Floats, imaginary: Floats) -> None:
    for wave in range(len(waves)):
        x, y = waves[wave, 0], waves[wave, 1]
        for atom in range(len(points)):
            phase = x * points[atom, 0] + y * points[atom, 1]
            real[species[atom], wave] += math.cos(phase)
            imaginary[species[atom], wave] += math.sin(phase)
