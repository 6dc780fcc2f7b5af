"""Frames of layers that are crystals, but neither triangular lattices nor honeycombs, and what their reason names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.helpers import tilings
from tests.helpers.bilayers import Bilayer
from tests.helpers.corpus.build import Case, undirected
from tests.helpers.corpus.plan import Plan, Rng
from tests.helpers.tilings import Tiling

Draw = Callable[[Rng], Tiling]

BONDS_ACROSS = 9.0
SMALL_CELLS = 60


def _bond(rng: Rng) -> float:
    return float(rng.uniform(1.5, 3.6))


def kagome(rng: Rng) -> Tiling:
    """An empty quarter."""
    return tilings.kagome(_bond(rng))


def square(rng: Rng) -> Tiling:
    """Four neighbours."""
    return tilings.square(_bond(rng))


def rectangular(rng: Rng) -> Tiling:
    """One side longer by 10 % to 120 %."""
    return tilings.rectangular(_bond(rng), float(rng.uniform(1.1, 2.2)))


def ordered_gaps(rng: Rng) -> Tiling:
    """One site in five to nine empty, on a regular lattice."""
    cells = [((1, 2), (-2, 1)), ((2, 0), (0, 3)), ((2, 1), (-1, 3)), ((2, 0), (0, 4)), ((3, 0), (0, 3))]
    return tilings.with_ordered_gaps(_bond(rng), cells[rng.integers(len(cells))])


def dimerised(rng: Rng) -> Tiling:
    """The metal atoms of 1T' MoS2 and WTe2."""
    a, moved = float(rng.uniform(3.15, 3.5)), float(rng.uniform(0.25, 0.45))
    return tilings.dimerised(a, a * float(rng.uniform(1.75, 1.82)), moved, float(rng.uniform(0.0, 0.2)))


def mixed_polygons(rng: Rng) -> Tiling:
    """Tilings by squares, triangles and larger polygons."""
    kinds = (tilings.snub_square, tilings.elongated, tilings.octagons, tilings.lieb, tilings.stars)
    return kinds[rng.integers(len(kinds))](_bond(rng))


def puckered(rng: Rng) -> Tiling:
    """Zigzag chains in two planes, as in black phosphorus: 2.1 angstrom apart, or 0.6 to 0.9."""
    if rng.random() < 0.5:
        return tilings.phosphorene()
    return tilings.phosphorene(float(rng.uniform(0.6, 0.9)), 4.5, 3.3, 1.4)


def two_planes(rng: Rng) -> Tiling:
    """Two planes of atoms in one layer, above each other or not, as the metals of GaSe and InSe."""
    tiling = tilings.triangular(float(rng.uniform(3.6, 4.2)))
    shift = tiling.vectors.sum(axis=1) / 3.0 if rng.random() < 0.3 else None
    return tilings.doubled(tiling, float(rng.uniform(2.4, 3.0)), shift)


OTHERS: dict[str, tuple[Draw, tuple[str, ...]]] = {
    "kagome": (kagome, ("kagome lattice",)),
    "square": (square, ("square lattice",)),
    "rectangular": (rectangular, ("rectangular lattice",)),
    "ordered-gaps": (ordered_gaps, ("in a regular order",)),
    "dimerised": (dimerised, ("1T' phase", "lattice with 2 atoms")),
    "mixed-polygons": (mixed_polygons, ("lattice with",)),
    "puckered": (puckered, ("puckered", "2 planes of atoms", "rhombic lattice with 2 atoms")),
    "two-planes": (two_planes, ("2 planes of atoms", "one above the other, in two planes")),
}
"""How a layer of each family is drawn, and words of which its reason has one."""


def other(draw: Draw) -> Callable[[Rng, Plan], Case]:
    """A kind of frame with such a layer below, above, or both; as flakes, or both as a cell that repeats."""

    def kind(rng: Rng, plan: Plan) -> Case:
        tiling = draw(rng)
        bond, seed = tilings.shortest(tiling), int(rng.integers(2**31))
        noise, vacancies = float(rng.uniform(0.0, 0.03)) * bond, float(rng.uniform(0.0, 0.03))
        if rng.random() < 0.4:
            side = max(3, round((SMALL_CELLS * rng.uniform(1.0, 3.0) / len(tiling.basis)) ** 0.5))
            bilayer = tilings.stacked_blocks(tiling, (side, side + 1), noise=noise, vacancies=vacancies, seed=seed)
        else:
            pair = [tiling, tiling]
            if (which := int(rng.integers(3))) < 2:
                pair[which] = tilings.triangular() if rng.random() < 0.5 else tilings.honeycomb()
            twist_deg, turn_deg = rng.uniform(-30.0, 30.0, 2)
            bilayer = tilings.stacked_flakes(
                pair[0],
                pair[1],
                float(twist_deg),
                radius=BONDS_ACROSS * max(bond, 1.42),
                turn_deg=float(turn_deg),
                noise=noise,
                vacancies=vacancies,
                seed=seed,
            )
        return _case_of(bilayer, rng, plan)

    return kind


def _case_of(bilayer: Bilayer, rng: Rng, plan: Plan) -> Case:
    case = undirected(replace(plan, chalcogens=False, atoms=30, boundary="flake"), rng)
    upper = bilayer.types == 2
    nothing = np.zeros(len(upper), dtype=bool)
    return replace(case, bilayer=bilayer, upper=upper, majority=nothing, metal_types=(1, 2), chalcogen_types=())
