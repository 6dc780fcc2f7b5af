"""Which recipes get replicates with other seeds, to learn how reliably they hit their target (pure).

A recipe that hit is owed `goal` runs after its first hit. Pending runs count. The next replicate goes

1. to the target with the fewest replicates, run or pending;
2. among its recipes, to the one that may yet be the most reliable: the highest upper end of the interval, then the
   highest lower end, then the least regret. So a recipe without a miss gets all its replicates before another begins;
3. never to a recipe whose interval lies wholly below another recipe's interval for the target.

Replicates are at most a share of all runs: a small one while some target has not been hit, since the search comes
first, and a half from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.repeats.hit_probability import Counts, Labels, Shares, equal_rows, repeats_of
from moireloop_optimizer.runs import Runs, is_within
from moireloop_optimizer.strategy import REPLICATE, Strategy, Suggestion

SHARE_WHILE_SEARCHING: Final = 0.1

SHARE_WHEN_FOUND: Final = 0.5


@dataclass(frozen=True)
class Replicate:
    """A point (d,) of the unit cube to run again, exactly as it was, and the place of its target among the targets."""

    point: Points
    aim: int


@dataclass(frozen=True)
class _Hits:
    """K pairs of a recipe and a target that it hit, (K,) each: recipe, aim, trials, regret and interval."""

    recipe: Labels
    aim: Labels
    trials: Counts
    regret_deg: npt.NDArray[np.float64]
    low: Shares
    high: Shares


def next_replicates(runs: Runs, pending: Points, targets: Sequence[Target], *, goal: int, n: int) -> list[Replicate]:
    """At most n repeats worth running now, the most useful first; none where nothing is worth it.

    Args:
        runs: what was measured, in the order in which it came; a run without a twist counts as a miss.
        pending: (m, d) points on their way, repeats among them.
        goal: runs of each recipe after its first hit; 0 asks for none.
    """
    label = equal_rows(np.concatenate([runs.points, pending]))
    ran, waiting = label[: len(runs)], np.bincount(label[len(runs) :], minlength=int(label.max(initial=-1)) + 1)
    hits = _hits(ran, runs, targets)
    room = min(n, _room(ran, waiting, runs, hits, targets))
    chosen: list[int] = []
    while len(chosen) < room:
        pick = _most_useful(hits, waiting, goal)
        if pick is None:
            break
        waiting[hits.recipe[pick]] += 1
        chosen.append(pick)
    first = np.unique(ran, return_index=True)[1]
    return [Replicate(runs.points[first[hits.recipe[pick]]], int(hits.aim[pick])) for pick in chosen]


def _hits(ran: Labels, runs: Runs, targets: Sequence[Target]) -> _Hits:
    parts = [_hits_of(ran, runs, target, aim) for aim, target in enumerate(targets)]
    return _Hits(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _hits_of(ran: Labels, runs: Runs, target: Target, aim: int) -> tuple[npt.NDArray[np.float64] | Labels, ...]:
    repeats = repeats_of(ran, is_within(runs.twist_deg, target))
    low, high = repeats.interval
    recipe = np.flatnonzero(repeats.first_hit >= 0)
    regret_deg = np.abs(runs.twist_deg[repeats.first_hit[recipe]] - target.twist_deg)
    return recipe, np.full(len(recipe), aim), repeats.trials[recipe], regret_deg, low[recipe], high[recipe]


def _room(ran: Labels, waiting: Counts, runs: Runs, hits: _Hits, targets: Sequence[Target]) -> int:
    """How many more repeats their share of all runs allows."""
    is_hit = np.any([is_within(runs.twist_deg, target) for target in targets], axis=0)
    spent = repeats_of(ran, is_hit).trials.sum() + waiting[np.unique(hits.recipe)].sum()
    share = SHARE_WHEN_FOUND if len(np.unique(hits.aim)) == len(targets) else SHARE_WHILE_SEARCHING
    return int(share * (len(ran) + waiting.sum())) - int(spent)


def _most_useful(hits: _Hits, waiting: Counts, goal: int) -> int | None:
    """Place of the pair to repeat next (see the top of this module)."""
    if not len(hits.recipe):
        return None
    best_low = np.zeros(hits.aim.max() + 1)
    np.maximum.at(best_low, hits.aim, hits.low)
    done = hits.trials + waiting[hits.recipe]
    spent = np.bincount(hits.aim, done)[hits.aim]
    worth = np.flatnonzero((done < goal) & (hits.high >= best_low[hits.aim]))
    order = np.lexsort([key[worth] for key in (hits.regret_deg, -hits.low, -hits.high, spent)])
    return int(worth[order[0]]) if len(order) else None


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
