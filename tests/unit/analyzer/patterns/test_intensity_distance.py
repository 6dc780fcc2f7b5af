"""The distance between patterns with their intensities."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from moireloop_analyzer.patterns.peaks import Floats, Peaks, peaks_of
from moireloop_analyzer.patterns.reciprocal import norms, sites_within, strained
from moireloop_analyzer.scattering.intensity_distance import intensity_distance
from tests.helpers.patterns import MX2

INDICES = sites_within(4)


def bilayer(
    twist_deg: float, strain: float = 0.0, weak: float = 0.5, turn_deg: float = 11.0, rings: dict[int, float] = MX2
) -> Peaks:
    """Two layers of MoS2, the second one stretched along x and dimmer."""
    heights = np.array([rings[int(n)] for n in norms(INDICES)])
    angle = math.radians(turn_deg)
    lower = strained(3.16, angle, np.zeros((2, 2)))
    upper = strained(3.16, angle + math.radians(twist_deg), np.diag([strain, 0.0]))
    return peaks_of(np.concatenate([INDICES @ lower, INDICES @ upper]), np.concatenate([heights, weak * heights]))


def turned(peaks: Peaks, angle_deg: float, flip: float = 1.0) -> Peaks:
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    matrix: Floats = np.array([[c, s], [-s, c]]) * [1.0, flip]
    return replace(peaks, q=peaks.q @ matrix)


@pytest.mark.parametrize("angle_deg", [0.0, 37.31, -122.4])
@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_a_pattern_is_at_no_distance_from_itself(angle_deg: float, flip: float) -> None:
    """Turned, mirrored, in other units of intensity and another order of peaks."""
    one = bilayer(8.2)
    other = turned(one, angle_deg, flip)
    other = replace(other, intensity=7.0 * other.intensity).select(np.arange(len(other))[::-1])
    assert intensity_distance(one, one) == pytest.approx(0.0, abs=1e-6)
    assert intensity_distance(one, other) < 0.5 * intensity_distance(one, bilayer(8.4))


def test_it_grows_with_twist_and_with_strain() -> None:
    """Step by step, from a tenth of a degree to ten, and from a thousandth to 4 %; the same both ways."""
    one = bilayer(8.2)
    twists = [intensity_distance(one, bilayer(8.2 + step)) for step in (0.1, 0.3, 1.0, 3.0, 10.0)]
    strains = [intensity_distance(one, bilayer(8.2, strain)) for strain in (0.001, 0.003, 0.01, 0.02, 0.04)]
    assert all(later > 1.2 * earlier for earlier, later in pairwise(twists))
    assert all(later > 1.2 * earlier for earlier, later in pairwise(strains))
    assert intensity_distance(bilayer(9.2), one) == pytest.approx(twists[2], rel=1e-3)


def test_it_sees_intensities_that_places_do_not_show() -> None:
    """Another share of the layers, or rings of another element, at the same places."""
    one = bilayer(8.2)
    dimmer = [intensity_distance(one, bilayer(8.2, weak=weak)) for weak in (0.45, 0.3, 0.1)]
    assert dimmer[0] > 0.003
    assert dimmer == sorted(dimmer)
    assert intensity_distance(one, bilayer(8.2, rings={**MX2, 1: 1.0, 3: 0.35})) > 0.1


def test_it_obeys_the_triangle_inequality(rng: np.random.Generator) -> None:
    """Of patterns of random twists, strains and shares."""
    patterns = [
        bilayer(float(rng.uniform(0, 30)), float(rng.uniform(-0.03, 0.03)), float(rng.uniform(0.1, 1)))
        for _ in range(4)
    ]
    apart = np.array([[intensity_distance(a, b) for b in patterns] for a in patterns])
    for a in range(4):
        for b in range(4):
            for c in range(4):
                assert apart[a, c] <= apart[a, b] + apart[b, c] + 1e-3


def test_peaks_beyond_the_reach_of_one_do_not_count() -> None:
    """A detector that sees less; and no peaks at all is an error."""
    one = bilayer(8.2)
    near = one.select(one.lengths < 4.1)
    assert intensity_distance(one, near) == pytest.approx(0.0, abs=1e-3)
    with pytest.raises(ValueError, match="got none"):
        intensity_distance(one, near, reach=1.0)
