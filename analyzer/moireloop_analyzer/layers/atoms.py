"""The lattice atoms of a frame, turned into the axes of its box and wrapped into it (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Box, Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.refusal import Refusal

MAX_POSITION_ANGSTROM: Final = 1e8

SAMPLED_ATOMS: Final = 100

GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0
"""Multiples of the golden section fall evenly and in no step with the order in which atoms are listed."""


def atoms_of(positions: Floats, types: Ints, wanted: Sequence[int], box: Box) -> tuple[Ints, Floats] | Refusal:
    """Indices (M,) of the atoms of these types, and their positions (M, 3) in the box, inside it where it repeats.

    Refused, for any atom of the frame: positions that are not finite, or too far away to be distinguished.
    """
    chosen, points, broken, far = _lattice_atoms(
        positions, types, np.array(wanted, dtype=np.int64), box.axes, box.plane, box.inverse, box.periodic
    )
    if broken:
        return Refusal(f"{broken} of {len(positions)} positions are not finite")
    if far:
        return Refusal(f"atoms lie more than {MAX_POSITION_ANGSTROM:g} angstrom from the origin")
    return chosen, points


def inside(positions: Floats, box: Box) -> Floats:
    """Positions (M, 3), all finite, in the axes of the box, inside it where it repeats in the plane."""
    everything = np.zeros(len(positions), dtype=np.int64)
    chosen = _lattice_atoms(positions, everything, everything[:1], box.axes, box.plane, box.inverse, box.periodic)
    return chosen[1] if len(positions) else np.empty((0, 3))


def sample_of(positions: Floats, types: Ints, wanted: Sequence[int]) -> Floats:
    """Positions (M, 3) of the atoms of these types, or of SAMPLED_ATOMS of them."""
    return _sampled(positions, types, np.array(wanted, dtype=np.int64))


@compiled
def _sampled(positions: Floats, types: Ints, wanted: Ints) -> Floats:
    chosen = np.empty(len(types), dtype=np.int32)
    count = 0
    for i in range(len(types)):
        for kind in wanted:
            if types[i] == kind:
                chosen[count] = i
                count += 1
    sample = np.empty((min(count, SAMPLED_ATOMS), 3))
    for s in range(len(sample)):
        i = chosen[s] if count <= SAMPLED_ATOMS else chosen[int(GOLDEN * s % 1.0 * count)]
        for axis in range(3):
            sample[s, axis] = positions[i, axis]
    return sample


@compiled
def _lattice_atoms(
    positions: Floats,
    types: Ints,
    wanted: Ints,
    axes: Floats,
    plane: Floats,
    inverse: Floats,
    periodic: tuple[bool, bool],
) -> tuple[Ints, Floats, int, int]:
    count = 0
    broken = 0
    far = 0
    for i in range(len(positions)):
        greatest = abs(positions[i, 0]) + abs(positions[i, 1]) + abs(positions[i, 2])
        if not np.isfinite(greatest):
            broken += 1
        elif greatest > MAX_POSITION_ANGSTROM:
            far += 1
        for kind in wanted:
            count += types[i] == kind
    chosen = np.empty(count, dtype=np.int64)
    points = np.empty((count, 3))
    if broken > 0 or far > 0:
        return chosen, points, broken, far
    n = 0
    for i in range(len(positions)):
        for kind in wanted:
            if types[i] == kind:
                x, y, z = positions[i, 0], positions[i, 1], positions[i, 2]
                u = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
                v = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
                cells_a = np.floor(u * inverse[0, 0] + v * inverse[1, 0]) if periodic[0] else 0.0
                cells_b = np.floor(u * inverse[0, 1] + v * inverse[1, 1]) if periodic[1] else 0.0
                chosen[n] = i
                points[n, 0] = u - cells_a * plane[0, 0] - cells_b * plane[1, 0]
                points[n, 1] = v - cells_a * plane[0, 1] - cells_b * plane[1, 1]
                points[n, 2] = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
                n += 1
    return chosen, points, broken, far
