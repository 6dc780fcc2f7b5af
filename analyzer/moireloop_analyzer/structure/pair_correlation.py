"""The pair correlation function of a bilayer: pairs at each distance, relative to an ideal gas (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.arguments import checked_arrays
from moireloop_analyzer.geometry.cell_list import CellList, Floats, cell_list, species_of
from moireloop_analyzer.refusal import Refusal

DEFAULT_RADIUS_ANGSTROM: Final = 8.0

DEFAULT_BINS: Final = 120

MAX_BINS: Final = 100_000

CORE_SHARE: Final = 0.98
"""Share of the atoms, in the middle of their heights, that the thickness is taken from: strays do not count."""

DIRECTIONS: Final = 4096

PEAK_ANGSTROM: Final = 0.6


@dataclass(frozen=True)
class PairCorrelation:
    """g(r) of one frame, 1 where pairs are as many as in an ideal gas that fills the same slab.

    `radius_angstrom` (B,) are the middles of the bins and `total` (B,) is g. `partial` has g of each pair of types,
    the smaller type first. `pairs_per_atom` (B,) are the neighbours that an atom has in each bin on average.
    `thickness_angstrom` is the atoms' extent across the periodic directions, None where all three are periodic.
    `density` is the number of atoms in a cubic angstrom of the slab, None for a flat one.
    """

    radius_angstrom: Floats
    total: Floats
    partial: dict[tuple[int, int], Floats]
    pairs_per_atom: Floats
    thickness_angstrom: float | None
    density: float | None


def pair_correlation(
    positions: npt.ArrayLike,
    types: npt.ArrayLike,
    cell: npt.ArrayLike,
    pbc: Sequence[bool] = (True, True, False),
    *,
    radius_angstrom: float = DEFAULT_RADIUS_ANGSTROM,
    bins: int = DEFAULT_BINS,
) -> PairCorrelation | Refusal:
    """The total and the partial pair correlation functions up to a radius, which may exceed the cell.

    g(r) = n(r) V / (N s(r) dr), where n(r) is the mean number of neighbours between r and r + dr, V / N the volume of
    an atom, and s(r) the area of a sphere of radius r that lies inside the slab, averaged over where in the slab its
    middle is: `shell_share`. Of types i and j it is n_ij(r) V / (N_j s(r) dr).

    Args:
        positions: (N, 3) in angstrom.
        types: (N,) whole numbers.
        cell: (3, 3) cell vectors as rows.
        pbc: which of them are periodic.
        radius_angstrom: largest distance, above 0.
        bins: how many steps it is divided into.

    Raises:
        ValueError: arrays of a wrong shape, more than 64 types, a radius or a number of bins out of bounds.
    """
    places, kinds, vectors = checked_arrays(positions, types, cell)
    if not isinstance(bins, int) or not 0 < bins <= MAX_BINS:
        raise ValueError(f"expected 1 to {MAX_BINS} bins, got {bins!r}")
    if not len(places):
        return Refusal("there are no atoms")
    atoms = cell_list(places, vectors, pbc, radius_angstrom)
    if isinstance(atoms, Refusal):
        return atoms
    width = radius_angstrom / bins
    names, species = species_of(kinds)
    histogram, _ = atoms.counted(species, len(names), width, bins)
    both = (histogram + histogram.transpose(1, 0, 2)).astype(float)
    radii = width * (np.arange(bins) + 0.5)
    share = _in_steps(atoms, width, bins)
    numbers = np.bincount(species).astype(float)
    partial = {
        (int(names[i]), int(names[j])): both[i, j] / (numbers[i] * numbers[j] * share)
        for i in range(len(names))
        for j in range(i, len(names))
    }
    count, together = float(len(places)), both.sum(axis=(0, 1))
    thickness = thickness_of(atoms) if atoms.periodic == 2 else None
    volume = _volume(atoms)
    return PairCorrelation(
        radius_angstrom=radii,
        total=together / (count**2 * share),
        partial=partial,
        pairs_per_atom=together / count,
        thickness_angstrom=thickness,
        density=count / volume if volume > 0 else None,
    )


def first_peak(g: PairCorrelation) -> tuple[float, float] | None:
    """Where the first peak of g is, in angstrom, and how high; None where there is none.

    It is the highest bin within 0.6 angstrom from where g first exceeds 1, and its place the mean distance of the pairs
    in it and in the adjacent bins.
    """
    above = np.flatnonzero(g.total > 1.0)
    if not len(above):
        return None
    near = g.radius_angstrom - g.radius_angstrom[above[0]]
    top = int(np.where((near >= 0) & (near <= PEAK_ANGSTROM), g.total, 0.0).argmax())
    around = slice(max(0, top - 1), top + 2)
    place = np.average(g.radius_angstrom[around], weights=g.pairs_per_atom[around])
    return float(place), float(g.total[top])


def shell_share(atoms: CellList, radii: Floats) -> Floats:
    """Chance per angstrom (B,) that a second atom of an ideal gas lies at each distance from the first.

    It is s(r) / V. With three periodic directions s = 4 pi r^2. In a slab of thickness h a sphere loses a part: a
    direction at angle t to the normal is inside for the share 1 - r |cos t| / h of all places, whose mean over
    directions gives s = 4 pi r^2 (1 - r / 2h) up to r = h and 2 pi r h beyond, so s / V becomes 2 pi r / area there and
    holds for a flat layer too. With fewer periodic directions the gas fills a box about the atoms, and the mean over
    directions is taken by numbers.
    """
    volume = _volume(atoms)
    if atoms.periodic == 3:
        return 4.0 * math.pi * radii**2 / volume
    widths = _widths(atoms)
    if atoms.periodic == 2:
        thick = widths[0]
        area = float(np.linalg.norm(np.cross(atoms.frame[0], atoms.frame[1])))
        inside = 2.0 * radii**2 * (1.0 - radii / (2.0 * max(thick, 1e-12))) / max(thick, 1e-12)
        return 2.0 * math.pi / area * np.where(radii < thick, inside, radii)
    across = np.abs(_directions() @ atoms.frame[atoms.periodic :].T) / np.maximum(widths, 1e-12)
    left = np.clip(1.0 - radii[:, None, None] * across, 0.0, None).prod(axis=2).mean(axis=1)
    with np.errstate(divide="ignore"):
        share: Floats = 4.0 * math.pi * radii**2 * left / volume
    return share


def _in_steps(atoms: CellList, width: float, bins: int) -> Floats:
    """The chance (B,) that a second atom lies in each step: `shell_share` integrated by Simpson's rule."""
    shares = shell_share(atoms, width * 0.5 * np.arange(2 * bins + 1))
    return width * (shares[:-1:2] + 4.0 * shares[1::2] + shares[2::2]) / 6.0


