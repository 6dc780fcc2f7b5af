"""How ordered a layer is: |psi6| of its bonds, and the sharpness of the nearest-neighbour peak (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.neighbours import Floats, Pairs, pairs_within

SEED_WINDOW_ANGSTROM: Final = (2.4, 2.6)
SEED_CUTOFF_ANGSTROM: Final = 3.0


def bond_order(bonds: Pairs, atoms: int) -> npt.NDArray[np.complex128]:
    """psi6 of each atom, shape (atoms,): the mean of exp(6 i phi) over its bonds, 0 where it has none.

    Nelson and Halperin, Phys. Rev. B 19, 2457 (1979). Its phase over six is the direction of the bonds.
    """
    x, y = bonds.vectors.T
    sixfold = (x + 1j * y) ** 6
    length = np.abs(sixfold)
    waves = np.divide(sixfold, length, out=np.zeros_like(sixfold), where=length > 0)
    ends = np.concatenate([bonds.first, bonds.second])
    both = np.concatenate([waves, waves])
    total: npt.NDArray[np.complex128] = np.bincount(ends, both.real, atoms) + 1j * np.bincount(ends, both.imag, atoms)
    total /= np.maximum(np.bincount(ends, minlength=atoms), 1)
    return total


def layer_order(bonds: Pairs, atoms: int) -> float:
    """|psi6| of a layer, in [0, 1]: 1 for a perfect triangular lattice, near 0 for a disordered layer.

    It is the modulus of the mean over atoms, so grains of different orientation cancel.
    """
    return min(1.0, float(np.abs(bond_order(bonds, atoms).mean()))) if atoms else 0.0


def first_peak_share(
    positions: Floats,
    cell: Floats,
    pbc: Sequence[bool],
    *,
    window_angstrom: tuple[float, float] = SEED_WINDOW_ANGSTROM,
    cutoff_angstrom: float = SEED_CUTOFF_ANGSTROM,
) -> float:
    """The seed's order parameter as a share in [0, 1]: pairs inside the window over pairs inside the cutoff.

    Positions (N, 3) and cell (3, 3) are in angstrom. The seed counts the pairs in 2.4 to 2.6 angstrom, where the
    Mo-S bond of pristine MoS2 lies, of the pair correlation up to 3 angstrom; the share does not grow with N. It
    is 0 without pairs.
    """
    distances = np.linalg.norm(pairs_within(positions, cell, pbc, cutoff_angstrom).vectors, axis=1)
    low, high = window_angstrom
    inside = np.count_nonzero((distances >= low) & (distances <= high))
    return inside / len(distances) if len(distances) else 0.0
