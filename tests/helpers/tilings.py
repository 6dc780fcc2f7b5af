"""Layers of many lattices: honeycombs, triangular lattices, and what is neither.

Lengths are in angstrom; the nearest atoms of each tiling are `bond` apart in the plane, but where its name says else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tests.helpers.bilayers import Bilayer, Floats, rotation

ROOT_3 = math.sqrt(3.0)
GAP_ANGSTROM = 6.5


@dataclass(frozen=True)
class Tiling:
    """A plane lattice: its two vectors as columns (2, 2), and the places and heights (K, 3) of the atoms of a cell."""

    vectors: Floats
    basis: Floats

    def deformed(self, matrix: Floats) -> Tiling:
        """Mapped in the plane by a (2, 2) matrix that acts on columns."""
        basis = self.basis.copy()
        basis[:, :2] = basis[:, :2] @ matrix.T
        return Tiling(matrix @ self.vectors, basis)

    def flake(self, radius: float, rng: np.random.Generator, vacancies: float = 0.0) -> Floats:
        """Atoms (N, 3) within a circle about a random place, a share of them missing."""
        reach = math.ceil(radius / math.sqrt(abs(np.linalg.det(self.vectors))) * 4.0) + 4
        i, j = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
        cells = (np.column_stack([i.ravel(), j.ravel()]) + rng.random(2)) @ self.vectors.T
        atoms = np.concatenate(
            [np.column_stack([cells + place[:2], np.full(len(cells), place[2])]) for place in self.basis]
        )
        inside = (np.hypot(atoms[:, 0], atoms[:, 1]) < radius) & (rng.random(len(atoms)) >= vacancies)
        return np.asarray(atoms[inside])

    def block(self, cells: tuple[int, int]) -> tuple[Floats, Floats]:
        """Atoms (N, 3) of this many cells along both vectors, and the rows a, b (2, 2) of all of them."""
        i, j = np.mgrid[: cells[0], : cells[1]]
        corners = np.column_stack([i.ravel(), j.ravel()]) @ self.vectors.T
        atoms = [np.column_stack([corners + place[:2], np.full(len(corners), place[2])]) for place in self.basis]
        return np.concatenate(atoms), (self.vectors * np.array(cells)).T


def flat(vectors: object, places: object) -> Tiling:
    """A tiling without heights; vectors by rows."""
    basis = np.atleast_2d(np.asarray(places, dtype=float))
    return Tiling(np.asarray(vectors, dtype=float).T, np.column_stack([basis, np.zeros(len(basis))]))


def triangular(bond: float = 3.16) -> Tiling:
    """One site a cell: the metal atoms of MX2."""
    return flat([[bond, 0], [bond / 2, bond * ROOT_3 / 2]], [0, 0])


def honeycomb(bond: float = 1.42, buckling: float = 0.0) -> Tiling:
    """Graphene, whose lattice constant is the root of three bonds; silicene where every other atom is raised."""
    a = bond * ROOT_3
    tiling = flat([[a, 0], [a / 2, a * ROOT_3 / 2]], [[0, 0], [a / 2, a / (2 * ROOT_3)]])
    tiling.basis[1, 2] = buckling
    return tiling


def kagome(bond: float = 3.16) -> Tiling:
    """A triangular lattice of which a quarter is empty."""
    return flat([[2 * bond, 0], [bond, bond * ROOT_3]], [[0, 0], [bond, 0], [bond / 2, bond * ROOT_3 / 2]])


def rectangular(bond: float, ratio: float) -> Tiling:
    """Sides of one bond and of this many; 1 is a square lattice."""
    return flat([[bond, 0], [0, ratio * bond]], [0, 0])


def centred_rectangular(short: float, long: float) -> Tiling:
    """A rectangle with an atom at each corner and in the middle; triangular where it is longer by the root of three."""
    return flat([[short, 0], [short / 2, long / 2]], [0, 0])


def square(bond: float = 3.16) -> Tiling:
    """Four neighbours at right angles."""
    return rectangular(bond, 1.0)


def oblique(bond: float, ratio: float, corner_deg: float) -> Tiling:
    """Two sides at an angle."""
    corner = math.radians(corner_deg)
    return flat([[bond, 0], [ratio * bond * math.cos(corner), ratio * bond * math.sin(corner)]], [0, 0])


def lieb(bond: float = 3.16) -> Tiling:
    """A square lattice of which a quarter is empty."""
    return flat([[2 * bond, 0], [0, 2 * bond]], [[0, 0], [bond, 0], [0, bond]])


def snub_square(bond: float = 3.16) -> Tiling:
    """Squares and triangles, five neighbours."""
    side = bond * math.sqrt(2 + ROOT_3)
    x = 1 / (2 * math.sqrt(2) * math.sqrt(2 + ROOT_3))
    places = np.array([[x, x + 0.5], [-x, 0.5 - x], [0.5 - x, x], [0.5 + x, -x]])
    return flat([[side, 0], [0, side]], side * places)


def elongated(bond: float = 3.16) -> Tiling:
    """Rows of squares and rows of triangles in turn."""
    return flat([[bond, 0], [bond / 2, bond * (1 + ROOT_3 / 2)]], [[0, 0], [0, bond]])


def octagons(bond: float = 3.16) -> Tiling:
    """Squares and octagons."""
    side, out = bond * (1 + math.sqrt(2)), bond / math.sqrt(2)
    return flat([[side, 0], [0, side]], [[out, 0], [-out, 0], [0, out], [0, -out]])


def stars(bond: float = 3.16) -> Tiling:
    """Triangles and twelve-sided rings: a honeycomb whose atoms are triangles."""
    side, out = bond * (2 + ROOT_3), bond / ROOT_3
    vectors = np.array([[side, 0], [side / 2, side * ROOT_3 / 2]])
    places = []
    for third, start in ((1 / 3, 90.0), (2 / 3, -90.0)):
        centre = third * vectors.sum(axis=0)
        places += [centre + out * (rotation(start + turn) @ [1.0, 0.0]) for turn in (0.0, 120.0, 240.0)]
    return flat(vectors, places)


def hexagons_and_squares(bond: float = 3.16) -> Tiling:
    """Hexagons parted by squares and triangles."""
    side = bond * (1 + ROOT_3)
    places = [bond * (rotation(30.0 + turn) @ [1.0, 0.0]) for turn in range(0, 360, 60)]
    return flat([[side, 0], [side / 2, side * ROOT_3 / 2]], places)


def with_ordered_gaps(bond: float, cells: tuple[tuple[int, int], tuple[int, int]]) -> Tiling:
    """A triangular lattice of which one site is empty in each cell of these whole steps."""
    steps = np.array(cells)
    size = abs(round(float(np.linalg.det(steps))))
    unit = triangular(bond).vectors
    inverse = np.linalg.inv(steps)
    found = [
        (i, j)
        for i in range(-2 * size, 2 * size + 1)
        for j in range(-2 * size, 2 * size + 1)
        if ((fractions := np.round(np.array([i, j]) @ inverse, 9)) >= 0).all() and (fractions < 1).all()
    ]
    return flat(steps @ unit.T, np.array([place for place in found if place != (0, 0)]) @ unit.T)


def dimerised(a: float = 3.48, b: float = 6.25, moved: float = 0.43, raised: float = 0.1) -> Tiling:
    """The metal atoms of 1T' WTe2: every other row along a is drawn towards one of its neighbours."""
    tiling = flat([[a, 0], [0, b]], [[0, 0], [a / 2, b / 2 - 2 * moved]])
    tiling.basis[1, 2] = raised
    return tiling


