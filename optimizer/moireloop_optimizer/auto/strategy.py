"""The default strategy: the point that most likely hits a target, by a model of the twist itself (pure).

The paper models the distance from the target, which loses on which side of it a twist lies. Here the twist itself is
modelled (hit_model). The next point is the one at which a run most likely comes within the tolerance of a target that
no run has reached. What pending runs would also show about a target does not count again. Once every target is reached,
the search continues for other recipes, away from the known ones. Where the model cannot distinguish places
(foresight), the next point comes from a Sobol sequence. docs/search.md says what was measured.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.spatial.distance import cdist

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.hit_model import FitCache, HitModel
from moireloop_optimizer.auto.together import Pool
from moireloop_optimizer.auto.twist_process import Floats
from moireloop_optimizer.runs import Runs, is_within
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import STAND_IN, Suggestion

logger = logging.getLogger(__name__)

NAME: Final = "auto"

FARTHEST: Final = 100.0

SPREAD_POINTS: Final = 512

LOCAL_POINTS: Final = 256

SUMMITS: Final = 6

LOCAL_WIDTHS: Final = (0.02, 0.08, 0.2)

CLIMBS: Final = (0.08, 0.03, 0.012, 0.004)

CLIMB_POINTS: Final = 128

ONE_BY_ONE: Final = 16
"""Up to this many points are searched for one by one; more are chosen together, in the time of a few."""

PROMISING: Final = 1.5
"""How many times as likely as at an evenly chosen place a hit must be at the best one for it to be proposed."""

OTHER_RECIPE: Final = 0.2
"""How far a recipe keeps the search away once its target is reached, in sides of the unit cube."""


class AutoStrategy:
    """See the top of this module. It holds nothing but fits that it can make again.

    Args:
        seed: of its random numbers.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._cache = FitCache()

    def suggest(self, n: int, runs: Runs, pending: Points, targets: Sequence[Target], *, index: int) -> Suggestion:
        """The next n points; see suggestion.Strategy."""
        runs = _usable(runs)
        if np.isfinite(runs.twist_deg).sum() < 2:
            return self._stand_in(n, runs, targets, index, failed=False)
        began = time.perf_counter()
        try:
            model = HitModel(runs, pending, targets, self._cache, hurried=n > ONE_BY_ONE)
            fit_s = time.perf_counter() - began
            points, aims, made_by = self._search(n, model, runs, pending, targets, index)
        except (RuntimeError, ValueError, ArithmeticError) as error:
            logger.warning("model unusable strategy=%s runs=%d reason=%s", NAME, len(runs), error)
            return self._stand_in(n, runs, targets, index, failed=True)
        if not np.isfinite(points).all():
            logger.warning("model unusable strategy=%s runs=%d reason=not finite", NAME, len(runs))
            return self._stand_in(n, runs, targets, index, failed=True)
        elapsed_s = time.perf_counter() - began
        return Suggestion(np.clip(points, 0.0, 1.0), tuple(aims), tuple(made_by), False, fit_s, elapsed_s - fit_s)

    def _search(
        self, n: int, model: HitModel, runs: Runs, pending: Points, targets: Sequence[Target], index: int
    ) -> tuple[Points, list[int], list[str]]:
        missing = [aim for aim, target in enumerate(targets) if not is_within(runs.twist_deg, target).any()]
        aims_of = missing or list(range(len(targets)))
        wanted = [targets[aim] for aim in aims_of]
        known = None if missing else runs.points[_any_within(runs.twist_deg, targets)]
        if n > ONE_BY_ONE:
            points, places, made_by = self._together(n, model, runs, pending, wanted, known, index)
        else:
            points, places, made_by = self._in_turn(n, model, runs, wanted, known, index)
        return points, [aims_of[place] for place in places], made_by

    def _in_turn(
        self, n: int, model: HitModel, runs: Runs, wanted: Sequence[Target], known: Points | None, index: int
    ) -> tuple[Points, list[int], list[str]]:
        """Each point by its own search, which counts the points before it as pending."""
        points = np.zeros((n, runs.points.shape[1]))
        places, made_by = [], []
        for k in range(n):
            found, worth = self._best_or_chance(model, runs, wanted, known, index + k)
            made_by.append(STAND_IN if found is None else NAME)
            if found is None:
                several, worths = self._by_chance(model, points.shape[1], wanted, index + k, 1)
                found, worth = several[0], worths[:, 0]
            points[k] = found
            places.append(int(worth.argmax()))
            model.wait_for(found[np.newaxis])
        return points, places, made_by

    def _together(
        self,
        n: int,
        model: HitModel,
        runs: Runs,
        pending: Points,
        wanted: Sequence[Target],
        known: Points | None,
        index: int,
    ) -> tuple[Points, list[int], list[str]]:
        """All points from one pool (together)."""
        rng = np.random.default_rng((self._seed, index))
        pool = Pool(lambda points: _worth(model, points, wanted, known), runs, pending, wanted, n, rng)
        points = np.zeros((n, runs.points.shape[1]))
        places, made_by = [], []
        chances: tuple[Points, Floats] | None = None
        for k in range(n):
            best = pool.best()
            is_chance = known is None and (rng.random() >= model.trust or pool.left(best) < PROMISING * pool.ordinary)
            found, worth = pool.points[best], pool.worth[:, best]
            if is_chance:
                chances = self._by_chance(model, points.shape[1], wanted, index, n) if chances is None else chances
                found, worth = chances[0][k], chances[1][:, k]
            made_by.append(STAND_IN if is_chance else NAME)
            points[k] = found
            places.append(int(worth.argmax()))
            pool.take(found)
        return points, places, made_by

    def _by_chance(
        self, model: HitModel, dimension: int, wanted: Sequence[Target], number: int, count: int
    ) -> tuple[Points, Floats]:
        """The points (count, d) of the Sobol sequence from this number on, and their worth (T, count)."""
        points = sobol_points(count, dimension, seed=self._seed, index=number)
        return points, model.probability(points, wanted)

    def _best_or_chance(
        self, model: HitModel, runs: Runs, wanted: Sequence[Target], known: Points | None, index: int
    ) -> tuple[Points | None, Floats]:
        """The model's best point (d,), or None where a point of the Sobol sequence is no worse, and its worth (T,)."""
        nothing = np.zeros(len(wanted))
        searching = known is None
        if searching and np.random.default_rng((self._seed, index, 1)).random() >= model.trust:
            return None, nothing
        found, worth, ordinary = best_point(model, runs, wanted, known, np.random.default_rng((self._seed, index)))
        if searching and worth.sum() < PROMISING * ordinary:
            return None, nothing
        return found, worth

    def _stand_in(self, n: int, runs: Runs, targets: Sequence[Target], index: int, *, failed: bool) -> Suggestion:
        points = sobol_points(n, runs.points.shape[1], seed=self._seed, index=index)
        aims = tuple((index + k) % len(targets) for k in range(n))
        return Suggestion(points, aims, (STAND_IN,) * n, failed)


