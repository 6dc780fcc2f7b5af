"""Scrambled Sobol points: the initial design, the strategy `random`, and a stand-in where there is no model (pure).

The points are those of `scipy.stats.qmc.Sobol`, from the direction numbers that scipy ships. They are computed here
because `scipy.stats` takes longer to import than all else that the optimizer needs before its first candidate.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.search import Points

BITS: Final = 30

LONGEST: Final = 2**BITS

MOST_DIMENSIONS: Final = 21201
"""For so many there are direction numbers."""

Whole = npt.NDArray[np.uint32]


def sobol_points(n: int, dimension: int, *, seed: int, index: int = 0) -> Points:
    """(n, dimension) points of a scrambled Sobol sequence in the unit cube, from position `index` on.

    The same seed gives the same sequence, however it is cut into calls. The sequence ends after 2**30 points.
    Source: A. B. Owen, "Scrambling Sobol' and Niederreiter-Xing points", J. Complexity 14, 466 (1998).

    Raises:
        ValueError: a negative n or index, or a position past the end of the sequence; or no dimension, or too many.
    """
    if n < 0 or index < 0 or index + n > LONGEST:
        raise ValueError(f"expected 0 <= index, 0 <= n and index + n <= 2**30, got index {index} and n {n}")
    if not 0 < dimension <= MOST_DIMENSIONS:
        raise ValueError(f"expected from 1 to {MOST_DIMENSIONS} dimensions, got {dimension}")
    columns, first = _scrambled(dimension, seed)
    numbers = np.arange(index, index + n, dtype=np.uint32)
    gray = numbers ^ (numbers >> 1)
    points = np.repeat(first[np.newaxis], n, axis=0)
    for bit in range(int(gray.max(initial=0)).bit_length()):
        points ^= ((gray >> bit) & 1)[:, np.newaxis] * columns[:, bit]
    return points / LONGEST


def _scrambled(dimension: int, seed: int) -> tuple[Whole, Whole]:
    """(dimension, BITS) direction numbers after a linear scramble, and the digital shift (dimension,): point 0."""
    (rng,) = np.random.default_rng(seed).spawn(1)
    low_first = rng.integers(2, size=(dimension, BITS), dtype=np.uint32)
    lower = np.tril(rng.integers(2, size=(dimension, BITS, BITS), dtype=np.uint32))
    lower[:, np.arange(BITS), np.arange(BITS)] = 1
    high_first = _powers()[::-1]
    digits = (_directions(dimension)[:, np.newaxis, :] & high_first[:, np.newaxis]) != 0
    turned = (lower @ digits) % 2
    return np.einsum("dpj,p->dj", turned, high_first), low_first @ _powers()


@cache
def _directions(dimension: int) -> Whole:
    """(dimension, BITS) direction numbers, by their recurrence along a primitive polynomial over two elements.

    Source: S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM Journal
    on Scientific Computing 30, 2635 (2008), section 2.
    """
    found = np.ones((dimension, BITS), dtype=np.uint64)
    if dimension > 1:
        polynomials, first = _table()
        for row in range(1, dimension):
            found[row] = _recurrence(int(polynomials[row]), first[row].tolist())
    scaled: Whole = (found << np.arange(BITS - 1, -1, -1, dtype=np.uint64)).astype(np.uint32)
    return scaled


def _recurrence(polynomial: int, first: list[int]) -> list[int]:
    degree = polynomial.bit_length() - 1
    numbers = first[:degree]
    for place in range(degree, BITS):
        number = numbers[place - degree]
        for back in range(1, degree + 1):
            if polynomial >> (degree - back) & 1:
                number ^= numbers[place - back] << back
        numbers.append(number)
    return numbers


@cache
def _table() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The polynomials (21201,), a bit for each coefficient, and the first direction numbers (21201, 18)."""
    scipy = find_spec("scipy")
    if scipy is None or scipy.origin is None:
        raise ImportError("expected scipy, which has the direction numbers of Sobol sequences")
    with np.load(Path(scipy.origin).parent / "stats" / "_sobol_direction_numbers.npz") as file:
        return file["poly"], file["vinit"]


def _powers() -> Whole:
    """(BITS,) 1, 2, 4 and so on."""
    return np.left_shift(np.uint32(1), np.arange(BITS, dtype=np.uint32))
