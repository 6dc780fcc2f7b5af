"""What is read off a search: the best of each cycle, hits, efficiency, spread, recipes; and off a grid (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from bench.grid import LEVELS, SEEDS
from bench.landscapes import Emulator, Floats, Landscape
from bench.search import Trace
from moireloop_broker.contract.search import Target
from moireloop_optimizer.runs import is_within

NEAR_DEG: Final = 0.15
"""What the paper calls near: its 8.39 to 8.57 for 8.5 are, its 8.2 is not."""

COHERENT_DEG: Final = 0.5
"""A wider tolerance: moireloop's default, about the step between coherent twists of a small cell."""

APART: Final = 0.25
"""Distance in the unit cube from which on two hits count as different recipes."""

RESAMPLES: Final = 4000


@dataclass(frozen=True)
class Efficiency:
    """How often proposals hit the target: hits in a hundred proposed samples, and in a cycle."""

    per_100_samples: float
    per_cycle: float


@dataclass(frozen=True)
class Interval:
    """A mean over repetitions and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> Literal[-1, 0, 1]:
        """On which side of zero the whole interval lies; 0 where it holds zero."""
        if self.low > 0.0:
            return 1
        return -1 if self.high < 0.0 else 0


def cycles(trace: Trace, n_batch: int) -> list[Trace]:
    """The batches of a search after its initial samples, each as a trace of its own; the last may be smaller."""
    return [part(trace, first, first + n_batch) for first in range(trace.initial, len(trace.points), n_batch)]


def part(trace: Trace, first: int, last: int) -> Trace:
    """Samples from `first` to before `last`."""
    return Trace(trace.points[first:last], trace.twist_deg[first:last], trace.aims[first:last], 0)


def best_per_cycle_deg(trace: Trace, target: Target, n_batch: int) -> Floats:
    """(cycles + 1,) least regret within each batch, the initial samples first; infinite where no twist was."""
    batches = [part(trace, 0, trace.initial), *cycles(trace, n_batch)]
    return np.array([batch.regret_deg(target).min() for batch in batches])


def closest_deg(trace: Trace, target: Target) -> float:
    """Least regret of a search, its initial samples included."""
    return float(trace.regret_deg(target).min())


def hits(trace: Trace, target: Target) -> npt.NDArray[np.int64]:
    """Places of the proposed samples within the target's tolerance; initial samples are not proposed by a strategy."""
    places = np.flatnonzero(is_within(trace.twist_deg, target))
    return places[places >= trace.initial]


def efficiency(trace: Trace, target: Target, n_batch: int) -> Efficiency:
    """The paper's "average rate describing how fast the BO iteration cycles" generate its target, made precise."""
    found = len(hits(trace, target))
    return Efficiency(100.0 * found / (len(trace.points) - trace.initial), found / len(cycles(trace, n_batch)))


def samples_to_hit(trace: Trace, target: Target) -> int:
    """Proposed samples up to the first hit; all of them where there was none."""
    found = hits(trace, target)
    return int(found[0]) + 1 - trace.initial if len(found) else len(trace.points) - trace.initial


def cycles_to_hit(trace: Trace, target: Target, n_batch: int) -> int:
    """Cycles up to the first hit; all of them where there was none."""
    return -(-samples_to_hit(trace, target) // n_batch)


def spread(trace: Trace, n_batch: int) -> float:
    """Mean distance in the unit cube between two points of one batch; 0.66 for random points."""
    means = [_mean_distance(batch.points) for batch in cycles(trace, n_batch) if len(batch.points) > 1]
    return float(np.mean(means))


def _mean_distance(points: Floats) -> float:
    distances = np.linalg.norm(points[:, None] - points[None, :], axis=2)
    return float(distances[np.triu_indices(len(points), 1)].mean())


def recipes(trace: Trace, target: Target) -> list[int]:
    """Places of samples within the tolerance, initial ones too, that lie APART from each other; the closest first."""
    within = np.flatnonzero(is_within(trace.twist_deg, target))
    chosen: list[int] = []
    for place in within[np.argsort(trace.regret_deg(target)[within])].tolist():
        if all(np.linalg.norm(trace.points[place] - trace.points[other]) >= APART for other in chosen):
            chosen.append(place)
    return chosen


def interval(values: Sequence[float]) -> Interval:
    """Mean of one value a repetition, and its bootstrap interval; of three values the interval is their range."""
    array = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(0).choice(array, size=(RESAMPLES, len(array))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(array.mean()), float(low), float(high))


def grid_twists_deg(landscape: Landscape) -> Floats:
    """(temperatures, lattice strains, shears, seeds) twists in degrees at the places of the grid; NaN without a twist.

    Those of the emulator are the runs themselves, with NaN where a place has fewer of them than SEEDS.
    """
    shape = tuple(len(levels) for levels in LEVELS.values())
    twists = np.full((*shape, SEEDS), np.nan)
    for place in np.ndindex(*shape):
        if isinstance(landscape, Emulator):
            runs = [run.twist_deg for run in landscape.runs_at(place)[:SEEDS]]
        else:
            point = np.array(place) / (np.array(shape) - 1)
            number = int(np.ravel_multi_index(place, shape))
            drawn = [landscape.draw(point, np.random.default_rng((number, seed))) for seed in range(SEEDS)]
            runs = [np.nan if twist is None else twist for twist in drawn]
        twists[place][: len(runs)] = runs
    return twists


@dataclass(frozen=True)
class Roughness:
    """Mean differences of two twists in degrees: of neighbours along each axis, of two seeds, of any two runs.

    `explained` is the share of the variance of twists that the growth parameters explain; the rest is scatter from
    seed to seed at one place. By chance it may fall a little below zero where they explain nothing.
    """

    neighbours_deg: tuple[float, float, float]
    seeds_deg: float
    any_deg: float
    explained: float


def roughness(twists_deg: Floats) -> Roughness:
    """How much twists differ from one level of the grid to the next; see grid_twists_deg for the array."""
    first, second, third = (float(np.nanmean(np.abs(np.diff(twists_deg, axis=axis)))) for axis in range(3))
    known = twists_deg[np.isfinite(twists_deg)]
    shuffled = np.random.default_rng(0).permutation(known)
    between_seeds = np.diff(twists_deg, axis=3)
    return Roughness(
        (first, second, third),
        float(np.nanmean(np.abs(between_seeds))),
        float(np.abs(known - shuffled).mean()),
        1.0 - float(np.nanmean(between_seeds**2)) / (2.0 * float(known.var())),
    )


def tolerance_deg(twists_deg: Floats, target_deg: float) -> float:
    """NEAR_DEG, or a little more than the distance of the nearest twist of a grid where none comes so near."""
    nearest = float(np.nanmin(np.abs(twists_deg - target_deg)))
    return max(NEAR_DEG, round(nearest + 0.05, 2))
