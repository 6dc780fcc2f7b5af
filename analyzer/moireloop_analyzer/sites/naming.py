"""What the lattice of a layer is called that is neither triangular nor a honeycomb, from its translations (pure).

A crystal is carried onto itself by the vectors of its lattice, whatever atoms its cell holds. Those that carry atoms
about one place of a layer onto others are sought; the shortest two of them span its cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.box import Box, Floats

LOOKED_AT: Final = 160
"""Atoms about one place of a layer, the nearest ones; a fifth of them is carried about."""

CARRIED: Final = 5

FEWEST: Final = 24

FROM: Final = 3
"""Atoms from which the vectors are taken that are tried."""

NEAR: Final = 0.2
"""How near to an atom another one must be carried, in distances between nearest atoms."""

CARRIED_SHARE: Final = 0.8
"""Share of the atoms that a vector of the lattice carries onto others; vacancies and noise leave some out."""

RHOMBIC: Final = "rhombic"

SAME_LENGTH, SAME_DEG = 0.05, 3.0

LEAST_CORNER: Final = math.sin(math.radians(15.0))

MOST_SITES: Final = 6

FEWEST_CELLS: Final = 6
"""A layer shows its lattice only over this many cells; one periodic box is a lattice whatever it contains."""

FILLED, LEAST_FILLED = 0.77, 0.3
"""Share of the cells whose sites must hold an atom on average, and the share from which a place is a site."""


MAX_STRAIN: Final = 0.15
"""Distortion beyond which a lattice is no strained triangular one: no layer that is grown bears more.