def thickness_of(atoms: CellList) -> float:
    """How thick a slab the atoms take up, in angstrom, where two directions are periodic.

    It is the width of an even density whose middle 98 % of the atoms lie as far apart: without the strays.
    """
    return float(_widths(atoms)[0])


def _widths(atoms: CellList) -> Floats:
    """Widths (D,) of the atoms along the directions that are not periodic."""
    heights = atoms.points @ atoms.frame[atoms.periodic :].T
    low, high = np.quantile(heights, [0.5 - CORE_SHARE / 2, 0.5 + CORE_SHARE / 2], axis=0)
    return np.asarray((high - low) / CORE_SHARE)


def _volume(atoms: CellList) -> float:
    held = atoms.frame[: atoms.periodic]
    spanned = math.sqrt(float(np.linalg.det(held @ held.T))) if len(held) else 1.0
    return spanned * (float(np.prod(_widths(atoms))) if atoms.periodic < 3 else 1.0)


def _directions() -> Floats:
    """Evenly spread unit vectors (D, 3): a Fibonacci spiral on the sphere."""
    step = np.arange(DIRECTIONS) + 0.5
    height, turn = 1.0 - 2.0 * step / DIRECTIONS, math.pi * (1.0 + math.sqrt(5.0)) * step
    flat = np.sqrt(1.0 - height**2)
    return np.column_stack([flat * np.cos(turn), flat * np.sin(turn), height])
