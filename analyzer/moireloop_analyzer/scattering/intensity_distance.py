"""How far two patterns are apart with their intensities, whatever the rotation of the samples (pure).

Each pattern is a distribution of intensity over q, of total 1. The distance is the square root of their energy distance
2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely and Rizzo, J. Stat. Plan. Inference 143, 1249 (2013)), the smallest one over
rotations and mirror images of the whole. It is zero between a pattern and itself and between two alike, symmetric, and
grows as peaks move or trade intensity, also where they lie closer than any width.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from moireloop_analyzer.patterns.peaks import Floats, Peaks

STRONGEST: Final = 150
"""Peaks of each pattern, the brightest, that are compared."""

STEP_DEG: Final = 1.0

REFINEMENTS: Final = 5
"""Times that the step of the rotation is divided by five about the best one."""


def intensity_distance(one: Peaks, other: Peaks, *, mirrored: bool = True, reach: float | None = None) -> float:
    """The distance in square roots of inverse angstrom.

    Args:
        one: a pattern with at least one peak.
        other: the same.
        mirrored: whether a mirror image is the same.
        reach: largest q in inverse angstrom that is compared; by default as far as both patterns have peaks.

    Raises:
        ValueError: a pattern has no peaks within the reach.
    """
    most = min(float(each.lengths.max(initial=0.0)) for each in (one, other)) * 1.02 if reach is None else reach
    (places, weights), (others, shares) = (_distribution(each, most) for each in (one, other))
    own = _spread(places, weights, places, weights) + _spread(others, shares, others, shares)
    images = [others, others * [1.0, -1.0]] if mirrored else [others]
    between = min(_nearest(places, weights, image, shares) for image in images)
    return math.sqrt(max(2.0 * between - own, 0.0))


def _distribution(peaks: Peaks, reach: float) -> tuple[Floats, Floats]:
    inside = peaks.select(peaks.lengths <= reach)
    if not len(inside):
        raise ValueError(f"expected peaks within {reach:.3g} per angstrom, got none")
    kept = inside.select(np.argsort(-inside.intensity, kind="stable")[:STRONGEST])
    return kept.q, kept.intensity / kept.intensity.sum()


def _nearest(places: Floats, weights: Floats, others: Floats, shares: Floats) -> float:
    """Smallest mean distance over rotations, by ever finer steps about the best."""
    centre, step, count = 0.0, STEP_DEG, round(180.0 / STEP_DEG)
    best = math.inf
    for _ in range(REFINEMENTS):
        angles = centre + step * np.arange(-count, count + 1)
        found = [_spread(places, weights, others @ _turn(angle), shares) for angle in angles]
        best, centre = min(best, min(found)), float(angles[int(np.argmin(found))])
        step, count = step / 5.0, 5
    return best


def _turn(angle_deg: float) -> Floats:
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return np.array([[c, s], [-s, c]])


def _spread(places: Floats, weights: Floats, others: Floats, shares: Floats) -> float:
    """Mean distance of a peak of one distribution from a peak of the other."""
    x, y = (places[:, None, axis] - others[None, :, axis] for axis in (0, 1))
    return float(weights @ np.sqrt(x * x + y * y) @ shares)
