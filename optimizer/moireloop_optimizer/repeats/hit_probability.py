"""How often a recipe gives a target: equal points distinguished from others, and the share of repeats that hit (pure).

A recipe is looked at because a run of it hit. That run and the runs before it would bias the estimate, so they do not
count. Its hits and trials come from the runs after the first hit, however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.search import Points

EQUAL_WITHIN: Final = 1e-9
"""Largest difference of two coordinates that count as the same: the way to parameters and back rounds some 1e-16."""

LEVEL: Final = 0.95

Labels = npt.NDArray[np.intp]

Counts = npt.NDArray[np.intp]

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Repeats:
    """Of each of G recipes: the row of its first hit (-1 without one), and the hits and trials after it, all (G,)."""

    first_hit: Counts
    hits: Counts
    trials: Counts

    @property
    def interval(self) -> tuple[Shares, Shares]:
        """Low and high ends (G,) of the interval of each recipe's probability."""
        return jeffreys_interval(self.hits, self.trials)


@dataclass(frozen=True)
class HitProbability:
    """How often repeats of one recipe hit."""

    hits: int
    trials: int

    @property
    def estimate(self) -> float | None:
        """hits / trials; None where there was no trial."""
        return self.hits / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high end of the probability's interval; all of [0, 1] where there was no trial."""
        low, high = jeffreys_interval(np.array([self.hits]), np.array([self.trials]))
        return float(low[0]), float(high[0])


def equal_rows(points: Points, within: float = EQUAL_WITHIN) -> Labels:
    """Which of (N, d) points are the same: (N,) numbers of groups, counted up in the order of their first rows.

    In each coordinate, sorted, a step of more than `within` parts two groups. Points must be finite.
    """
    if not len(points):
        return np.zeros(0, dtype=np.intp)
    columns = np.stack([_column_groups(column, within) for column in points.T], axis=1)
    _, first, label = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.intp)
    number[np.argsort(first)] = np.arange(len(first))
    return number[label.ravel()]


def repeats_of(label: Labels, is_hit: npt.NDArray[np.bool_]) -> Repeats:
    """What came after the first hit of each recipe.

    Args:
        label: (N,) recipe of each run, in the order in which the runs came, as from `equal_rows`.
        is_hit: (N,) whether the run came within the target's tolerance; one without a twist did not.
    """
    count, row = int(label.max(initial=-1)) + 1, np.arange(len(label))
    first = np.full(count, len(label))
    np.minimum.at(first, label[is_hit], row[is_hit])
    after = row > first[label]
    hits, trials = (np.bincount(label[chosen], minlength=count) for chosen in (after & is_hit, after))
    return Repeats(np.where(first < len(label), first, -1), hits, trials)


def jeffreys_interval(hits: Counts, trials: Counts, level: float = LEVEL) -> tuple[Shares, Shares]:
    """Two-sided interval of a probability from (G,) hits in (G,) trials: its low and high ends, (G,) each.

    The equal-tailed interval of Jeffreys' prior, Beta(1/2, 1/2), with the low end 0 where nothing hit and the high end
    1 where all did: of those that Brown, Cai and DasGupta, Statistical Science 16 (2001) 101, recommend for few
    trials. Without a trial it is [0, 1].
    """
    if not np.any(trials):
        return np.zeros(np.shape(trials)), np.ones(np.shape(trials))
    from scipy.special import betaincinv  # takes longer to import than `moireloop status` has

    tail = (1 - level) / 2
    a, b = hits + 0.5, trials - hits + 0.5
    low = np.where(hits == 0, 0.0, betaincinv(a, b, tail))
    high = np.where(hits == trials, 1.0, betaincinv(a, b, 1 - tail))
    return low, high


def _column_groups(column: npt.NDArray[np.float64], within: float) -> Labels:
    order = np.argsort(column, kind="stable")
    group = np.empty(len(column), dtype=np.intp)
    group[order] = np.concatenate([[0], np.cumsum(np.diff(column[order]) > within)])
    return group
