"""Twists that come again: where the same few values are drawn by chance, as a small periodic cell has them (pure).

A run either repeats the twist of a run nearby or shows a new one. A new twist is predicted from the different twists
around, each counted once however often it came, and beyond these by the Gaussian process or by nothing. Where layers
are known, pairs of them come first (layer_pairs). The choice among these depends on how well each run is predicted
from the others. Counts follow hierarchical Pitman-Yor processes (Y. W. Teh, "A hierarchical Bayesian language model
based on Pitman-Yor processes", ACL 2006). The widths are fixed: searching for them was measured to be no better
(docs/search.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.search import Points
from moireloop_optimizer.auto.layer_pairs import LayerPairs, PairPrediction, Reaches, choose_reaches, predict_left_out
from moireloop_optimizer.auto.nearness import inside, nearness, without_own
from moireloop_optimizer.auto.twist_process import Floats, mass_within, normal_density

LEAST_GAIN: Final = 3.0
"""Gain in summed log density of left-out runs from which on repeats are believed in."""

REACH: Final = 0.2

WIDE_REACH: Final = 0.4
"""How far a run speaks for repeats and for new twists, in sides of the unit cube (standard deviations)."""

SAME_DEG: Final = 0.03

NEW_DEG: Final = 4.0
"""Widths of a repeated twist, and of new ones around those that are known."""

FRESH: Final = 1.0

BEYOND: Final = 4.0
"""Weights, in runs, of a new twist, and among new ones of what no run around has shown."""

CLOSE_CALL: Final = 0.1
"""Runs that the width of a twist counts for in whether its repeats hit; the rest comes from the runs that had it."""

LEAST_EXPECTED: Final = 1e-6

DISCOUNTS: Final = (0.0, 0.4)

EVEN: Final = (0.0, 0.5, 1.0)

ALL_DEG: Final = 30.0

TINY: Final = 1e-300


@dataclass(frozen=True)
class Habits:
    """How twists repeat.

    `discount`: weight that each different twist nearby adds to a new one, and loses itself. `even`: share of any twist
    at all, alike from 0 to 30 degrees, in what a new twist may be beyond those around; the rest is what the Gaussian
    process says. `reaches`: of layers, where pairs of them predict new twists.
    """

    discount: float
    even: float
    reaches: Reaches | None = None


class RepeatedTwists:
    """What N runs predict for the next one, by their habits.

    Args:
        points: (N, d) points of the unit cube.
        twist_deg: (N,) their twists in degrees, all finite.
        habits: as from `choose_habits`.
        lattices: (N, 3, 2, 2) as in `objective.Runs`; None where no layers are known.
    """

    def __init__(self, points: Points, twist_deg: Floats, habits: Habits, lattices: Floats | None = None) -> None:
        self._points, self._twist_deg, self._habits = points, twist_deg, habits
        self._share = _shares(without_own(nearness(points, points, REACH)), twist_deg[:, None] - twist_deg)
        self._pairs: LayerPairs | None = None
        if habits.reaches is not None and lattices is not None:
            self._pairs = LayerPairs(points, twist_deg, lattices, habits.reaches)

    def mass(self, points: Points, target_deg: float, tolerance_deg: float, beyond: Floats, pending: Points) -> Floats:
        """(m,) probabilities that a run at (m, d) points comes within the tolerance of a target.

        Args:
            beyond: (m,) the same under the Gaussian process.
            pending: (j, d) points on their way; where they lie, any twist becomes less likely to be news.
        """
        discount, even = self._habits.discount, self._habits.even
        near = nearness(points, self._points, REACH) / inside(points, REACH)[:, None]
        wide = nearness(points, self._points, WIDE_REACH) / inside(points, WIDE_REACH)[:, None] * self._share
        waiting = nearness(points, pending, REACH).sum(axis=1) / inside(points, REACH)
        span_deg = min(ALL_DEG, target_deg + tolerance_deg) - max(0.0, target_deg - tolerance_deg)
        beyond = (1.0 - even) * beyond + even * max(0.0, span_deg) / ALL_DEG
        new = wide @ mass_within(target_deg, tolerance_deg, self._twist_deg, NEW_DEG) + BEYOND * beyond
        new /= wide.sum(axis=1) + BEYOND
        if self._pairs is not None:
            new = _with_prediction(new, self._pairs.hits(points, target_deg, tolerance_deg, pending))
        same = (near * (1.0 - discount * self._share)) @ self._again(target_deg, tolerance_deg)
        opened = FRESH + discount * (near @ self._share)
        mass: Floats = (same + opened * new) / (FRESH + near.sum(axis=1) + waiting)
        return mass

    def _again(self, target_deg: float, tolerance_deg: float) -> Floats:
        """(N,) probabilities that a repeat of each run comes within the tolerance of a target.

        At first by SAME_DEG, then as often as runs that had this twist did: a twist just outside of the
        tolerance that came ten times does not hit the next time either.
        """
        expected = mass_within(target_deg, tolerance_deg, self._twist_deg, SAME_DEG)
        among = np.flatnonzero(expected > LEAST_EXPECTED)
        alike = np.exp(-0.5 * ((self._twist_deg[among, None] - self._twist_deg[among]) / SAME_DEG) ** 2)
        hit = np.abs(self._twist_deg[among] - target_deg) <= tolerance_deg
        expected[among] = (CLOSE_CALL * expected[among] + alike @ hit) / (CLOSE_CALL + alike.sum(axis=1))
        return expected


def choose_habits(points: Points, twist_deg: Floats, density: Floats, lattices: Floats | None = None) -> Habits | None:
    """The habits that predict left-out runs best; None where the Gaussian process does as well by itself.

    Args:
        points: (N, d) points of the unit cube.
        twist_deg: (N,) their twists in degrees.
        density: (N,) density of each by the Gaussian process that knows the others, per degree.
        lattices: (N, 3, 2, 2) as in `objective.Runs`; None where no layers are known.
    """
    left_out = _LeftOut(points, twist_deg, density)
    counts = [Habits(*both) for both in product(DISCOUNTS, EVEN)]
    scores = {habits: left_out.score(habits) for habits in counts}
    reaches = None if lattices is None else choose_reaches(points, twist_deg, lattices)
    if lattices is not None and reaches is not None:
        predicted = predict_left_out(points, twist_deg, lattices, reaches)
        scores |= {replace(habits, reaches=reaches): left_out.score(habits, predicted) for habits in counts}
    best = max(scores, key=lambda habits: scores[habits])
    alone = float(np.log(density + TINY).sum())
    return best if scores[best] > alone + LEAST_GAIN else None


class RunsWithout:
    """What runs predict for a twist at their own places, some of them left out.

    See RepeatedTwists for the arguments.
    """

    def __init__(self, points: Points, twist_deg: Floats, habits: Habits) -> None:
        near, wide = (without_own(nearness(points, points, reach)) for reach in (REACH, WIDE_REACH))
        self._twist_deg, self._habits = twist_deg, habits
        self._share = _shares(near, twist_deg[:, None] - twist_deg)
        self._near = near / inside(points, REACH)[:, None]
        self._wide = wide / inside(points, WIDE_REACH)[:, None] * self._share

    def density(
        self, out: npt.NDArray[np.bool_], twist_deg: float, beyond: Floats, predicted: PairPrediction | None
    ) -> Floats:
        """(N,) density of a twist, per degree, by other runs that are not left out (N,).

        Args:
            beyond: (N,) the same by the Gaussian process.
            predicted: the same by layers, where they predict any.
        """
        near, wide, share, habits = self._near[:, ~out], self._wide[:, ~out], self._share[~out], self._habits
        off = twist_deg - self._twist_deg[~out]
        beyond = (1.0 - habits.even) * beyond + habits.even / ALL_DEG
        new = (wide @ normal_density(off, NEW_DEG) + BEYOND * beyond) / (wide.sum(axis=1) + BEYOND)
        new = new if predicted is None else _with_prediction(new, predicted)
        same = (near * (1.0 - habits.discount * share)) @ normal_density(off, SAME_DEG)
        whole = same + (FRESH + habits.discount * (near @ share)) * new
        density: Floats = whole / (FRESH + near.sum(axis=1))
        return density


class _LeftOut:
    """Every run as the others predict it."""

    def __init__(self, points: Points, twist_deg: Floats, density: Floats) -> None:
        apart_deg = twist_deg[:, None] - twist_deg
        near, wide = (without_own(nearness(points, points, reach)) for reach in (REACH, WIDE_REACH))
        self._density, self._share = density, _shares(near, apart_deg)
        self._near = near / inside(points, REACH)[:, None]
        self._wide = wide / inside(points, WIDE_REACH)[:, None] * self._share
        self._same = self._near * normal_density(apart_deg, SAME_DEG)
        self._new = (self._wide * normal_density(apart_deg, NEW_DEG)).sum(axis=1)

    def score(self, habits: Habits, predicted: PairPrediction | None = None) -> float:
        """Summed log density of the runs' twists, by layers too where they predict any."""
        beyond = (1.0 - habits.even) * self._density + habits.even / ALL_DEG
        new = (self._new + BEYOND * beyond) / (self._wide.sum(axis=1) + BEYOND)
        new = new if predicted is None else _with_prediction(new, predicted)
        opened = FRESH + habits.discount * (self._near @ self._share)
        density = self._same @ (1.0 - habits.discount * self._share) + opened * new
        return float(np.log(density / (FRESH + self._near.sum(axis=1)) + TINY).sum())


def _with_prediction(new: Floats, predicted: PairPrediction) -> Floats:
    """What a new twist may be (m,): what layers predict, or else what it is taken for without them."""
    either: Floats = predicted.share + (1.0 - predicted.known) * new
    return either


def _shares(near: Floats, apart_deg: Floats) -> Floats:
    """(N,) the share of each run in its twist: one over the runs nearby that have the same, itself included."""
    shares: Floats = 1.0 / (1.0 + (near * np.exp(-0.5 * (apart_deg / (2.0 * SAME_DEG)) ** 2)).sum(axis=1))
    return shares
