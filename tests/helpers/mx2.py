"""MX2 bilayers with all their atoms, on lattices that are known by construction."""

from __future__ import annotations

import numpy as np

from tests.helpers.bilayers import BASIS, Bilayer, Floats, commensurate, commensurate_twist_deg, rotation

HALF_THICKNESS = 1.57
"""Height of the chalcogens above and below the metals: with a = 3.16 the bond is 2.407 angstrom."""

LOWER_M, LOWER_X, UPPER_M, UPPER_X = 1, 2, 3, 4
METALS, CHALCOGENS = (LOWER_M, UPPER_M), (LOWER_X, UPPER_X)
MOS2 = {LOWER_M: "Mo", LOWER_X: "S", UPPER_M: "Mo", UPPER_X: "S"}


def lattices_of(m: int, n: int) -> tuple[Floats, Floats]:
    """Lattice vectors (2, 2), as columns, of the layers of `mx2(m, n)`; the upper one is turned by up to 30 degrees."""
    twist = commensurate_twist_deg(m, n)
    return BASIS, rotation(twist) @ BASIS


def mx2(m: int, n: int, repeats: int = 1, *, stacking: str = "R") -> Bilayer:
    """The commensurate bilayer (m, n), 0 <= n < m, with chalcogens over a third of each metal lattice's triangles.

    R-like: the chalcogens of both layers are on the same side of the metals, apart from the twist; H-like: the upper
    layer is turned by a further half turn.
    """
    metals = commensurate(m, n, repeats)
    lower, upper = lattices_of(m, n)
    sites = [metals.positions[metals.types == layer] for layer in (1, 2)]
    steps = [lower.sum(axis=1) / 3.0, upper.sum(axis=1) / 3.0 * (1.0 if stacking == "R" else -1.0)]
    atoms, types = [], []
    for layer, (places, step) in enumerate(zip(sites, steps, strict=True)):
        atoms.append(places)
        types.append(np.full(len(places), 2 * layer + 1))
        for height in (-HALF_THICKNESS, HALF_THICKNESS):
            atoms.append(places + np.append(step, height))
            types.append(np.full(len(places), 2 * layer + 2))
    return Bilayer(np.concatenate(atoms), np.concatenate(types), metals.cell)
