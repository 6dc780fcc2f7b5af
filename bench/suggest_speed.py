"""How long `auto` takes to suggest a candidate, and how much memory, by the number of results."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Final

import numpy as np

from bench.landscapes import landscapes
from bench.scattered import DIMENSION
from bench.search import runs_of_trace, search
from bench.table import Row
from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.auto.strategy import AutoStrategy
from moireloop_optimizer.repeats.replicates import Replicating
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import Strategy

LANDSCAPES: Final = ("ridges", "bead")
"""By the Gaussian process alone, and with repeats and pairs of layers."""

PENDING: Final = 150
GOALS_S: Final = {50: 1.0, 500: 1.0, 5000: 5.0}
AFTER: Final = 5
MOST_MIB: Final = 1024
LARGE: Final = (1000, 10_000, 100_000)
MANY: Final = 500
PENDING_MANY: Final = 10_000
MANY_GOAL_S: Final = 2.0
MANY_MIB: Final = 2048
MEASURED: Final = 4
REPEATS: Final = 4
TARGETS: Final = [Target(twist_deg=8.5, tolerance_deg=0.1)]


def timed(name: str, results: int) -> tuple[float, float, float]:
    """Seconds of the first suggestion of a process, median seconds of the next ones, and MiB that they took."""
    runs = random_runs(name, results + AFTER)
    strategy, pending = AutoStrategy(0), sobol_points(PENDING, DIMENSION, seed=1)
    _suggest(AutoStrategy(0), runs, 20, pending)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = [_suggest(strategy, runs, results + more, pending) for more in range(AFTER)]
    taken_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    return seconds[0], float(np.median(seconds[1:])), taken_kib / 1024


def timed_many(name: str, results: int, number: int) -> tuple[float, float, float, float]:
    """Seconds and CPU seconds of many candidates at once, seconds of one alone, and MiB that they took.

    As in the fit process, with repeats of hits, and enough pending candidates for most workers of a machine.
    """
    runs = random_runs(name, results + MEASURED)
    strategy, pending = Replicating(AutoStrategy(0), REPEATS), sobol_points(PENDING_MANY, DIMENSION, seed=1)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _suggest(strategy, runs, results, pending, number)
    alone_s = _suggest(strategy, runs, results, pending)
    wall_s, cpu_s = [], []
    for more in range(1, MEASURED):
        begun_s = time.process_time()
        wall_s.append(_suggest(strategy, runs, results + more, pending, number))
        cpu_s.append(time.process_time() - begun_s)
    taken_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    return float(np.median(wall_s)), float(np.median(cpu_s)), alone_s, taken_kib / 1024


def random_runs(name: str, count: int) -> Runs:
    """Runs of a landscape, with all that a strategy receives of them."""
    made = search(landscapes()[name], None, TARGETS, initial=count, n_batch=1, budget=count, seed=0)
    return runs_of_trace(made)


def _suggest(strategy: Strategy, runs: Runs, count: int, pending: Points, number: int = 1) -> float:
    first = runs.first(count)
    begun_s = time.perf_counter()
    strategy.suggest(number, first, pending, TARGETS, index=count)
    return time.perf_counter() - begun_s


def rows(
    names: Sequence[str] = LANDSCAPES,
    sizes: Sequence[int] = tuple(GOALS_S),
    large: Sequence[int] = LARGE,
    number: int = MANY,
) -> list[Row]:
    """Time and memory of one suggestion with 150 pending, and of many at once, after each number of results."""
    found = []
    for name, results in product(names, sizes):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            first_s, later_s, taken_mib = pool.submit(timed, name, results).result()
        what = f"a suggestion of auto at {results} results of {name}, {PENDING} pending"
        note = f"the first of a process, with all fits that lead to it, {first_s:.2f} s"
        found.append(Row(what, later_s, "s", GOALS_S.get(results, 1.0), "at most", note))
        found.append(Row(f"memory of the same at {results} results of {name}", taken_mib, "MiB", MOST_MIB, "at most"))
    return found + [row for name, results in product(names, large) for row in _rows_of_many(name, results, number)]


def _rows_of_many(name: str, results: int, number: int) -> list[Row]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        wall_s, cpu_s, alone_s, taken_mib = pool.submit(timed_many, name, results, number).result()
    what = f"{number} candidates at once at {results} results of {name}, {PENDING_MANY} pending"
    note = f"CPU {cpu_s:.2f} s; one alone {alone_s:.2f} s, so {number} in turn {number * alone_s:.0f} s"
    return [
        Row(what, wall_s, "s", MANY_GOAL_S, "at most", note),
        Row(f"memory of {number} at once at {results} results of {name}", taken_mib, "MiB", MANY_MIB, "at most"),
    ]
