"""The directions in which the parts of a layer are turned: one in a crystal, several in a polycrystal (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.bins import Ints
from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.layers.neighbours import Bonds
from moireloop_analyzer.layers.order import orders

SLOTS: Final = 240
"""Divisions of the sixth of a turn, a quarter of a degree each."""

MIN_ALIGNED: Final = 0.15
"""Smallest |psi6| of the surroundings of an atom at which it has a direction."""

SMOOTHING_DEG: Final = 0.75

MOST_SMOOTHING_DEG: Final = 3.0

SADDLE: Final = 0.6
"""Two peaks are one where the valley between them is higher than this share of the lower one."""

LEAST_SHARE: Final = 0.02

WIDEST_DEG: Final = 10.0


@dataclass(frozen=True)
class Directions:
    """Directions shared by at least a fiftieth of the atoms of a layer, the commonest first.

    `shared` has for each the angle in radians, in [0, pi / 3), and a mask (N,) of the atoms that are turned this way.
    With a single direction all atoms are in its mask, including atoms without a direction of their own. `psi6` (N, 2)
    belongs to each atom and `order`, in [0, 1], to the layer (see `orders`).
    """

    psi6: Floats
    order: float
    shared: list[tuple[float, npt.NDArray[np.bool_]]]


def directions_of(bonds: Bonds) -> Directions:
    """The order of a layer, and the directions of its bonds."""
    psi6, order, slots, counts, smooth, candidates = _directed(
        bonds.points, bonds.table, bonds.codes, bonds.counts, bonds.bins.moves
    )
    return Directions(psi6, order, _shared(slots, counts, smooth, candidates))


def _shared(slots: Ints, counts: Floats, smooth: Floats, candidates: Ints) -> list[tuple[float, npt.NDArray[np.bool_]]]:
    if not len(candidates):
        return []
    peaks = _peaks(smooth, candidates)
    if len(peaks) == 1:
        return [(_angle(peaks[0]), np.ones(len(slots), dtype=np.bool_))]
    owners = _owners(smooth, peaks)
    sizes = np.array([counts[owners == peak].sum() for peak in peaks])
    chosen = [int(k) for k in np.argsort(-sizes, kind="stable") if sizes[k] >= max(4, LEAST_SHARE * len(slots))]
    lookup = np.append(owners, -1)
    return [(_angle(peaks[k]), lookup[slots] == peaks[k]) for k in chosen]


def _angle(slot: int) -> float:
    return (slot + 0.5) * math.pi / 3.0 / SLOTS


def _peaks(smooth: Floats, candidates: Ints) -> list[int]:
    """Slots of the peaks that valleys part from all higher ones."""
    found: list[int] = []
    for slot in sorted(candidates.tolist(), key=lambda slot: -smooth[slot]):
        if all(_saddle(smooth, slot, higher) < SADDLE * smooth[slot] for higher in found):
            found.append(slot)
    return found


def _saddle(smooth: Floats, one: int, other: int) -> float:
    """Height of the higher of the two valleys between two slots of the circle."""
    low, high = min(one, other), max(one, other)
    return max(float(smooth[low : high + 1].min()), float(np.append(smooth[high:], smooth[: low + 1]).min()))


def _owners(smooth: Floats, peaks: list[int]) -> Ints:
    """The peak that each slot is of: the one to which it climbs, or -1 if that is too far."""
    owners = np.full(SLOTS, -1, dtype=np.int64)
    for slot in range(SLOTS):
        distances = [min((slot - peak) % SLOTS, (peak - slot) % SLOTS) for peak in peaks]
        near = [k for k in range(len(peaks)) if distances[k] * 60.0 / SLOTS <= WIDEST_DEG]
        if near:
            owners[slot] = peaks[max(near, key=lambda k: (_valley(smooth, slot, peaks[k]), -distances[k]))]
    return owners


def _valley(smooth: Floats, slot: int, peak: int) -> float:
    """Lowest height on the shorter way from a slot to a peak."""
    ahead = (peak - slot) % SLOTS
    way = np.arange(slot, slot + ahead + 1) if ahead <= SLOTS // 2 else np.arange(slot, slot - (SLOTS - ahead) - 1, -1)
    return float(smooth[way % SLOTS].min())


@compiled
def _slots(psi6: Floats) -> tuple[Ints, Floats, Floats, Ints]:
    """Slot (N,) of each atom's direction, -1 without one, how many atoms each slot has, that smoothed, and its peaks.

    The circular histogram is smoothed by a Gaussian that is wider where atoms are few.
    """
    slots = np.empty(len(psi6), dtype=np.int16)
    counts = np.zeros(SLOTS)
    total = 0
    for i in range(len(psi6)):
        real, imaginary = psi6[i, 0], psi6[i, 1]
        if real * real + imaginary * imaginary < MIN_ALIGNED * MIN_ALIGNED:
            slots[i] = -1
            continue
        slot = int(np.floor(np.arctan2(imaginary, real) / (2.0 * np.pi) * SLOTS)) % SLOTS
        slots[i] = slot
        counts[slot] += 1.0
        total += 1
    smooth = np.zeros(SLOTS)
    taken = np.empty(SLOTS, dtype=np.int64)
    used = 0
    for slot in range(SLOTS):
        if counts[slot] > 0.0:
            taken[used] = slot
            used += 1
    if total == 0:
        return slots, counts, smooth, np.empty(0, dtype=np.int64)
    width = min(MOST_SMOOTHING_DEG, max(SMOOTHING_DEG, 12.0 / np.sqrt(total))) * SLOTS / 60.0
    reach = int(4.0 * width)
    for offset in range(-reach, reach + 1):
        weight = np.exp(-0.5 * (offset / width) ** 2)
        for slot in taken[:used]:
            place = slot + offset
            place += SLOTS if place < 0 else 0
            smooth[place - SLOTS if place >= SLOTS else place] += weight * counts[slot]
    peaks = np.empty(SLOTS, dtype=np.int64)
    found = 0
    for slot in range(SLOTS):
        if smooth[slot] > smooth[slot - 1] and smooth[slot] >= smooth[(slot + 1) % SLOTS]:
            peaks[found] = slot
            found += 1
    return slots, counts, smooth, peaks[:found].copy()


@compiled
def _directed(
    points: Floats, table: Ints, codes: Ints, counts: Ints, moves: Floats
) -> tuple[Floats, float, Ints, Floats, Floats, Ints]:
    """psi6 (N, 2) of each atom and |psi6| of the layer, and the slots of the atoms' surroundings."""
    psi6, around, order = orders(points, table, codes, counts, moves)
    slots, counted, smooth, peaks = _slots(around)
    return psi6, order, slots, counted, smooth, peaks