def phosphorene(pucker: float = 2.13, along: float = 4.38, across: float = 3.31, bond: float = 0.7) -> Tiling:
    """Zigzag chains in two planes; `bond` is what the bonds between the planes span within the plane."""
    step, half = along / 2 - bond, across / 2
    tiling = flat([[along, 0], [0, across]], [[0, 0], [step, half], [along / 2, half], [along / 2 + step, 0]])
    tiling.basis[2:, 2] = pucker
    return tiling


def doubled(tiling: Tiling, apart: float, shift: Floats | None = None) -> Tiling:
    """The tiling in two planes, one above the other or moved by a shift (2,)."""
    above = tiling.basis + np.array([*(np.zeros(2) if shift is None else shift), apart])
    return Tiling(tiling.vectors, np.concatenate([tiling.basis, above]))


def planes(count: int, bond: float, apart: float) -> Tiling:
    """Triangular planes, each moved by a third of a cell against the one below: A, B, C."""
    tiling = triangular(bond)
    third = tiling.vectors.sum(axis=1) / 3.0
    places = [[*(third * number), apart * number] for number in range(count)]
    return Tiling(tiling.vectors, np.array(places))


def stacked_flakes(
    lower: Tiling,
    upper: Tiling,
    twist_deg: float,
    *,
    radius: float = 30.0,
    turn_deg: float = 0.0,
    noise: float = 0.0,
    vacancies: float = 0.0,
    gap: float = GAP_ANGSTROM,
    seed: int = 0,
) -> Bilayer:
    """Two round flakes, the upper one turned by the twist; gap from the highest of one to the lowest of the other."""
    rng = np.random.default_rng(seed)
    below = lower.deformed(rotation(turn_deg)).flake(radius, rng, vacancies)
    above = upper.deformed(rotation(turn_deg + twist_deg)).flake(radius, rng, vacancies)
    above[:, 2] += below[:, 2].max() - above[:, 2].min() + gap
    positions = np.concatenate([below, above])
    types = np.repeat([1, 2], [len(below), len(above)])
    cell = np.diag([4.0 * radius, 4.0 * radius, 60.0])
    bilayer = Bilayer(positions, types, cell, (False, False, False))
    return bilayer.shaken(noise, rng) if noise else bilayer


def stacked_blocks(
    tiling: Tiling, cells: tuple[int, int], *, noise: float = 0.0, vacancies: float = 0.0, gap: float = GAP_ANGSTROM,
    seed: int = 0,
) -> Bilayer:  # fmt: skip
    """A periodic cell of two layers of the same tiling, not turned against each other."""
    rng = np.random.default_rng(seed)
    layer, plane = tiling.block(cells)
    above = layer + np.array([0.3, 0.2, layer[:, 2].max() - layer[:, 2].min() + gap])
    cell = np.zeros((3, 3))
    cell[:2, :2], cell[2, 2] = plane, 60.0
    types = np.repeat([1, 2], [len(layer), len(above)])
    bilayer = Bilayer(np.concatenate([layer, above]) + np.array([0.0, 0.0, 5.0]), types, cell)
    bilayer = bilayer.thinned(vacancies, rng) if vacancies else bilayer
    return bilayer.shaken(noise, rng) if noise else bilayer


def mirrored(bilayer: Bilayer) -> Bilayer:
    """Seen in a mirror that stands on x."""
    return replace(bilayer, positions=bilayer.positions * [1.0, -1.0, 1.0], cell=bilayer.cell * [1.0, -1.0, 1.0])


def shortest(tiling: Tiling) -> float:
    """Distance of the nearest atoms in the plane."""
    around = tiling.block((3, 3))[0][:, :2]
    apart = np.hypot(*(around[:, None] - around[None]).transpose(2, 0, 1))
    return float(apart[apart > 1e-6].min())
