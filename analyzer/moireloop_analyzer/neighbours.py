"""Pairs of atoms within a radius, in a cell of any shape with any of its directions periodic (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

MAX_IMAGES: Final = 64
MAX_CROWD: Final = 64


@dataclass(frozen=True)
class Pairs:
    """Each pair of neighbours once, `first <= second`, with the vector from the first to the second.

    `vectors[k] = points[second[k]] + shifts[k] @ cell - points[first[k]]`, shape (P, d); `shifts` (P, d) are
    whole numbers of cells, so that an atom can be a neighbour of its own image.
    """

    first: Ints
    second: Ints
    vectors: Floats
    shifts: Ints

    def __len__(self) -> int:
        return len(self.first)

    def where(self, mask: npt.NDArray[np.bool_]) -> Pairs:
        """The pairs at which the mask is true."""
        return Pairs(self.first[mask], self.second[mask], self.vectors[mask], self.shifts[mask])


def pairs_within(points: Floats, cell: Floats, periodic: Sequence[bool], radius: float) -> Pairs:
    """All pairs of points no further apart than `radius`, images included.

    Args:
        points: (N, d) positions, inside the cell or not.
        cell: (d, d) cell vectors as rows, linearly independent.
        periodic: d flags, one for each cell vector.
        radius: largest distance, in the unit of the points; it may exceed the cell.
    """
    inverse = np.linalg.inv(cell)
    fractions = points @ inverse
    cells_off = np.where(np.asarray(periodic), np.floor(fractions), 0.0)
    origin, images = _half_of_the_images(fractions - cells_off, inverse, periodic, radius)
    wrapped = points - cells_off @ cell
    everything = np.concatenate([wrapped, wrapped[origin] + images @ cell])
    found = cKDTree(everything).query_pairs(radius, output_type="ndarray").astype(np.int64, copy=False)
    count = len(points)
    found = found[found[:, 0] < count]
    first, there = found[:, 0], found[:, 1]
    vectors = everything[there] - everything[first]
    second = np.concatenate([np.arange(count), origin])[there]
    image_of = np.concatenate([np.zeros((count, cell.shape[0])), images])[there]
    shifts = image_of - cells_off[second] + cells_off[first]
    return _ordered(first, second, vectors, np.rint(shifts).astype(np.int64))


def why_unsearchable(points: Floats, cell: Floats, periodic: Sequence[bool], radius: float) -> str | None:
    """Why a search for pairs would take memory without bound, or None where it will not.

    Said of cells far thinner than the radius and of places where atoms pile up.
    """
    inverse = np.linalg.inv(cell)
    if float(np.prod(_reach(inverse, periodic, radius))) > MAX_IMAGES:
        return "the cell is far thinner than the distance between its atoms"
    bins = np.floor((points - points.min(axis=0)) / radius)
    if np.prod(bins.max(axis=0) + 1.0) > 2.0**62:
        return "the atoms are scattered too far"
    flat = np.ravel_multi_index(tuple(bins.astype(np.int64).T), tuple(bins.max(axis=0).astype(np.int64) + 1))
    crowd = int(np.unique(flat, return_counts=True)[1].max())
    if crowd > MAX_CROWD:
        return f"{crowd} atoms lie within a square of {radius:.3g} angstrom"
    return None


def _reach(inverse: Floats, periodic: Sequence[bool], radius: float) -> list[float]:
    """How many cells the radius spans along each periodic direction, plus one."""
    spans = radius * np.linalg.norm(inverse, axis=0)
    return [1.0 + float(span) if wraps else 1.0 for span, wraps in zip(spans, periodic, strict=True)]


def _half_of_the_images(
    fractions: Floats, inverse: Floats, periodic: Sequence[bool], radius: float
) -> tuple[Ints, Floats]:
    """Indices and cell offsets of the images near the cell, one of each two that are mirror images."""
    origin = np.arange(len(fractions), dtype=np.int64)
    offsets = np.zeros_like(fractions)
    margins = radius * np.linalg.norm(inverse, axis=0)
    for axis in (axis for axis, wraps in enumerate(periodic) if wraps):
        margin, reach = margins[axis], math.ceil(margins[axis])
        place = fractions[origin, axis]
        kept = [
            (step, np.flatnonzero((place + step >= -margin) & (place + step <= 1.0 + margin)))
            for step in range(-reach, reach + 1)
        ]
        steps = np.concatenate([np.full(len(index), float(step)) for step, index in kept])
        chosen = np.concatenate([index for _, index in kept])
        origin, offsets = origin[chosen], offsets[chosen]
        offsets[:, axis] = steps
    leading = np.zeros(len(origin))
    for axis in range(fractions.shape[1]):
        leading = np.where(leading == 0.0, offsets[:, axis], leading)
    return origin[leading > 0], offsets[leading > 0]


def _ordered(first: Ints, second: Ints, vectors: Floats, shifts: Ints) -> Pairs:
    swap = first > second
    sign = np.where(swap, -1, 1)[:, None]
    return Pairs(np.where(swap, second, first), np.where(swap, first, second), vectors * sign, shifts * sign)
