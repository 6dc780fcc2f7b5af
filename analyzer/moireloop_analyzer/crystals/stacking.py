"""R-like or H-like: on which side of its metal lattice each layer has its chalcogen atoms (pure).

In the trigonal prisms of MX2 both chalcogen atoms of a metal atom lie over the same one of the two hollow sites of the
metal lattice. That site distinguishes a layer from the same layer turned by 60 degrees; the metal atoms do not.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np

from moireloop_analyzer.crystals.crystal import Crystal
from moireloop_analyzer.geometry.bins import Ints, bin_of, find_runs, runs_for
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled

MIN_CONTRAST: Final = 0.2
"""Smallest mean contrast between the two hollow sites, of 1 in a perfect layer, from which the side is known."""

SAME_DEG: Final = 1e-3

NEAR: Final = 0.8
"""Metal atoms so near in the plane, in lattice constants, are asked; the hollow is 0.58 from three of them."""

NEAR_HEIGHT_ANGSTROM: Final = 2.6
"""A layer's own chalcogen atoms are 1.6 angstrom above or below its metal atoms, the other layer's more than 4."""


def stacking_of(lower: Crystal, upper: Crystal, chalcogens: Floats) -> Literal["R", "H"] | None:
    """ "R" where the layers are parallel apart from a twist of up to 30 degrees, "H" where they are antiparallel.

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
    bonds, fit = crystal.bonds, crystal.fit
    return _contrast(
        chalcogens,
        bonds.points,
        bonds.heights,
        fit.atoms,
        bonds.bins.grid,
        bonds.bins.frame,
        bonds.bins.starts,
        bonds.bins.moves,
        fit.vectors,
        (NEAR * fit.constant_angstrom) ** 2,
    )


@compiled
def _contrast(
    chalcogens: Floats,
    points: Floats,
    heights: Floats,
    atoms: Ints,
    grid: Ints,
    frame: Floats,
    starts: Ints,
    moves: Floats,
    vectors: Floats,
    longest2: float,
) -> float:
    in_grain = np.zeros(len(points), dtype=np.bool_)
    lowest, highest = np.inf, -np.inf
    for i in atoms:
        in_grain[i] = True
        lowest, highest = min(lowest, heights[i]), max(highest, heights[i])
    xx, xy, yx, yy = vectors[0, 0], vectors[0, 1], vectors[1, 0], vectors[1, 1]
    per_step = 2.0 * math.pi / (xx * yy - xy * yx)
    contrast = 0.0
    asked = 0
    runs = runs_for(grid)
    for i in range(len(chalcogens)):
        x, y, z = chalcogens[i, 0], chalcogens[i, 1], chalcogens[i, 2]
        if z < lowest - NEAR_HEIGHT_ANGSTROM or z > highest + NEAR_HEIGHT_ANGSTROM:
            continue
        count = find_runs(bin_of(x, y, grid, frame), grid, starts, runs)
        for r in range(count):
            code = runs[r, 2]
            for j in range(runs[r, 0], runs[r, 1]):
                dx = x - points[j, 0] - moves[code, 0]
                dy = y - points[j, 1] - moves[code, 1]
                far = dx * dx + dy * dy > longest2
                if far or not in_grain[j] or abs(z - heights[j]) > NEAR_HEIGHT_ANGSTROM:
                    continue
                m, n = per_step * (yy * dx - xy * dy), per_step * (xx * dy - yx * dx)
                contrast += math.sin(m) + math.sin(n) - math.sin(m + n)
                asked += 1
    return contrast / (1.5 * math.sqrt(3.0) * asked) if asked > 0 else 0.0
