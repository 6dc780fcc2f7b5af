"""The place of the direct beam, from spots that stand opposite to each other (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from moireloop_analyzer.patterns.peaks import Peaks

FARTHEST: Final = 3.5
"""In standard errors of the stated centre: farther away it is not looked for."""

TOGETHER: Final = 3.0

FEWEST: Final = 3
"""Pairs of spots that have to agree on the centre."""


def centred(peaks: Peaks) -> Peaks:
    """The peaks about the centre that most pairs of opposite spots have in common.

    As they were where the centre is known exactly. Where too few pairs agree, the centre stays where it was stated and
    its error is added to those of the peaks.
    """
    if peaks.centre_error <= 0.0:
        return peaks
    first, second = np.triu_indices(len(peaks), 1)
    middle = 0.5 * (peaks.q[first] + peaks.q[second])
    near = np.linalg.norm(middle, axis=1) < FARTHEST * peaks.centre_error
    middle, first, second = middle[near], first[near], second[near]
    sigma = np.maximum(peaks.sigma_radial, peaks.sigma_azimuthal)
    error = 0.5 * np.hypot(sigma[first], sigma[second])
    apart = np.linalg.norm(middle[:, None] - middle, axis=-1) / np.hypot(error[:, None], error)
    votes = (apart < TOGETHER).sum(axis=1)
    if not len(votes) or votes.max() < FEWEST:
        return replace(
            peaks,
            sigma_radial=np.hypot(peaks.sigma_radial, peaks.centre_error),
            sigma_azimuthal=np.hypot(peaks.sigma_azimuthal, peaks.centre_error),
        )
    agreeing = apart[votes.argmax()] < TOGETHER
    weight = error[agreeing] ** -2
    centre = (middle[agreeing] * weight[:, None]).sum(axis=0) / weight.sum()
    return replace(peaks, q=peaks.q - centre)
