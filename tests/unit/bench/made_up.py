"""Searches that are made up so that the answer is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.grid import LEVELS, SEEDS
from bench.paper_figures.claims import Evidence
from bench.paper_figures.searches import AS_PUBLISHED, BATCH, MAIN_TARGET_DEG, OTHER_TARGETS_DEG, Setup
from bench.search import Trace
from moireloop_optimizer.sobol import sobol_points

REPETITIONS = 3
INITIAL, SAMPLES = 5, 65
SHAPE = (*map(len, LEVELS.values()), SEEDS)
GRID_DEG = np.resize(np.repeat([8.5, 15.0, 25.0], [8, 5, 3]), SHAPE)

HIT_FIRST: dict[tuple[str, int], int] = {("qei", 5): 9, ("qei", 15): 14, ("qei", 30): 39, ("thompson", 15): 4}
"""Place among the proposed samples of the first hit; every third one is a hit from there on."""


def searched(setup: Setup, first: int | None) -> Trace:
    """A search whose proposals miss by five degrees up to its first hit, and hit every third time from there on."""
    twists = np.full(SAMPLES, setup.target_deg - 5.0)
    if first is not None:
        twists[INITIAL + first :: 3] = setup.target_deg
    points = sobol_points(SAMPLES, 3, seed=setup.repetition)
    return Trace(points, twists, np.zeros(SAMPLES, dtype=np.int64), INITIAL)


def evidence(hit_first: Mapping[tuple[str, int], int]) -> Evidence:
    """All searches as published; a strategy and size that is not listed never hits."""
    setups = [
        Setup(name, n, MAIN_TARGET_DEG, repetition)
        for name, sizes in AS_PUBLISHED.items()
        for n in sizes
        for repetition in range(REPETITIONS)
    ]
    setups += [Setup("thompson", BATCH, t, repetition) for t in OTHER_TARGETS_DEG for repetition in range(REPETITIONS)]
    return Evidence(
        {setup: searched(setup, hit_first.get((setup.strategy, setup.n_batch))) for setup in setups}, GRID_DEG
    )
