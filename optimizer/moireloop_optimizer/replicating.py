"""A strategy that also repeats the recipes that hit: what is worth repeating goes first, the rest is its own (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from moireloop_optimizer.objective import Runs, Target
from moireloop_optimizer.replicates import Replicate, next_replicates
from moireloop_optimizer.space import Points
from moireloop_optimizer.suggestion import REPLICATE, Strategy, Suggestion


class Replicating:
    """Any strategy, with repeats of recipes that hit.

    Args:
        strategy: what proposes everything else; it sees the repeats as pending.
        goal: runs of each recipe after its first hit; 0 asks for none.
    """

    def __init__(self, strategy: Strategy, goal: int) -> None:
        self._strategy, self._goal = strategy, goal

    def suggest(self, n: int, runs: Runs, pending: Points, targets: Sequence[Target], *, index: int) -> Suggestion:
        """The next n points; see suggestion.Strategy."""
        inside = ((runs.points >= 0.0) & (runs.points <= 1.0)).all(axis=1)
        within = runs.where(inside)
        repeated = next_replicates(within, pending, targets, goal=self._goal, n=n)
        points = _points(repeated, runs.points.shape[1])
        left = n - len(repeated)
        aims, made_by = tuple(one.aim for one in repeated), (REPLICATE,) * len(repeated)
        if not left:
            return Suggestion(points, aims, made_by)
        waiting = np.concatenate([pending, points])
        own = self._strategy.suggest(left, runs, waiting, targets, index=index + len(repeated))
        whole = np.concatenate([points, own.points])
        return replace(own, points=whole, aims=aims + own.aims, made_by=made_by + own.made_by)


def _points(repeated: Sequence[Replicate], dimension: int) -> Points:
    return np.array([one.point for one in repeated], dtype=np.float64).reshape(-1, dimension)
