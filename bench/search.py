"""One search on a landscape, batch by batch, as a campaign would make it (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.landscapes import Emulator, Floats, Landscape
from moireloop_broker.contract.search import Target
from moireloop_optimizer.runs import Runs, is_within
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import Strategy

SIGMA_DEG: Final = 0.05
"""Standard error that a measured twist is said to have."""


@dataclass(frozen=True)
class Trace:
    """All samples of a search in their order: points (N, d) and twists (N,) in degrees, NaN where there was none.

    `aims` (N,) are the places of the targets that they were proposed for, -1 for the initial samples. `lattices` as in
    `Runs`, where the landscape has any.
    """

    points: Floats
    twist_deg: Floats
    aims: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    initial: int
    lattices: Floats | None = None

    def regret_deg(self, target: Target) -> Floats:
        """(N,) distances from a target, infinite where there was no twist."""
        return np.where(np.isfinite(self.twist_deg), np.abs(self.twist_deg - target.twist_deg), np.inf)

    def samples_to(self, target: Target) -> int | None:
        """Samples, the initial ones included, up to the first that reached a target; None where none did."""
        within = np.flatnonzero(is_within(self.twist_deg, target))
        return int(within[0]) + 1 if len(within) else None


def search(
    landscape: Landscape,
    strategy: Strategy | None,
    targets: Sequence[Target],
    *,
    initial: int,
    n_batch: int,
    budget: int,
    seed: int,
    until_reached: bool = False,
) -> Trace:
    """Sobol samples, then batches, each chosen when all before it are known.

    Args:
        strategy: None goes on with the Sobol sequence.
        initial: samples of the initial design; they depend on the seed alone.
        budget: samples in all.
        seed: of the initial design, of the runs, and of nothing else: strategies have their own.
        until_reached: whether to stop with the batch in which the last target is reached.
    """
    dimension = landscape.dimension
    trace = Trace(np.zeros((0, dimension)), np.zeros(0), np.zeros(0, dtype=np.int64), initial)
    nothing = np.zeros((0, dimension))
    while len(trace.points) < budget:
        done = len(trace.points)
        if until_reached and done and all(trace.samples_to(target) is not None for target in targets):
            break
        n = min(initial - done if done < initial else n_batch, budget - done)
        if done < initial or strategy is None:
            points, aims = sobol_points(n, dimension, seed=seed, index=done), [-1] * n
        else:
            made = strategy.suggest(n, runs_of_trace(trace), nothing, targets, index=done)
            points, aims = made.points, list(made.aims)
        trace = _with_runs(trace, landscape, points, aims, seed)
    return trace


def runs_of_trace(trace: Trace) -> Runs:
    """What a strategy knows of a search so far."""
    sigma_deg = np.where(np.isfinite(trace.twist_deg), SIGMA_DEG, np.nan)
    return Runs(trace.points, trace.twist_deg, sigma_deg, trace.lattices)


def _with_runs(trace: Trace, landscape: Landscape, points: Floats, aims: Sequence[int], seed: int) -> Trace:
    first = len(trace.points)
    randoms = [np.random.default_rng((seed, first + place)) for place in range(len(points))]
    lattices: Floats | None = None
    if isinstance(landscape, Emulator):
        runs = [landscape.draw_run(point, rng) for point, rng in zip(points, randoms, strict=True)]
        twist_deg = [run.twist_deg for run in runs]
        new = np.array([run.lattices for run in runs])
        lattices = new if trace.lattices is None else np.concatenate([trace.lattices, new])
    else:
        twists = [landscape.draw(point, rng) for point, rng in zip(points, randoms, strict=True)]
        twist_deg = [np.nan if twist is None else twist for twist in twists]
    return Trace(
        np.concatenate([trace.points, points]),
        np.concatenate([trace.twist_deg, twist_deg]),
        np.concatenate([trace.aims, np.asarray(aims, dtype=np.int64)]),
        trace.initial,
        lattices,
    )
