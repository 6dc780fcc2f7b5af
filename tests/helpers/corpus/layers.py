"""One layer of a bilayer as it is built: the sites of its lattices, and what is done to the atoms on them.

Everything here works in the plane of the layer, with heights counted from the plane of its metal atoms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tests.helpers.bilayers import Floats

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

MOLTEN = -1
CHALCOGEN_HEIGHT = 1.56
MELT_ANGSTROM = 1.5
APART_ANGSTROM = 2.3
FAR_ANGSTROM = 16.0
WAVES = 32
ZONE_EDGE = 1.15
"""Largest wave number of a phonon in 1 / angstrom, about at the edge of the Brillouin zone of MoS2."""


@dataclass(frozen=True)
class Area:
    """What a layer fills: the parallelogram of two vectors, columns of `plane` (2, 2), which repeats or does not."""

    plane: Floats
    periodic: bool

    def images(self, points: Floats, reach: float) -> tuple[Ints, Floats]:
        """Indices and places of the points and of those images that lie within reach of the parallelogram."""
        steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)] if self.periodic else [(0, 0)]
        inverse = np.linalg.inv(self.plane)
        margin = reach * np.linalg.norm(inverse, axis=1)
        found = []
        for step in steps:
            moved = points + self.plane @ np.array(step)
            fractions = moved @ inverse.T
            kept = np.flatnonzero(((fractions >= -margin) & (fractions <= 1.0 + margin)).all(axis=1) | (step == (0, 0)))
            found.append((kept, moved[kept]))
        return np.concatenate([index for index, _ in found]), np.concatenate([place for _, place in found])

    def distances(self, points: Floats, centre: Floats) -> Floats:
        """How far each point is from the centre or from its nearest image."""
        steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)] if self.periodic else [(0, 0)]
        away = [np.linalg.norm(points - centre + self.plane @ np.array(step), axis=1) for step in steps]
        nearest: Floats = np.min(away, axis=0)
        return nearest

    def anywhere(self, count: int, rng: np.random.Generator) -> Floats:
        """Random places in the area, (count, 2)."""
        places: Floats = rng.random((count, 2)) @ self.plane.T
        return places


@dataclass(frozen=True)
class Layer:
    """Atoms at `points` (N, 3); `metal` marks the lattice atoms.

    `grain` (N,) is 0 for the majority grain, 1, 2, ... for the others and MOLTEN for atoms of no lattice. `missing`
    (K, 2) are the sites of the metal atoms that were taken away. `drift_deg` and `unrest` are how far its waves, ripple
    and relaxation turn the crystal and by how much they scatter it in angstrom, where no boundary holds it.
    """

    points: Floats
    metal: Flags
    grain: Ints
    missing: Floats = field(default_factory=lambda: np.empty((0, 2)))
    drift_deg: float = 0.0
    unrest: float = 0.0

    @property
    def crystal(self) -> Floats:
        """Places (M, 2) of the metal atoms of the majority grain."""
        kept: Floats = self.points[self.metal & (self.grain == 0), :2]
        return kept

    def where(self, kept: Flags) -> Layer:
        """The layer without the other atoms."""
        gone = np.concatenate([self.missing, self.points[self.metal & ~kept, :2]])
        return Layer(self.points[kept], self.metal[kept], self.grain[kept], gone)

    def moved(self, by: Floats) -> Layer:
        """Every atom moved by its row of (N, 2) or (N, 3)."""
        points = self.points.copy()
        points[:, : by.shape[1]] += by
        return replace(self, points=points)


def sites(
    lattice: Floats, area: Area, rng: np.random.Generator, gap: float = 0.0, *, honeycomb: bool = False
) -> Floats:
    """Sites (N, 2) of a lattice (columns) with a random origin, inside the area except for a gap along its far edges.

    A honeycomb has a second site in each cell, a third of the way along the sum of the vectors.
    """
    steps = np.linalg.inv(lattice) @ area.plane
    corners = steps @ np.array([[0, 1, 0, 1], [0, 0, 1, 1]])
    low, high = np.floor(corners.min(axis=1)) - 2, np.ceil(corners.max(axis=1)) + 2
    i, j = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
    cells = np.column_stack([i.ravel(), j.ravel()]) + rng.random(2)
    points = (np.concatenate([cells, cells + 1.0 / 3.0]) if honeycomb else cells) @ lattice.T
    inverse = np.linalg.inv(area.plane)
    fractions = points @ inverse.T
    end = 1.0 - gap * np.linalg.norm(inverse, axis=1)
    inside: Floats = points[((fractions >= 0) & (fractions < end)).all(axis=1)]
    return inside


def without_overlaps(points: Floats, area: Area, closest: float, rank: Ints) -> Flags:
    """Which points stay when of each two closer than this, images included, the one of the higher rank goes."""
    index, places = area.images(points, closest)
    pairs = cKDTree(places).query_pairs(closest, output_type="ndarray")
    first, second = index[pairs[:, 0]], index[pairs[:, 1]]
    goes = np.where((rank[first] > rank[second]) | ((rank[first] == rank[second]) & (first > second)), first, second)
    stays = np.ones(len(points), dtype=bool)
    stays[goes] = False
    return stays


def largest_piece(points: Floats, area: Area, reach: float) -> int:
    """How many of the points hang together by steps no longer than this, images included, at most."""
    index, places = area.images(points, reach)
    pairs = cKDTree(places).query_pairs(reach, output_type="ndarray")
    ends = (index[pairs[:, 0]], index[pairs[:, 1]])
    graph = coo_matrix((np.ones(len(pairs)), ends), shape=(len(points), len(points)))
    return int(np.bincount(connected_components(graph, directed=False)[1]).max())


def grown(metals: Floats, grain: Ints, lattices: list[Floats], *, chalcogens: bool) -> Layer:
    """A layer of metal atoms, with two chalcogen atoms over the hollow of each site where there are chalcogens."""
    flat = np.column_stack([metals, np.zeros(len(metals))])
    if not chalcogens:
        return Layer(flat, np.ones(len(flat), dtype=bool), grain)
    hollows = np.array([lattice.sum(axis=1) / 3.0 for lattice in lattices])[grain]
    above = [np.column_stack([metals + hollows, np.full(len(flat), sign * CHALCOGEN_HEIGHT)]) for sign in (1.0, -1.0)]
    return Layer(
        np.concatenate([flat, *above]),
        np.repeat([True, False, False], len(flat)),
        np.tile(grain, 3),
    )


def melted(layer: Layer, area: Area, share: float, rng: np.random.Generator) -> Layer:
    """A round patch with this share of the metal atoms turned into a dense disorder without memory of its lattice."""
    away = area.distances(layer.points[:, :2], area.anywhere(1, rng)[0])
    molten = away <= np.quantile(away[layer.metal], share)
    points = layer.points.copy()
    points[molten, :2] += MELT_ANGSTROM * rng.normal(size=(int(molten.sum()), 2))
    points[molten, 2] += 0.4 * rng.normal(size=int(molten.sum()))
    atoms = np.flatnonzero(layer.metal)
    points[atoms, :2] = _pushed_apart(points[atoms, :2], molten[atoms], area)
    return replace(layer, points=points, grain=np.where(molten, MOLTEN, layer.grain))


def _pushed_apart(points: Floats, movable: Flags, area: Area) -> Floats:
    """Movable points moved until hardly two are closer than the distance of closest approach."""
    points = points.copy()
    which = np.flatnonzero(movable)
    for _ in range(12):
        index, places = area.images(points, 2.0 * APART_ANGSTROM)
        distances, near = cKDTree(places).query(points[which], k=6, distance_upper_bound=APART_ANGSTROM)
        found = np.isfinite(distances) & (distances > 0)
        near = np.where(found, near, 0)
        both = np.where(movable[index[near]], 0.5, 1.0)
        push = np.where(found, both * (APART_ANGSTROM - distances) / np.where(found, distances, 1.0), 0.0)
        away = points[which][:, None, :] - places[near]
        points[which] += (push[..., None] * away).sum(axis=1)
    return points


def waves(points: Floats, area: Area, rms: float, rng: np.random.Generator) -> Floats:
    """Displacements (N, 3) of long and short waves, `rms` angstrom in each component.

    In two dimensions equipartition gives a mode of wave number q an energy that does not depend on q, so squared
    displacements go as 1 / q^2, and every octave of q has the same share. In a periodic area each wave fits into it.
    """
    size = math.sqrt(abs(float(np.linalg.det(area.plane))))
    lengths = np.exp(rng.uniform(math.log(2.0 * math.pi / size), math.log(ZONE_EDGE), WAVES))
    angles = rng.uniform(0, 2 * math.pi, WAVES)
    numbers = lengths[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    if area.periodic:
        whole = np.rint(numbers @ area.plane / (2 * math.pi))
        whole[(whole == 0).all(axis=1), rng.integers(2)] = 1.0
        numbers = 2 * math.pi * whole @ np.linalg.inv(area.plane)
    phases = rng.uniform(0, 2 * math.pi, WAVES)
    amplitudes = rng.normal(size=(WAVES, 3))
    moved = np.cos(points @ numbers.T + phases) @ amplitudes
    scaled: Floats = moved * (rms / math.sqrt(WAVES / 2.0))
    return scaled


def relaxation(points: Floats, area: Area, missing: Floats, pull: float, reach: float) -> Floats:
    """Displacements (N, 2) towards the missing atoms: `pull` angstrom up to the distance `reach`, and as 1 / r beyond.

    That is the field of a point defect in a plane; it is let run out at FAR_ANGSTROM.
    """
    moved = np.zeros((len(points), 2))
    if not len(missing):
        return moved
    _, holes = area.images(missing, FAR_ANGSTROM)
    found = cKDTree(points).sparse_distance_matrix(cKDTree(holes), FAR_ANGSTROM, output_type="coo_matrix")
    size = pull * reach / np.maximum(found.data, reach) * (1.0 - found.data / FAR_ANGSTROM)
    towards = (holes[found.col] - points[found.row]) / np.maximum(found.data, 1e-9)[:, None]
    np.add.at(moved, found.row, size[:, None] * towards)
    return moved


@dataclass(frozen=True)
class Ripple:
    """A sheet bent as height = amplitude * sin(number . r + phase)."""

    amplitude: float
    number: Floats
    phase: float

    @classmethod
    def of(cls, area: Area, amplitude: float, wavelength: float, rng: np.random.Generator) -> Ripple:
        """A ripple of this wavelength in angstrom; in a periodic area of one near it (five of them tried) that fits."""
        angles = rng.uniform(0, 2 * math.pi, 5 if area.periodic else 1)
        numbers = 2 * math.pi / wavelength * np.column_stack([np.cos(angles), np.sin(angles)])
        if area.periodic:
            whole = np.rint(numbers @ area.plane / (2 * math.pi))
            whole[(whole == 0).all(axis=1), rng.integers(2)] = 1.0
            numbers = 2 * math.pi * whole @ np.linalg.inv(area.plane)
        off = np.abs(np.log(np.linalg.norm(numbers, axis=1) * wavelength / (2 * math.pi)))
        return cls(amplitude, numbers[off.argmin()], rng.uniform(0, 2 * math.pi))

    @property
    def slope(self) -> float:
        """The steepest rise over run."""
        return float(self.amplitude * np.linalg.norm(self.number))

    @property
    def shortening(self) -> Floats:
        """Mean in-plane deformation (2, 2) of a sheet that keeps its length along the bend, to second order."""
        return np.asarray(np.eye(2) - 0.25 * self.amplitude**2 * np.outer(self.number, self.number))

    def bend(self, points: Floats) -> Floats:
        """Points (N, 3) carried along by the sheet, each at its distance from it along its normal."""
        phase = points[:, :2] @ self.number + self.phase
        slope = self.amplitude * np.cos(phase)[:, None] * self.number
        normal = np.column_stack([-slope, np.ones(len(points))]) / np.sqrt(1.0 + (slope**2).sum(axis=1))[:, None]
        bent: Floats = normal * points[:, 2:]
        bent[:, :2] += points[:, :2] - (self.amplitude**2 / 8.0 * np.sin(2.0 * phase))[:, None] * self.number
        bent[:, 2] += self.amplitude * np.sin(phase)
        return bent


def turn_of(lattice: Floats) -> float:
    """Degrees of the rotation part of the polar decomposition of a lattice (columns), by singular values."""
    ideal = np.array([[1.0, 0.5], [0.0, math.sqrt(3.0) / 2.0]])
    u, _, vt = np.linalg.svd(lattice @ np.linalg.inv(ideal))
    turned = u @ vt
    return math.degrees(math.atan2(turned[1, 0], turned[0, 0]))


def least_error_deg(places: Floats, noise: float) -> float:
    """Cramer-Rao bound in degrees of the rotation of a lattice fitted to atoms (N, 2) with independent normal noise.

    The gradient G of a free fit has covariance noise^2 M^-1 in each row, M the second moments of the places, and the
    rotation is (G21 - G12) / 2: sigma^2 = noise^2 trace(M^-1) / 4, which is noise^2 / sum r^2 for a round piece.
    """
    about = places - places.mean(axis=0)
    return math.degrees(noise * math.sqrt(float(np.trace(np.linalg.inv(about.T @ about))) / 4.0))


def drift_of(places: Floats, moved: Floats) -> tuple[float, float]:
    """Rotation in degrees that displacements (N, 2) of a piece of crystal add up to, and what is left of them.

    The second is the root mean square of a component, in angstrom, beyond what is the same strain all over.
    """
    about: Any = np.column_stack([places - places.mean(axis=0), np.ones(len(places))])
    gradient = np.linalg.lstsq(about, moved, rcond=None)[0]
    rest = float(np.sqrt(np.mean((moved - about @ gradient) ** 2)))
    return math.degrees(float(gradient[0, 1] - gradient[1, 0]) / 2.0), rest
