"""Asynchronous proposals against batches at equal wall-clock time, where runs take unequally long (pure).

Workers in simulated time: the strategies, their pending points and the landscapes are the real ones, only the clock is
made up, so that a hundred campaigns take minutes. Run times are log-normal: of two runs one takes twice as long as the
other, or longer, in a third of all cases, as early ends and unequal nodes bring about.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np

from bench.landscapes import Floats, Landscape, landscapes
from bench.scattered import DIMENSION
from bench.search import SIGMA_DEG
from bench.table import Row
from moireloop_broker.contract.search import Target
from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.runs import Runs, is_within
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import Strategy

WORKERS: Final = 8
INITIAL: Final = 8
SPREAD: Final = 0.5
"""Standard deviation of the logarithm of a run's time; its median is the unit of time."""

MOST_TIME: Final = 40.0
CAMPAIGNS: Final = 12
PLACES: Final = (("smooth", 8.5), ("ridges", 8.5))


@dataclass
class Clocked:
    """Runs as they came to their ends: points, twists and times, in units of the median run time."""

    points: list[Floats] = field(default_factory=list)
    twist_deg: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    busy: float = 0.0

    def runs(self) -> Runs:
        """What a strategy receives."""
        twists = np.array(self.twist_deg)
        return Runs(
            np.array(self.points).reshape(-1, DIMENSION), twists, np.where(np.isfinite(twists), SIGMA_DEG, np.nan)
        )

    def time_to(self, target: Target) -> float:
        """When the first run within a target's tolerance ended; the time limit where none did."""
        within = np.flatnonzero(is_within(np.array(self.twist_deg), target))
        return self.ended[within[0]] if len(within) else MOST_TIME


def clocked(
    landscape: Landscape, strategy: Strategy, target: Target, *, is_batch: bool, seed: int, most: float = MOST_TIME
) -> Clocked:
    """One campaign of 8 workers until its target is reached or the time is over.

    Args:
        is_batch: whether 8 points are chosen at a time, when all runs before have ended; else one for each worker that
            becomes free, with what the others run as pending.
        most: the time limit.
    """
    made, running, free_at, started = Clocked(), list[tuple[float, int, Floats]](), 0.0, 0
    while free_at < most and not is_within(np.array(made.twist_deg), target).any():
        wanted = WORKERS - len(running) if not is_batch or not running else 0
        if wanted:
            pending = np.array([point for _, _, point in running]).reshape(-1, DIMENSION)
            for point in _points(strategy, made, pending, target, wanted, started, seed):
                time = float(np.exp(SPREAD * np.random.default_rng((seed, 1, started)).standard_normal()))
                heapq.heappush(running, (free_at + time, started, point))
                started, made.busy = started + 1, made.busy + time
        free_at, number, point = heapq.heappop(running)
        twist_deg = landscape.draw(point, np.random.default_rng((seed, number)))
        made.points.append(point)
        made.twist_deg.append(np.nan if twist_deg is None else twist_deg)
        made.ended.append(free_at)
    return made


def _points(
    strategy: Strategy, made: Clocked, pending: Floats, target: Target, n: int, started: int, seed: int
) -> Floats:
    if started < INITIAL:
        return sobol_points(n, DIMENSION, seed=seed, index=started)
    return strategy.suggest(n, made.runs(), pending, [target], index=started).points


def rows(places: Sequence[tuple[str, float]] = PLACES, campaigns: int = CAMPAIGNS) -> list[Row]:
    """Time to the first hit, asynchronous over batch, and results by the same time."""
    return [_row(name, target_deg, AutoStrategy, campaigns) for name, target_deg in places]


def _row(name: str, target_deg: float, strategy: Callable[[int], Strategy], campaigns: int) -> Row:
    target = Target(twist_deg=target_deg, tolerance_deg=0.1)
    pairs = [
        [
            clocked(landscapes()[name], strategy(seed), target, is_batch=is_batch, seed=seed)
            for is_batch in (False, True)
        ]
        for seed in range(campaigns)
    ]
    ours, theirs = (median(pair[which].time_to(target) for pair in pairs) for which in (0, 1))
    rates = [median(len(pair[which].ended) / pair[which].ended[-1] for pair in pairs) for which in (0, 1)]
    note = (
        f"medians of {campaigns} campaigns of {WORKERS} workers: {ours:.1f} and {theirs:.1f} run times; "
        f"{rates[0]:.1f} and {rates[1]:.1f} results in one run time"
    )
    return Row(
        f"{name}, {target_deg:g}: time to the first hit, async over batch", ours / theirs, "", 1.0, "at most", note
    )
