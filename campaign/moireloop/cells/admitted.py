"""The coherent twists that a periodic cell admits (pure).

A layer is coherent with a cell if the cell's vectors are whole-number combinations of the layer's. Each such layer has
a lattice that is turned and strained against the regular one; two of them in one cell make a twist. A twist costs
strain: the smaller the cell, the fewer twists it admits at little strain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_optimizer.auto.hexagonal import SPOKES, SYMMETRY_DEG, folded, put_into, whole_cells

Floats = npt.NDArray[np.float64]

Whole = tuple[tuple[int, int], tuple[int, int]]

LARGEST_STRAIN: Final = 0.035
"""Of either layer. 90 % of the twists of the bead model's grid are made of layers within it, see docs/cells.md."""

APART_DEG: Final = 0.05
"""Twists closer than this are one."""

LONGEST: Final = 60.0
"""Length of a cell's vectors, in lattice spacings, up to which layers are counted."""

BIN_DEG: Final = 0.01


@dataclass(frozen=True)
class AdmittedTwist:
    """A twist of two coherent layers.

    Attributes:
        twist_deg: angle between the layers, in [0, 30] degrees.
        strain: the largest principal strain of either layer against its regular lattice, without a sign.
        place: number of the cell in which it costs least, of those that were given.
        lower: vectors of that cell in whole numbers of vectors of the lower layer.
        upper: likewise of the upper layer.
    """

    twist_deg: float
    strain: float
    place: int
    lower: Whole
    upper: Whole


@dataclass(frozen=True, eq=False)
class _Layers:
    """The coherent layers of N cells that cost little enough, as L of them: (L,) cell, layer, strain, orientation."""

    place: npt.NDArray[np.intp]
    layer: npt.NDArray[np.intp]
    strain: Floats
    turned_deg: Floats
    whole: npt.NDArray[np.int64]


def admitted_twists(
    cells_angstrom: npt.ArrayLike,
    lattice_angstrom: npt.ArrayLike,
    upper_angstrom: npt.ArrayLike | None = None,
    *,
    lower_sites: int | None = None,
    largest_strain: float = LARGEST_STRAIN,
) -> tuple[AdmittedTwist, ...]:
    """The coherent twists that two hexagonal layers in a periodic cell can have, in ascending order.

    Args:
        cells_angstrom: (2, 2) vectors of the cell in its plane as rows, or (N, 2, 2) for a cell that is deformed: a
            twist is admitted where one of them admits it.
        lattice_angstrom: lattice constant of the unstrained lower layer; a number, or (N,).
        upper_angstrom: likewise for the upper layer; by default equal to the lower one.
        lower_sites: lattice sites of the lower layer in the cell, if it is a crystal without vacancies; None for any.
        largest_strain: principal strain of either layer up to which a twist counts.

    Raises:
        ValueError: a cell is flat, left-handed, not finite or longer than 60 lattice constants; a lattice constant or
            strain is not positive.
    """
    cells = _checked_cells(cells_angstrom)
    lower = _checked_lattice(lattice_angstrom, len(cells), cells)
    upper = lower if upper_angstrom is None else _checked_lattice(upper_angstrom, len(cells), cells)
    if not 0.0 < largest_strain <= 0.1:
        raise ValueError(f"expected largest_strain above 0 and at most 0.1, got {largest_strain}")
    below = _coherent(cells, lower, largest_strain, lower_sites)
    above = _coherent(cells, upper, largest_strain, None)
    return _distinct(below, above, len(cells))


def nearest_twists(admitted: Sequence[AdmittedTwist], twist_deg: float) -> tuple[AdmittedTwist, ...]:
    """The admitted twists next to a wanted one, below and above it: none, one or two."""
    below = [each for each in admitted if each.twist_deg <= twist_deg]
    above = [each for each in admitted if each.twist_deg > twist_deg]
    return tuple([*below[-1:], *above[:1]])


