"""Twists that come again: where the same few values are drawn by chance, as a small periodic cell has them (pure).

A run either repeats the twist of a run nearby or shows a new one. What a new one may be is told by the different twists
around, each counted once however often it came, and beyond these by the Gaussian processes. How much each part counts
is chosen by how well every run is predicted from the others. The way of counting is that of hierarchical Pitman-Yor
processes (Y. W. Teh, "A hierarchical Bayesian language model based on Pitman-Yor processes", ACL 2006).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.spatial.distance import cdist

from moireloop_optimizer.space import Points
from moireloop_optimizer.twist_process import Floats, mass_within, normal_density

LEAST_GAIN: Final = 3.0
"""Gain in summed log density of left-out runs from which on repeats are believed in."""

REACHES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
CHOICES: Final[dict[str, tuple[float, ...]]] = {
    "same_deg": (0.03, 0.1, 0.3),
    "fresh": (0.1, 0.3, 1.0, 3.0),
    "discount": (0.0, 0.4, 0.8),
    "wider": (1.0, 2.0, 4.0),
    "near_deg": (0.5, 1.5, 4.0),
    "beyond": (0.5, 2.0, 8.0),
}
SWEEPS: Final = 2
TINY: Final = 1e-300


@dataclass(frozen=True)
class Habits:
    """How twists repeat. `reach` (d,): how far a run speaks for others, in sides of the unit cube.

    `same_deg`: width of a repeated twist. `fresh`: weight of a new twist, in runs, and `discount` that of each
    different one nearby. `wider`: how much farther new twists look around, `near_deg`: how far from those there they
    lie. `beyond`: weight of the Gaussian processes for a new twist, in runs.
    """

    reach: tuple[float, ...]
    same_deg: float = 0.03
    fresh: float = 1.0
    discount: float = 0.4
    wider: float = 2.0
    near_deg: float = 1.5
    beyond: float = 2.0


class RepeatedTwists:
    """What N runs say of the next one, by their habits.

    Args:
        points: (N, d) points of the unit cube.
        twist_deg: (N,) their twists in degrees, all finite.
        habits: as from `learn_habits`.
    """

    def __init__(self, points: Points, twist_deg: Floats, habits: Habits) -> None:
        self._points, self._twist_deg, self._habits = points, twist_deg, habits
        near = _others(_nearness(_squares(points, points, habits.reach), 1.0))
        self._share = _shares(near, twist_deg[:, None] - twist_deg, habits.same_deg)

    def mass(self, points: Points, target_deg: float, tolerance_deg: float, beyond: Floats, pending: Points) -> Floats:
        """(m,) probabilities that a run at (m, d) points comes within the tolerance of a target.

        Args:
            beyond: (m,) the same as the Gaussian processes have it.
            pending: (j, d) points on their way; where they lie, a new twist becomes less likely.
        """
        habits = self._habits
        squares = _squares(points, self._points, habits.reach)
        near, wide = _nearness(squares, 1.0), _nearness(squares, habits.wider) * self._share
        new = wide @ mass_within(target_deg, tolerance_deg, self._twist_deg, habits.near_deg) + habits.beyond * beyond
        new /= wide.sum(axis=1) + habits.beyond
        same = (near * (1.0 - habits.discount * self._share)) @ mass_within(
            target_deg, tolerance_deg, self._twist_deg, habits.same_deg
        )
        waiting = _nearness(_squares(points, pending, habits.reach), 1.0).sum(axis=1)
        opened = habits.fresh + habits.discount * (near @ self._share)
        mass: Floats = (same + opened * new) / (habits.fresh + near.sum(axis=1) + waiting)
        return mass


def learn_habits(points: Points, twist_deg: Floats, density: Floats, start: Habits | None = None) -> Habits | None:
    """The habits that predict left-out runs best; None where the Gaussian processes alone do as well.

    Args:
        points: (N, d) points of the unit cube.
        twist_deg: (N,) their twists in degrees.
        density: (N,) density of each by the Gaussian processes that know the others, per degree.
        start: habits to begin with too.
    """
    data = _Data(points, twist_deg, density)
    first = Habits((0.2,) * points.shape[1])
    second = replace(first, reach=(0.1,) * points.shape[1], same_deg=0.1, fresh=0.3, discount=0.0)
    best = max([first, second, *([start] if start else [])], key=data.score)
    for _ in range(SWEEPS):
        before = best
        for part in [*range(points.shape[1]), *CHOICES]:
            best = max([best, *_variants(best, part)], key=data.score)
        if best == before:
            break
    alone = float(np.log(density + TINY).sum())
    return best if data.score(best) > alone + LEAST_GAIN else None


def _variants(habits: Habits, part: int | str) -> list[Habits]:
    """The habits with one part changed: the reach along an axis, or what a name says."""
    if isinstance(part, str):
        return [replace(habits, **{part: value}) for value in CHOICES[part]]  # type: ignore[arg-type]
    reach = habits.reach
    return [replace(habits, reach=(*reach[:part], value, *reach[part + 1 :])) for value in REACHES]


class _Data:
    """Runs, each left out in turn; scores are kept, since a search comes by the same habits again."""

    def __init__(self, points: Points, twist_deg: Floats, density: Floats) -> None:
        self._squares = [(column[:, None] - column) ** 2 for column in points.T]
        self._apart_deg = twist_deg[:, None] - twist_deg
        self._density = density
        self._known: dict[Habits, float] = {}

    def score(self, habits: Habits) -> float:
        """Summed log density of every run's twist as the others predict it."""
        if habits not in self._known:
            self._known[habits] = float(np.log(self._left_out_density(habits) + TINY).sum())
        return self._known[habits]

    def _left_out_density(self, habits: Habits) -> Floats:
        squares = sum(square / reach**2 for square, reach in zip(self._squares, habits.reach, strict=True))
        near, wide = (_others(_nearness(squares, wider)) for wider in (1.0, habits.wider))
        share = _shares(near, self._apart_deg, habits.same_deg)
        new = (wide * share * normal_density(self._apart_deg, habits.near_deg)).sum(axis=1)
        new = (new + habits.beyond * self._density) / (wide @ share + habits.beyond)
        same = near * (1.0 - habits.discount * share) * normal_density(self._apart_deg, habits.same_deg)
        opened = habits.fresh + habits.discount * (near @ share)
        density: Floats = (same.sum(axis=1) + opened * new) / (habits.fresh + near.sum(axis=1))
        return density


def _squares(points: Points, others: Points, reach: tuple[float, ...]) -> Floats:
    """(m, j) squared distances of (m, d) and (j, d) points, each axis in units of its reach."""
    scaled, scaled_others = points / np.array(reach), others / np.array(reach)
    squares: Floats = cdist(scaled, scaled_others, "sqeuclidean")
    return squares


def _nearness(squares: Floats, wider: float) -> Floats:
    nearness: Floats = np.exp(-0.5 * squares / wider**2)
    return nearness


def _others(nearness: Floats) -> Floats:
    """The same with nothing on the diagonal: no run speaks for itself."""
    np.fill_diagonal(nearness, 0.0)
    return nearness


def _shares(near: Floats, apart_deg: Floats, same_deg: float) -> Floats:
    """(N,) the share of each run in its twist: one over the runs nearby that have the same, itself included."""
    shares: Floats = 1.0 / (1.0 + (near * np.exp(-0.5 * (apart_deg / (2.0 * same_deg)) ** 2)).sum(axis=1))
    return shares
