"""Whether a prepared layer is molten, so that nothing is said of recrystallization that never melted (pure)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_worker.models.growth_model import Configuration, Molten

NEIGHBOURS: Final = 6

Floats = npt.NDArray[np.floating]


class NotMolten(Exception):
    """A prepared layer is still, or again, a crystal; the text says how ordered it is and what to change."""


def refuse_crystal(snapshot: Configuration, molten: Molten) -> None:
    """Nothing if the layer is as disordered as it must be. Raises NotMolten."""
    order = hexatic_order(snapshot.positions[snapshot.types == molten.layer_type, :2], snapshot.cell[:2, :2])
    if order > molten.max_order:
        raise NotMolten(
            f"expected a molten upper layer of |psi6| at most {molten.max_order:g} at step {molten.step} of the "
            f"preparation, got {order:.2f}; melt it hotter or longer, or choose another preparation_seed"
        )


def hexatic_order(places: Floats, cell: Floats) -> float:
    """|psi6| in [0, 1] of atoms in a plane: 1 for a triangular lattice, about 1/sqrt(n) for n disordered ones.

    The mean over atoms of exp(6 i phi) over the directions phi to the six nearest atoms (Nelson and Halperin, Phys.
    Rev. B 19, 2457, 1979). Atoms without order are not few neighbours but wrong ones, so six are taken wherever
    they lie. (The analyzer counts neighbours within a radius instead, which a vacancy disturbs less.)

    Args:
        places: (n, 2), in angstrom; fewer than seven atoms have no order, 0.
        cell: rows a and b of the periodic cell, (2, 2), in angstrom.
    """
    from scipy.spatial import cKDTree  # a fifth of a worker's start, for the few runs that prepare

    count = len(places)
    if count <= NEIGHBOURS:
        return 0.0
    inside = places - np.floor(places @ np.linalg.inv(cell)) @ cell
    steps = np.array([(i, j) for i in (0, -1, 1) for j in (0, -1, 1)])
    images = (inside + (steps @ cell)[:, None, :]).reshape(-1, 2)
    _, nearest = cKDTree(images).query(inside, k=NEIGHBOURS + 1)
    x, y = np.moveaxis(images[nearest[:, 1:]] - inside[:, None, :], -1, 0)
    waves = np.exp(6j * np.arctan2(y, x))
    return float(np.abs(waves.mean()))