def _coherent(cells: Floats, lattice: Floats, largest_strain: float, sites: int | None) -> _Layers:
    """The layers of which the vectors of (N, 2, 2) cells are whole numbers, strained by no more than the limit."""
    expected = np.linalg.det(cells) / (lattice**2 * np.sin(np.radians(SYMMETRY_DEG)))
    lengths = np.linalg.norm(cells, axis=2) / lattice[:, None]
    stretched = 1.0 / (1.0 - largest_strain)
    whole = whole_cells(lengths, expected, stretched - 1.0, stretched**2 - 1.0)
    if sites is not None:
        whole = whole[np.linalg.det(whole).round() == sites]
    places = np.linalg.inv(whole)
    a, b = put_into(cells, places), put_into(cells, places, SPOKES.conj())
    most, least = (np.abs(a) + np.abs(b)) / lattice[:, None], (np.abs(a) - np.abs(b)) / lattice[:, None]
    strain = np.maximum(np.abs(most - 1.0), np.abs(least - 1.0))
    place, layer = np.nonzero(strain <= largest_strain + 1e-12)
    return _Layers(place, layer, strain[place, layer], np.angle(a[place, layer], deg=True), whole)


def _distinct(below: _Layers, above: _Layers, cells: int) -> tuple[AdmittedTwist, ...]:
    """All pairs of a lower and an upper layer of one cell, the cheapest of those with about the same twist."""
    cheapest: dict[int, AdmittedTwist] = {}
    for place in range(cells):
        low, high = np.flatnonzero(below.place == place), np.flatnonzero(above.place == place)
        if not len(low) or not len(high):
            continue
        twist_deg = folded(above.turned_deg[high] - below.turned_deg[low][:, None])
        strain = np.maximum(below.strain[low][:, None], above.strain[high])
        for i, j in _cheapest_of_bins(twist_deg, strain):
            twist = AdmittedTwist(
                float(twist_deg[i, j]),
                float(strain[i, j]),
                place,
                _numbers(below.whole[below.layer[low[i]]]),
                _numbers(above.whole[above.layer[high[j]]]),
            )
            number = round(twist.twist_deg / BIN_DEG)
            if number not in cheapest or twist.strain < cheapest[number].strain - 1e-9:
                cheapest[number] = twist
    kept: list[AdmittedTwist] = []
    for twist in sorted(cheapest.values(), key=lambda each: each.strain):
        if all(abs(twist.twist_deg - each.twist_deg) > APART_DEG for each in kept):
            kept.append(twist)
    return tuple(sorted(kept, key=lambda each: each.twist_deg))


def _cheapest_of_bins(twist_deg: Floats, strain: Floats) -> list[tuple[int, int]]:
    """Of all pairs whose twists fall into one bin, the places of the one that costs least."""
    order = np.argsort(strain, axis=None, kind="stable")
    _, first = np.unique((twist_deg.ravel()[order] / BIN_DEG).round(), return_index=True)
    rows, columns = np.unravel_index(order[first], strain.shape)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _numbers(whole: npt.NDArray[np.int64]) -> Whole:
    (a, b), (c, d) = whole.tolist()
    return (a, b), (c, d)


def _checked_cells(cells_angstrom: npt.ArrayLike) -> Floats:
    cells = np.asarray(cells_angstrom, dtype=np.float64)
    if cells.ndim == 2:
        cells = cells[np.newaxis]
    if cells.shape[1:] != (2, 2) or not len(cells):
        raise ValueError(f"expected cells_angstrom of shape (2, 2) or (N, 2, 2), got {cells.shape}")
    if not np.isfinite(cells).all() or (np.linalg.det(cells) <= 0.0).any():
        raise ValueError("expected cells_angstrom with finite vectors, b to the left of a, got others")
    return cells


def _checked_lattice(lattice_angstrom: npt.ArrayLike, count: int, cells: Floats) -> Floats:
    lattice = np.asarray(lattice_angstrom, dtype=np.float64)
    if lattice.ndim > 1 or (lattice.ndim == 1 and len(lattice) != count):
        raise ValueError(f"expected a lattice constant, or one for each of {count} cells, got {lattice.shape}")
    if not np.isfinite(lattice).all() or (lattice <= 0.0).any():
        raise ValueError("expected lattice constants above 0 angstrom, got others")
    each: Floats = np.broadcast_to(lattice, (count,))
    longest = float((np.linalg.norm(cells, axis=2).max(axis=1) / each).max())
    if longest > LONGEST:
        raise ValueError(f"expected a cell of at most {LONGEST:g} lattice constants, got {longest:.1f}")
    return each
