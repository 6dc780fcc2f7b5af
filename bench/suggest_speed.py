"""How long `auto` takes to suggest a candidate, and how much memory, by the number of results."""

from __future__ import annotations

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import numpy as np

from bench.landscapes import DIMENSION, Ridges
from bench.table import Row
from moireloop_optimizer.auto import AutoStrategy
from moireloop_optimizer.objective import Runs, Target
from moireloop_optimizer.sobol import sobol_points

PENDING: Final = 150
GOALS_S: Final = {50: 1.0, 500: 1.0, 5000: 5.0}
AFTER: Final = 5
MOST_MIB: Final = 1024
TARGETS: Final = [Target(twist_deg=8.5, tolerance_deg=0.1)]


def timed(results: int) -> tuple[float, float, float]:
    """Seconds of the first suggestion of a process, median seconds of the next ones, and MiB that they took."""
    points = sobol_points(results + AFTER, DIMENSION, seed=0)
    twists = np.array([Ridges().draw(point, np.random.default_rng(number)) for number, point in enumerate(points)])
    strategy, pending = AutoStrategy(0), sobol_points(PENDING, DIMENSION, seed=1)
    _suggest(AutoStrategy(0), points[:20], twists[:20], pending)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = [_suggest(strategy, points[: results + more], twists[: results + more], pending) for more in range(AFTER)]
    taken_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    return seconds[0], float(np.median(seconds[1:])), taken_kib / 1024


def _suggest(strategy: AutoStrategy, points: np.ndarray, twists: np.ndarray, pending: np.ndarray) -> float:
    begun_s = time.perf_counter()
    strategy.suggest(1, Runs(points, twists, np.full(len(points), 0.05)), pending, TARGETS, index=len(points))
    return time.perf_counter() - begun_s


def rows() -> list[Row]:
    """Time and memory of one suggestion with 150 pending."""
    found = []
    for results, goal_s in GOALS_S.items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            first_s, later_s, taken_mib = pool.submit(timed, results).result()
        name = f"a suggestion of auto at {results} results, {PENDING} pending"
        told = f"the first of a process, with all fits that lead to it, {first_s:.2f} s"
        found.append(Row(name, later_s, "s", goal_s, "at most", told))
        found.append(Row(f"memory of the same at {results} results", taken_mib, "MiB", MOST_MIB, "at most"))
    return found
