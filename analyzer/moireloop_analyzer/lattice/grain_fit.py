"""The largest grain of one direction in a layer, and the lattice that its atoms fit freely (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.lattice.bond_fit import fit_bonds
from moireloop_analyzer.lattice.grain import Grains, join_grains
from moireloop_analyzer.lattice.position_fit import PositionFit, fit_positions
from moireloop_analyzer.lattice.rings import gather, laps_of, rings_of
from moireloop_analyzer.layers.neighbours import Bonds
from moireloop_analyzer.refusal import Refusal

MIN_GRAIN_ATOMS: Final = 7


@dataclass(frozen=True)
class GrainFit:
    """The largest set of joined atoms, named `name` in the grains, and the lattice that it fits, held to nothing.

    `atoms` (M,), numbered as in the bonds, have the lattice indices `indices` (M, 2) and the positions `places` (M, 2)
    in angstrom where the cell is cut open. `laps` (2, 2) are the whole lattice steps of going once along each row of
    the grains' plane, and `rings` (2, 4) the rings of bonds that go so (see `rings_of`).
    """

    grains: Grains
    name: int
    atoms: Ints
    indices: Floats
    places: Floats
    free: PositionFit
    laps: Floats
    rings: Floats


def fit_grain(bonds: Bonds, box: Box, angle_rad: float, member: npt.NDArray[np.bool_]) -> GrainFit | Refusal:
    """The largest grain among the atoms in a mask (N,) that are turned by about this angle.

    First the bonds are assigned to six directions and fitted robustly; then every atom that hangs together by good
    bonds gets lattice indices, and the lattice is fitted to positions over indices, so that thermal noise averages
    over the whole layer and vacancies do no harm.
    """
    if not bonds.spacing > 0:
        return Refusal("no bonds between its atoms")
    bins = bonds.bins
    vectors, scale = fit_bonds(
        bonds.points, bonds.table, bonds.codes, bonds.counts, bins.moves, member, angle_rad, bonds.spacing
    )
    if not math.isfinite(vectors[0, 0]):
        return Refusal("its bonds do not follow the directions of a triangular lattice")
    grains, name, atoms, free, laps, rings = _fitted(
        bonds.points,
        bonds.table,
        bonds.codes,
        bonds.counts,
        bins.images,
        bins.moves,
        bins.grid,
        bins.frame,
        member,
        box.plane,
        bonds.spacing,
        vectors,
        scale,
    )
    fit = GrainFit(Grains(*grains), name, *atoms, PositionFit(*free), laps, rings)
    if len(fit.atoms) < MIN_GRAIN_ATOMS or not math.isfinite(fit.free.solution[0, 0]):
        return Refusal("too few of its atoms form one lattice")
    return fit


def cut_anew(grain: GrainFit, points: Floats, across: Ints, at: tuple[float, float]) -> GrainFit:
    """The grain cut open along other lines: those where coordinates (2,) are `at`; its fit is left as it was.

    The coordinates are the rows of `across` (2, 2) times the fractions along the rows of the plane, and give each of
    its cells once. Where `at` is NaN the atoms stay. The points (N, 2) belong to the bonds.
    """
    grains, rows = grain.grains, np.rint(np.linalg.inv(across).T)
    laps, plane = rows @ grain.laps, rows @ grains.plane
    over = np.nan_to_num(np.floor(grain.indices @ np.linalg.inv(laps) - at))
    indices, places = grain.indices - over @ laps, grain.places - over @ plane
    wrapped = grains.wrapped.copy()
    wrapped[grain.atoms] = np.rint((places - points[grain.atoms]) @ np.linalg.inv(plane))
    rings = grain.rings
    if not np.array_equal(rows, np.eye(2)):
        rings = np.repeat([[*rings[:, :2].min(axis=0), 0.0, 0.0]], 2, axis=0)
    grains = replace(grains, wrapped=wrapped, basis=across @ grains.basis, plane=plane)
    return replace(grain, indices=indices, places=places, laps=laps, rings=rings, grains=grains)


def refitted(grain: GrainFit, spacing: float) -> GrainFit:
    """The grain with the lattice that its atoms fit freely where they are now."""
    start = np.ascontiguousarray(grain.free.solution[:2].T)
    free = PositionFit(*fit_positions(grain.indices, grain.places, start, spacing))
    return replace(grain, free=free) if math.isfinite(free.solution[0, 0]) else grain


@compiled
def _fitted(
    points: Floats,
    table: Ints,
    codes: Ints,
    counts: Ints,
    images: Ints,
    moves: Floats,
    grid: Ints,
    frame: Floats,
    member: npt.NDArray[np.bool_],
    box_plane: Floats,
    spacing: float,
    vectors: Floats,
    scale: float,
) -> tuple[
    tuple[Ints, Ints, Ints, Ints, Floats],
    int,
    tuple[Ints, Floats, Floats],
    tuple[Floats, Floats, Floats, Floats, float],
    Floats,
    Floats,
]:
    """The parts of `GrainFit`, its grains and its free fit by their parts, from the parts of `Bonds`."""
    root, sizes, wrapped, basis, plane, walk, crossing = join_grains(
        points, table, codes, counts, images, moves, grid, frame, member, box_plane, spacing, vectors, scale
    )
    name = 0
    for i in range(len(sizes)):
        if sizes[i] > sizes[name]:
            name = i
    atoms = gather(points, root, walk, wrapped, plane, name, sizes[name])
    free = fit_positions(atoms[1], atoms[2], vectors, spacing)
    solution, fitted = free[0], np.empty((2, 2))
    for axis in range(2):
        fitted[axis, 0], fitted[axis, 1] = solution[0, axis], solution[1, axis]
    laps = laps_of(plane, fitted)
    rings = rings_of(points, moves, root, walk, crossing, name, laps, fitted)
    return (root, sizes, wrapped, basis, plane), name, atoms, free, laps, rings