def best_point(
    model: HitModel, runs: Runs, wanted: Sequence[Target], known: Points | None, rng: np.random.Generator
) -> tuple[Points, Floats, float]:
    """The point (d,) of greatest summed probability, its probability for each target (T,), and the mean of the sum.

    From a random set and clouds around the runs nearest to the targets, then in ever smaller clouds around the best.
    """
    points = _pool(runs, wanted, rng)
    worth = _worth(model, points, wanted, known)
    ordinary = float(worth[:, :SPREAD_POINTS].sum(axis=0).mean())
    for width in CLIMBS:
        best = points[np.argsort(-worth.sum(axis=0), kind="stable")[:SUMMITS]]
        around = _cloud(best, np.full((CLIMB_POINTS, 1), width), rng)
        points = np.concatenate([points, around])
        worth = np.concatenate([worth, _worth(model, around, wanted, known)], axis=1)
    place = int(worth.sum(axis=0).argmax())
    return points[place], worth[:, place], ordinary


def _worth(model: HitModel, points: Points, wanted: Sequence[Target], known: Points | None) -> Floats:
    """(T, m) probabilities of hits, less near recipes that are known, where there are any."""
    probability = model.probability(points, wanted)
    if known is None or not len(known):
        return probability
    nearest = cdist(points, known, "sqeuclidean").min(axis=1)
    elsewhere: Floats = probability * -np.expm1(-0.5 * nearest / OTHER_RECIPE**2)
    return elsewhere


def _pool(runs: Runs, wanted: Sequence[Target], rng: np.random.Generator) -> Points:
    distance = np.min([np.abs(runs.twist_deg - target.twist_deg) for target in wanted], axis=0)
    summits = runs.points[np.argsort(np.where(np.isfinite(distance), distance, np.inf), kind="stable")[:SUMMITS]]
    widths = rng.choice(LOCAL_WIDTHS, size=(LOCAL_POINTS, 1))
    spread = sobol_points(SPREAD_POINTS, runs.points.shape[1], seed=int(rng.integers(2**31)))
    return np.concatenate([spread, _cloud(summits, widths, rng)])


def _cloud(centers: Points, widths: Floats, rng: np.random.Generator) -> Points:
    """As many points (m, d) as there are widths (m, 1), each normally distributed around one of the centers."""
    around = centers[rng.integers(len(centers), size=len(widths))]
    cloud: Points = np.clip(around + widths * rng.standard_normal(around.shape), 0.0, 1.0)
    return cloud


def _usable(runs: Runs) -> Runs:
    """The runs at finite points within 100 widths of the search space: others only hurt the numerics."""
    near = np.isfinite(runs.points).all(axis=1) & (np.abs(runs.points - 0.5) < FARTHEST).all(axis=1)
    return runs.where(near)


def _any_within(twist_deg: Floats, targets: Sequence[Target]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    within: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.any([is_within(twist_deg, t) for t in targets], axis=0)
    return within
