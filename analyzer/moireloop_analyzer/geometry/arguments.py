"""What callers give to the measurements, checked once: arrays, flags and types (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.int64]

MAX_TYPE: Final = 2**53


def checked_arrays(positions: npt.ArrayLike, types: npt.ArrayLike, cell: npt.ArrayLike) -> tuple[Floats, Ints, Floats]:
    """Positions (N, 3), types (N,) and cell (3, 3) as contiguous float64, int64 and float64.

    Raises:
        ValueError: a wrong shape, positions or a cell that are no real numbers, types that are no whole numbers.
    """
    places, vectors, kinds = _numbers("positions", positions), _numbers("cell", cell), np.asarray(types)
    if places.ndim != 2 or places.shape[1] != 3:
        raise ValueError(f"expected positions of shape (N, 3), got {places.shape}")
    if kinds.shape != (len(places),):
        raise ValueError(f"expected types of shape ({len(places)},), got {kinds.shape}")
    if vectors.shape != (3, 3):
        raise ValueError(f"expected a cell of shape (3, 3), got {vectors.shape}")
    return places, _whole_numbers(kinds), vectors


def checked_flags(pbc: Sequence[bool]) -> tuple[bool, bool, bool]:
    """Which of a, b, c are periodic. Raises ValueError for anything but three flags."""
    flags = np.asarray(pbc)
    if flags.shape != (3,) or flags.dtype.kind not in "biu":
        raise ValueError(f"expected three flags in pbc, got {pbc!r}")
    return bool(flags[0]), bool(flags[1]), bool(flags[2])


def checked_types(name: str, types: Sequence[int]) -> tuple[int, ...]:
    """Each type of an argument of this name once. Raises ValueError for what are no whole numbers below 2^53."""
    try:
        unique = {index(kind) for kind in types}
    except TypeError:
        raise ValueError(f"expected whole numbers in {name}, got {types!r}") from None
    if any(abs(kind) > MAX_TYPE for kind in unique):
        raise ValueError(f"expected whole numbers of at most {MAX_TYPE} in {name}, got {types!r}")
    return tuple(sorted(unique))


def _numbers(name: str, values: npt.ArrayLike) -> Floats:
    given = np.asarray(values)
    if given.dtype.kind not in "iuf" and given.size:
        raise ValueError(f"expected {name} that are real numbers, got {given.dtype}")
    return np.ascontiguousarray(given, dtype=np.float64)


def _whole_numbers(kinds: npt.NDArray[Any]) -> Ints:
    if kinds.dtype.kind not in "iuf" and kinds.size:
        raise ValueError(f"expected types that are whole numbers, got {kinds.dtype}")
    whole = kinds.dtype.kind != "f" or (np.isfinite(kinds).all() and np.array_equal(kinds, np.floor(kinds)))
    wide = kinds.dtype.itemsize > 4 and kinds.dtype != np.int64 and kinds.size and np.abs(kinds).max() > MAX_TYPE
    if not whole or wide:
        raise ValueError(f"expected types that are whole numbers, got {kinds.dtype}")
    return kinds.astype(np.int64, copy=False)
