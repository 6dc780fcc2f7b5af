"""How near runs are to points of the search space, as weights in [0, 1] (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from moireloop_broker.contract.search import Points
from moireloop_optimizer.auto.twist_process import Floats

Reach = float | Sequence[float]
"""Standard deviation of nearness in sides of the unit cube: one for all axes, or one for each."""

LEAST_INSIDE: Final = 0.125
"""As at a corner in three dimensions; with more of them one run at a corner would count for any number."""


def nearness(points: Points, others: Points, reach: Reach) -> Floats:
    """(m, N) weights of (N, d) others at (m, d) points: 1 where they meet, falling off normally."""
    width = np.asarray(reach)
    near: Floats = np.exp(-0.5 * cdist(points / width, others / width, "sqeuclidean"))
    return near


def inside(points: Points, reach: Reach) -> Floats:
    """(m,) how much of what lies around points is in the unit cube, over the same of its middle; an eighth at least.

    At a face there are runs on one side only: without this it would look less explored than it is. Points outside count
    as those at the face before them.
    """
    width, points = np.asarray(reach), np.clip(points, 0.0, 1.0)
    along = (ndtr((1.0 - points) / width) - ndtr(-points / width)) / (2.0 * ndtr(0.5 / width) - 1.0)
    share: Floats = np.maximum(along.prod(axis=1), LEAST_INSIDE)
    return share


def without_own(near: Floats) -> Floats:
    """The same weights (N, N) with nothing on the diagonal: no run speaks for itself."""
    np.fill_diagonal(near, 0.0)
    return near
