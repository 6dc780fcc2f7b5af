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

SAME_LENGTH, SAME_DEG = 0.05, 3.0

LEAST_CORNER: Final = math.sin(math.radians(15.0))

MOST_SITES: Final = 6

FEWEST_CELLS: Final = 6
"""A layer shows its lattice by so many cells; one periodic box is a lattice of its own, whatever is in it."""

FILLED, LEAST_FILLED = 0.77, 0.3
"""Share of the cells whose sites must hold an atom on average, and the share from which a place is a site."""


@dataclass(frozen=True)
class NamedLattice:
    """A plane lattice by name, with how many atoms its cell holds."""

    name: str
    sites: int

    @property
    def measurable(self) -> bool:
        """Whether it may be a triangular lattice or a honeycomb, as it is or strained."""
        return self.sites <= 2 if self.name == "triangular" else self.sites == 1 and self.name in ("rhombic", "oblique")

    def __str__(self) -> str:
        article = "an" if self.name[0] in "aeiou" else "a"
        return f"{article} {self.name} lattice" + (f" with {self.sites} atoms in its cell" if self.sites > 1 else "")


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
    return None if sites is None or len(points) < FEWEST_CELLS * sites else NamedLattice(_shape(cell), sites)


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
        return "triangular" if abs(corner_deg - 60.0) < SAME_DEG else "rhombic"
    half = float(one) / (2.0 * float(other))
    return "rhombic" if abs(math.cos(math.radians(corner_deg)) - half) < SAME_LENGTH else "oblique"
