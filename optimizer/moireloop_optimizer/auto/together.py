"""Many points chosen together from one model: where a hit is likely, and apart from each other (pure).

The model is asked once about a pool of points: a Sobol set, clouds around the runs nearest to the targets, and clouds
around the likeliest points, which are taken apart from each other. Points are then taken from the pool one after
another, each where the probability is greatest, less near those that are chosen or on their way. So a large allocation
does not get copies of one point, and a point costs microseconds instead of a separate search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.twist_process import Floats
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points

SPREAD_POINTS: Final = 1024

NEAREST_RUNS: Final = 32

AROUND_RUNS: Final = 512

SUMMITS: Final = 48

AROUND_SUMMITS: Final = 16

LOCAL_WIDTHS: Final = (0.02, 0.08, 0.2)

CLIMBS: Final = (0.05, 0.015, 0.005)

APART: Final = 0.5
"""How far a point keeps others away, in the distance that all points on their way would have if evenly spread."""

Worth = Callable[[Points], Floats]
"""The (T, m) worth of (m, d) points for each of T targets."""


class Pool:
    """Points (m, d) to choose from, and what they are worth.

    `ordinary` is the mean, over evenly spread points, of the worth summed over the targets.

    Args:
        taken: (j, d) points on their way.
        wanted: the targets.
        number: how many points are to be chosen.
    """

    def __init__(
        self, worth: Worth, runs: Runs, taken: Points, wanted: Sequence[Target], number: int, rng: np.random.Generator
    ) -> None:
        dimension = runs.points.shape[1]
        self._width = APART * (len(taken) + number) ** (-1.0 / dimension)
        self._taken = KDTree(taken) if len(taken) else None
        self.points = np.zeros((0, dimension))
        self.worth = np.zeros((len(wanted), 0))
        self._nearest = np.zeros(0)
        spread = sobol_points(SPREAD_POINTS, dimension, seed=int(rng.integers(2**31)))
        self._add(spread, worth)
        self.ordinary = float(self.worth.sum(axis=0).mean())
        self._add(
            _cloud(_nearest_runs(runs, wanted), AROUND_RUNS, rng.choice(LOCAL_WIDTHS, (AROUND_RUNS, 1)), rng), worth
        )
        for width in CLIMBS:
            summits = self.points[self._apart(SUMMITS)]
            self._add(
                _cloud(summits, SUMMITS * AROUND_SUMMITS, np.full((SUMMITS * AROUND_SUMMITS, 1), width), rng), worth
            )

    def best(self) -> int:
        """The place of the point that is worth most now."""
        return int(self._left().argmax())

    def left(self, place: int) -> float:
        """What a point is worth now, by the sum over the targets."""
        return float(self._left()[place])

    def take(self, point: Points) -> None:
        """Points near this one (d,) are worth less from now on."""
        self._nearest = np.minimum(self._nearest, cdist(self.points, point[np.newaxis], "sqeuclidean")[:, 0])

    def _left(self) -> Floats:
        left: Floats = self.worth.sum(axis=0) * -np.expm1(-0.5 * self._nearest / self._width**2)
        return left

    def _add(self, points: Points, worth: Worth) -> None:
        nearest = np.full(len(points), np.inf)
        if self._taken is not None:
            nearest = np.asarray(self._taken.query(points)[0]) ** 2
        self.points = np.concatenate([self.points, points])
        self.worth = np.concatenate([self.worth, worth(points)], axis=1)
        self._nearest = np.concatenate([self._nearest, nearest])

    def _apart(self, number: int) -> list[int]:
        """The places of a number of points of great worth, apart from each other."""
        kept, chosen = self._nearest, []
        for _ in range(number):
            chosen.append(self.best())
            self.take(self.points[chosen[-1]])
        self._nearest = kept
        return chosen


def _nearest_runs(runs: Runs, wanted: Sequence[Target]) -> Points:
    distance = np.min([np.abs(runs.twist_deg - target.twist_deg) for target in wanted], axis=0)
    order = np.argsort(np.where(np.isfinite(distance), distance, np.inf), kind="stable")
    return np.clip(runs.points[order[:NEAREST_RUNS]], 0.0, 1.0)


def _cloud(centers: Points, count: int, width: Floats, rng: np.random.Generator) -> Points:
    """(count, d) points around centers by turns."""
    around = centers[np.arange(count) % len(centers)]
    inside: Points = np.clip(around + width * rng.standard_normal(around.shape), 0.0, 1.0)
    return inside
