"""How ordered a layer is: |psi6| of its bonds (pure)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.neighbours import Pairs


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
