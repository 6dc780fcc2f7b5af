"""Scrambled Sobol points: the initial design, the strategy `random`, and a stand-in where there is no model (pure)."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from moireloop_broker.contract.search import Points

LONGEST = 2**30


def sobol_points(n: int, dimension: int, *, seed: int, index: int = 0) -> Points:
    """(n, dimension) points of a scrambled Sobol sequence in the unit cube, from position `index` on.

    The same seed gives the same sequence, however it is cut into calls. The sequence ends after 2**30 points.
    Source: A. B. Owen, "Scrambling Sobol' and Niederreiter-Xing points", J. Complexity 14, 466 (1998).

    Raises:
        ValueError: a negative n or index, or a position past the end of the sequence.
    """
    if n < 0 or index < 0 or index + n > LONGEST:
        raise ValueError(f"expected 0 <= index, 0 <= n and index + n <= 2**30, got index {index} and n {n}")
    engine = qmc.Sobol(dimension, scramble=True, rng=np.random.default_rng(seed))
    if index:
        engine.fast_forward(index)
        return np.asarray(engine.random(n), dtype=np.float64)
    # Taken apart from the rest: scipy warns where a first draw is not a power of two, which a campaign's never is.
    first = engine.random(min(n, 1))
    return np.concatenate([first, engine.random(max(n - 1, 0))]).astype(np.float64)
