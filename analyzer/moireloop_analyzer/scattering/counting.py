"""A pattern as a detector counts it: noise of counts, peaks that vanish in the background, errors of places (pure)."""

from __future__ import annotations

from typing import Final

import numpy as np

from moireloop_analyzer.patterns.peaks import FWHM_OF_SIGMA, Peaks

DETECTED: Final = 5.0
"""Standard deviations of the background above which a peak counts as one."""


def counted(peaks: Peaks, brightest: float, background: float, rng: np.random.Generator) -> Peaks:
    """The peaks as they are measured, with standard errors; intensities become counts.

    The place of a peak of N counts on a background of B within it has the error sigma / sqrt(N) sqrt(1 + B / N).

    Args:
        brightest: counts expected of the brightest peak.
        background: counts expected under each peak.
    """
    if not len(peaks):
        return peaks
    expected = peaks.intensity / peaks.intensity.max() * brightest
    counts = rng.poisson(expected + background) - background
    seen = counts > np.maximum(DETECTED * np.sqrt(background), 1.0)
    kept, number = peaks.select(seen), counts[seen].astype(np.float64)
    share = np.sqrt((1.0 + background / number) / number) / FWHM_OF_SIGMA
    radial, across = kept.width_radial * share, kept.width_azimuthal * share
    along = kept.q / kept.lengths[:, None]
    aside = np.stack([-along[:, 1], along[:, 0]], axis=1)
    moved = kept.q + along * rng.normal(0.0, radial)[:, None] + aside * rng.normal(0.0, across)[:, None]
    return Peaks(moved, number, radial, across, kept.width_radial, kept.width_azimuthal, kept.centre_error)
