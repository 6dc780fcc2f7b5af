"""Patterns whose calibration is not known: the scale is fitted within stated limits, or the twist is refused."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop.experiment.comparison import indexed
from moireloop.experiment.refused import PatternRefused
from moireloop_analyzer.patterns.indexing import index_pattern, index_unscaled
from moireloop_analyzer.patterns.peaks import Peaks, peaks_of
from tests.helpers.patterns import made

CONSTANTS = (3.16, 3.16)


def wrong_by(peaks: Peaks, factor: float) -> Peaks:
    return peaks_of(peaks.q * factor, peaks.intensity, peaks.sigma_radial * factor)


@pytest.mark.parametrize(("seed", "factor"), [(1, 1.15), (2, 0.86), (3, 1.0)])
def test_a_wrong_scale_is_found_and_changes_no_twist(seed: int, factor: float) -> None:
    """The twist is the same as with the right scale; without the fit it is refused, or both layers strained."""
    twist_deg = 5.0 + 3.0 * seed
    right = made(np.random.default_rng(seed), twist_deg=twist_deg, weak=0.4, spurious=5).peaks
    found = index_unscaled(wrong_by(right, factor), CONSTANTS, 0.2)
    assert found.scale == pytest.approx(1 / factor, rel=0.004)
    assert found.twist_deg == pytest.approx(twist_deg, abs=4 * (found.sigma_deg or 0.0))
    if factor != 1.0:
        assert index_pattern(wrong_by(right, factor), CONSTANTS).twist_deg is None


def test_what_no_scale_explains_is_refused() -> None:
    """Random peaks, and a scale beyond the limit."""
    rng = np.random.default_rng(4)
    noise = index_unscaled(peaks_of(rng.uniform(-5, 5, (30, 2)), sigma=0.003 * np.ones(30)), CONSTANTS, 0.1)
    assert noise.twist_deg is None
    far = wrong_by(made(rng, twist_deg=9.0, weak=0.4).peaks, 1.4)
    refused = index_unscaled(far, CONSTANTS, 0.1)
    assert "no scale within a factor of 1.1 shows two lattices" in str(refused.reason)
    with pytest.raises(PatternRefused, match="scale_within: expected above 0"):
        indexed(far, CONSTANTS, 0.04, 3.0)


def test_two_scales_that_explain_as_much_are_refused() -> None:
    """Two bilayers in one pattern whose scales differ by 15 %: neither is the right one for sure."""
    rng = np.random.default_rng(11)
    one, other = (made(rng, twist_deg=twist).peaks for twist in (9.0, 14.0))
    both = peaks_of(np.concatenate([one.q, 1.15 * other.q]), np.concatenate([one.intensity, other.intensity]))
    found = index_unscaled(both, CONSTANTS, 0.2)
    assert found.twist_deg is None
    assert "explain about as many peaks" in str(found.reason)