It is the shear strength of a layer of MoS2 by REBO, of 0.28 in its stronger direction (0.20 in the other). The beads
bear 0.04 to 0.13, the more the wider they are apart (ADR 0051).
"""


@dataclass(frozen=True)
class NamedLattice:
    """A plane lattice by name, with how many atoms its cell holds.

    `distortion` is how far its cell is from the one of a triangular lattice, as the root of the ratio of the stretches
    less 1; `of_one_site` what it is called where its cell holds one atom.
    """

    name: str
    sites: int
    distortion: float
    of_one_site: str

    @property
    def measurable(self) -> bool:
        """Whether it may be a triangular lattice or a honeycomb, as it is or strained."""
        if self.name == "triangular":
            return self.sites <= 2
        return self.sites == 1 and self.name in (RHOMBIC, "oblique") and self.distortion <= MAX_STRAIN

    def __str__(self) -> str:
        if self.sites == 1:
            return self.of_one_site
        return f"{_with_article(self.name)} lattice with {self.sites} atoms in its cell"


def named_lattice(points: Floats, box: Box) -> NamedLattice | None:
    """The lattice about the middle of a layer at `points` (N, 2 or more) in the box; None where none is seen."""
    near = _about_the_middle(points[:, :2], box)
    if len(near) < FEWEST:
        return None
    apart = np.hypot(*(near[:, None] - near[None, : len(near) // CARRIED]).transpose(2, 0, 1))
    apart[apart < 1e-9] = np.inf
    within = NEAR * float(np.median(apart.min(axis=0)))
    vectors = _translations(near, within)
    cell = None if vectors is None else _cell_of(vectors)
    if cell is None:
        return None
    sites = _sites_in(near, cell, within)
    if sites is None or len(points) < FEWEST_CELLS * sites:
        return None
    return NamedLattice(_shape(cell), sites, _distortion(cell), described(cell))


def reduced(cell: Floats) -> Floats:
    """The shortest two vectors (2, 2), as rows, of the lattice that others span (Lagrange)."""
    one, other = cell
    while True:
        if one @ one > other @ other:
            one, other = other, one
        steps = float(np.rint((one @ other) / (one @ one)))
        if steps == 0.0:
            return np.stack([one, other])
        other = other - steps * one


def described(cell: Floats) -> str:
    """A lattice of one site by its reduced cell (2, 2): its name, and where its cell is rhombic the sides."""
    shape = _shape(cell)
    if shape != RHOMBIC:
        return f"{_with_article(shape)} lattice"
    one, other = cell
    diagonals = (one, 2.0 * other - math.copysign(1.0, one @ other) * one)
    if abs(np.hypot(*one) - np.hypot(*other)) < SAME_LENGTH * np.hypot(*other):
        diagonals = (one - other, one + other)
    short, long = sorted(float(np.hypot(*diagonal)) for diagonal in diagonals)
    return f"a centred rectangular lattice of {short:.2f} by {long:.2f} angstrom"


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _distortion(cell: Floats) -> float:
    """By how much a reduced cell (2, 2) is distorted from the one of a triangular lattice."""
    one, other = cell
    other = other * math.copysign(1.0, one @ other)
    triangle = np.array([[1.0, 0.5], [0.0, math.sqrt(0.75)]])
    most, least = np.linalg.svd(np.stack([one, other], axis=1) @ np.linalg.inv(triangle), compute_uv=False)
    return math.sqrt(most / max(least, 1e-12)) - 1.0


def _about_the_middle(points: Floats, box: Box) -> Floats:
    """The atoms nearest to the one nearest to the middle, (M, 2), relative to it and sorted by distance."""
    away = points - points[np.square(points - points.mean(axis=0)).sum(axis=1).argmin()]
    if any(box.periodic):
        away = away - np.where(box.periodic, np.rint(away @ box.inverse), 0.0) @ box.plane
        reach = [_images(box, axis, len(points)) if box.periodic[axis] else 0 for axis in (0, 1)]
        a, b = (np.arange(-most, most + 1) for most in reach)
        steps = np.column_stack([np.repeat(a, len(b)), np.tile(b, len(a))])
        away = (away[None] + (steps @ box.plane)[:, None]).reshape(-1, 2)
    far = np.square(away).sum(axis=1)
    if len(far) > LOOKED_AT:
        kept = np.argpartition(far, LOOKED_AT)[:LOOKED_AT]
        away, far = away[kept], far[kept]
    nearest: Floats = away[np.argsort(far, kind="stable")]
    return nearest


def _images(box: Box, axis: int, atoms: int) -> int:
    """Images of the cell to each side along a or b, so that the atoms looked at have all their neighbours."""
    radius = math.sqrt(box.area * LOOKED_AT / atoms / math.pi)
    return min(math.ceil(radius / box.heights[axis]), LOOKED_AT)


def _translations(near: Floats, within: float) -> Floats | None:
    """Vectors (K, 2) that carry nearly all of the atoms in the middle onto others, the shortest first."""
    reach = 0.5 * math.hypot(*near[-1])
    tried = np.concatenate([near - start for start in near[:FROM]])
    lengths = np.hypot(tried[:, 0], tried[:, 1])
    tried = tried[(lengths > 2.0 * within) & (lengths < reach) & (tried @ [1.0, 1e-6] > 0)]
    for share in (0.5 * CARRIED_SHARE, CARRIED_SHARE):
        if not len(tried):
            return None
        tried = _carrying(tried, near, within, share)
    vectors: Floats = tried[np.argsort(np.hypot(tried[:, 0], tried[:, 1]), kind="stable")]
    return vectors if len(vectors) else None


def _carrying(vectors: Floats, near: Floats, within: float, least: float) -> Floats:
    """Those of the vectors (K, 2) that carry at least this share of the atoms in the middle onto others, averaged."""
    there = near[None, : len(near) // CARRIED] + vectors[:, None]
    squares = np.square(near).sum(axis=1) - 2.0 * there @ near.T
    misses = near[squares.argmin(axis=2)] - there
    onto = np.square(misses).sum(axis=2) < within * within
    good = onto.mean(axis=1) >= least
    weights = onto[good][..., None]
    carrying: Floats = vectors[good] + (misses[good] * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
    return carrying


def _cell_of(vectors: Floats) -> Floats | None:
    """The shortest two vectors (2, 2), as rows, that are not along one line; None where all are."""
    first = vectors[0]
    sines = np.abs(first[0] * vectors[:, 1] - first[1] * vectors[:, 0])
    beside = sines > LEAST_CORNER * math.hypot(*first) * np.hypot(vectors[:, 0], vectors[:, 1])
    return np.stack([first, vectors[beside][0]]) if beside.any() else None


def _sites_in(near: Floats, cell: Floats, within: float) -> int | None:
    """How many atoms the cell holds: places at which atoms stand in nearly every cell; None where they do not."""
    inner = near[: len(near) // 2]
    cells = math.pi * float(np.square(inner[-1]).sum()) / abs(float(np.linalg.det(cell)))
    fractions, left, sites = inner @ np.linalg.inv(cell), np.ones(len(inner), dtype=np.bool_), 0
    while left.any() and sites <= MOST_SITES:
        apart = fractions - fractions[left.argmax()]
        off = (apart - np.rint(apart)) @ cell
        here = left & (np.square(off).sum(axis=1) < (2.0 * within) ** 2)
        sites += int(here.sum() > LEAST_FILLED * cells)
        left &= ~here
    return sites if 0 < sites <= MOST_SITES and len(inner) > FILLED * sites * cells else None


def _shape(cell: Floats) -> str:
    one, other = np.hypot(*cell[0]), np.hypot(*cell[1])
    corner_deg = math.degrees(math.acos(min(1.0, abs(float(cell[0] @ cell[1])) / float(one * other))))
    alike = abs(one - other) < SAME_LENGTH * other
    if abs(corner_deg - 90.0) < SAME_DEG:
        return "square" if alike else "rectangular"
    if alike:
        return "triangular" if abs(corner_deg - 60.0) < SAME_DEG else RHOMBIC
    half = float(one) / (2.0 * float(other))
    return RHOMBIC if abs(math.cos(math.radians(corner_deg)) - half) < SAME_LENGTH else "oblique"
