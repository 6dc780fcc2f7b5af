"""R-like or H-like: on which side of its metal lattice each layer has its chalcogen atoms (pure).

In the trigonal prisms of MX2 both chalcogen atoms of a metal atom lie over the same one of the two hollow sites of the
metal lattice. Which one it is tells a layer from the same layer turned by 60 degrees, which the metal atoms do not.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.box import Floats
from moireloop_analyzer.compiled import compiled
from moireloop_analyzer.crystal import Crystal
from moireloop_analyzer.lattice import inverse_of
from moireloop_analyzer.neighbours import Ints

MIN_CONTRAST: Final = 0.2
"""Smallest mean contrast between the two hollow sites, of 1 in a perfect layer, from which the side is known."""

SAME_DEG: Final = 1e-3

NEAR: Final = 0.8
"""Metal atoms so near in the plane, in lattice constants, are asked; the hollow is 0.58 from three of them."""

NEAR_HEIGHT_ANGSTROM: Final = 2.6
"""A layer's own chalcogen atoms are 1.6 angstrom above or below its metal atoms, the other layer's more than 4."""


def stacking_of(lower: Crystal, upper: Crystal, chalcogens: Floats) -> Literal["R", "H"] | None:
    """ "R" where the layers are parallel but for a twist of up to 30 degrees, "H" where they are antiparallel.

    None where the chalcogen atoms of a layer are absent, disordered, or on both sides (the 1T phase), and where the
    twist is 30 degrees within two standard errors: parallel layers turned by 30 degrees are antiparallel layers turned
    by -30. The chalcogen atoms are given by their positions (M, 3) in the box, wrapped into it.
    """
    sides = [_side_of(crystal, chalcogens) for crystal in (lower, upper)]
    if min(abs(side) for side in sides) < MIN_CONTRAST:
        return None
    turned_deg = math.degrees(upper.fit.rotation_rad - lower.fit.rotation_rad)
    if sides[0] * sides[1] < 0:
        turned_deg += 60.0
    beyond_deg = abs(turned_deg - 120.0 * round(turned_deg / 120.0)) - 30.0
    sigma_deg = math.degrees(math.hypot(lower.fit.sigma_rad, upper.fit.sigma_rad))
    if abs(beyond_deg) <= max(2.0 * sigma_deg, SAME_DEG):
        return None
    return "R" if beyond_deg < 0 else "H"


def _side_of(crystal: Crystal, chalcogens: Floats) -> float:
    """Mean contrast, in [-1, 1], of a layer's chalcogen atoms: 1 where all are a third of the way along a1 + a2."""
    if not len(chalcogens):
        return 0.0
    bonds, fit = crystal.bonds, crystal.fit
    bins = bonds.bins
    in_grain = np.zeros(len(bonds.points), dtype=np.bool_)
    in_grain[fit.atoms] = True
    contrast, asked = _contrast(
        chalcogens,
        bonds.points,
        crystal.heights,
        in_grain,
        bonds.starts,
        *bins.search,
        inverse_of(fit.vectors),
        (NEAR * fit.constant_angstrom) ** 2,
    )
    return contrast / asked if asked else 0.0


@compiled
def _contrast(
    chalcogens: Floats,
    points: Floats,
    heights: Floats,
    in_grain: npt.NDArray[np.bool_],
    starts: Ints,
    counts: tuple[int, int],
    low: tuple[float, float],
    per: tuple[float, float],
    reach: tuple[int, int],
    most: tuple[int, int],
    periodic: tuple[bool, bool],
    inverse: Floats,
    moves: Floats,
    to_steps: Floats,
    longest2: float,
) -> tuple[float, int]:
    contrast = 0.0
    asked = 0
    lowest, highest = heights.min() - NEAR_HEIGHT_ANGSTROM, heights.max() + NEAR_HEIGHT_ANGSTROM
    for i in range(len(chalcogens)):
        x, y = chalcogens[i, 0], chalcogens[i, 1]
        if chalcogens[i, 2] < lowest or chalcogens[i, 2] > highest:
            continue
        row = min(max(int((x * inverse[0, 0] + y * inverse[1, 0] - low[0]) * per[0]), 0), counts[0] - 1)
        column = min(max(int((x * inverse[0, 1] + y * inverse[1, 1] - low[1]) * per[1]), 0), counts[1] - 1)
        for r in range(row - reach[0], row + reach[0] + 1):
            cell_a = r // counts[0]
            if cell_a != 0 and not periodic[0]:
                continue
            for c in range(column - reach[1], column + reach[1] + 1):
                cell_b = c // counts[1]
                if cell_b != 0 and not periodic[1]:
                    continue
                code = (cell_a + most[0]) * (2 * most[1] + 1) + cell_b + most[1]
                place = (r - cell_a * counts[0]) * counts[1] + c - cell_b * counts[1]
                for j in range(starts[place], starts[place + 1]):
                    dx = x - points[j, 0] - moves[code, 0]
                    dy = y - points[j, 1] - moves[code, 1]
                    if not in_grain[j] or dx * dx + dy * dy > longest2:
                        continue
                    if abs(chalcogens[i, 2] - heights[j]) > NEAR_HEIGHT_ANGSTROM:
                        continue
                    m = 2.0 * np.pi * (to_steps[0, 0] * dx + to_steps[0, 1] * dy)
                    n = 2.0 * np.pi * (to_steps[1, 0] * dx + to_steps[1, 1] * dy)
                    contrast += (np.sin(m) + np.sin(n) - np.sin(m + n)) / (1.5 * np.sqrt(3.0))
                    asked += 1
    return contrast, asked
