"""Bilayers in a small cell that is sheared: lattices as runs tell them, and their twists."""

from __future__ import annotations

import numpy as np

from moireloop_optimizer.auto.twist_process import Floats

HEXAGONAL = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
CELL_ANGSTROM = 38.0
LATTICE_ANGSTROM = 3.16


def bilayers(shear: Floats, lower_deg: Floats, upper_deg: Floats) -> tuple[Floats, Floats]:
    """Lattices (N, 3, 2, 2) and twists (N,) in degrees of layers that were turned, then sheared with their cell.

    The shear (N,) is along x. Both are deformed alike, so that they have the twist of the sheared lattices.
    """
    sheared = np.array([[[1.0, 0.0], [gamma, 1.0]] for gamma in shear])
    lower, upper = (LATTICE_ANGSTROM * HEXAGONAL @ _turns(turned) @ sheared for turned in (lower_deg, upper_deg))
    lattices = np.stack([CELL_ANGSTROM * HEXAGONAL @ sheared, lower, upper], axis=1)
    return lattices, np.array([_twist_deg(*both) for both in zip(lower, upper, strict=True)])


def _turns(turned_deg: Floats) -> Floats:
    """(N, 2, 2) matrices that turn rows counter-clockwise."""
    cos, sin = np.cos(np.radians(turned_deg)), np.sin(np.radians(turned_deg))
    return np.array([[[c, s], [-s, c]] for c, s in zip(cos, sin, strict=True)])


def _twist_deg(lower: Floats, upper: Floats) -> float:
    """By singular values, another way to the rotation part of a polar decomposition."""
    turned = []
    for vectors in (lower, upper):
        left, _, right = np.linalg.svd(np.linalg.inv(HEXAGONAL) @ vectors)
        rotation = left @ right
        turned.append(np.degrees(np.arctan2(rotation[0, 1], rotation[0, 0])))
    return float(abs((turned[1] - turned[0] + 30.0) % 60.0 - 30.0))
