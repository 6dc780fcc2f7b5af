"""Six-fold order of the bonds of a layer, and the direction of the lattice around each atom (pure)."""

from __future__ import annotations

import math

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled


@compiled
def _psi6(points: Floats, table: Ints, codes: Ints, counts: Ints, moves: Floats) -> Floats:
    psi6 = np.zeros((len(points), 2))
    for i in range(len(points)):
        real = imaginary = 0.0
        for k in range(counts[i]):
            j, code = table[i, k], codes[i, k]
            x = points[j, 0] + moves[code, 0] - points[i, 0]
            y = points[j, 1] + moves[code, 1] - points[i, 1]
            x2, y2 = x * x - y * y, 2.0 * x * y
            x6, y6 = x2 * (x2 * x2 - 3.0 * y2 * y2), y2 * (3.0 * x2 * x2 - y2 * y2)
            r2 = x * x + y * y
            r6 = r2 * r2 * r2
            real += x6 / r6
            imaginary += y6 / r6
        if counts[i] > 0:
            psi6[i, 0] = real / counts[i]
            psi6[i, 1] = imaginary / counts[i]
    return psi6


@compiled
def _smoothed(values: Floats, table: Ints, counts: Ints) -> Floats:
    smooth = np.empty((len(values), 2))
    for i in range(len(values)):
        real, imaginary = values[i, 0], values[i, 1]
        for k in range(counts[i]):
            real += values[table[i, k], 0]
            imaginary += values[table[i, k], 1]
        smooth[i, 0] = real / (counts[i] + 1)
        smooth[i, 1] = imaginary / (counts[i] + 1)
    return smooth


@compiled
def orders(points: Floats, table: Ints, codes: Ints, counts: Ints, moves: Floats) -> tuple[Floats, Floats, float]:
    """psi6 of each atom of a layer and of its surroundings, (N, 2) as real and imaginary part, and |psi6| of the layer.

    The arguments are the parts of `Bonds`. An atom's is the mean of exp(6 i phi) over its bonds, 0 without any: Nelson
    and Halperin, Phys. Rev. B 19, 2457 (1979). Its phase over six is the direction of the bonds. That of the
    surroundings is averaged over each atom and its neighbours, and once more over their averages. That of the layer, in
    [0, 1], is the modulus of the mean over atoms, so grains of different orientation cancel: 1 for a perfect triangular
    lattice, near 0 for none.
    """
    psi6 = _psi6(points, table, codes, counts, moves)
    around = _smoothed(_smoothed(psi6, table, counts), table, counts)
    real = imaginary = 0.0
    for i in range(len(psi6)):
        real += psi6[i, 0]
        imaginary += psi6[i, 1]
    return psi6, around, min(1.0, math.hypot(real, imaginary) / len(psi6))
