"""How fast a frame is reduced to its twist, on one thread, from 864 atoms to a million."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from statistics import median

import numpy as np

from bench.table import Row
from moireloop_analyzer.twist import TwistEstimate, measure_twist
from tests.helpers.corpus.build import Case, undirected
from tests.helpers.corpus.plan import Plan

GOALS_MS = {864: 0.5, 10_000: 3.0, 100_000: 25.0, 1_000_000: 300.0}
PEER_MS = {864: 5.5, 100_000: 19.0}
"""MatEnsemble on two shared cores; it looks at about 20 atoms, whatever the size (design)."""

HOT_ANGSTROM = 0.1
WARM_UPS = 3
MOST_REPEATS = 200
SECONDS_EACH = 4.0
FIRST_CALL_GOAL_S = 0.5

FIRST_CALL = """
import json, sys, time
begun = time.perf_counter()
from bench.twist_speed import hot_frame, measured
imported = time.perf_counter()
frame = hot_frame(864, chalcogens=True)
built = time.perf_counter()
measured(frame)
first = time.perf_counter()
measured(frame)
json.dump([imported - begun, first - built, time.perf_counter() - first], sys.stdout)
"""


def hot_frame(atoms: int, *, chalcogens: bool) -> Case:
    """A closed bilayer twisted by about 8 degrees with 0.1 angstrom of noise, of nearly this many atoms in all."""
    sites = atoms / (6 if chalcogens else 2)
    long = round(math.sqrt(sites))
    plan = Plan(
        atoms=round(sites),
        twist_deg=8.2,
        turn_deg=0.0,
        chalcogens=chalcogens,
        antiparallel=False,
        noise=HOT_ANGSTROM,
        most_clamped=0.05,
        rows=(long, round(sites / long)),
    )
    return undirected(plan, np.random.default_rng(4))


def measured(case: Case) -> TwistEstimate:
    """The analyzer's call, as the service makes it."""
    frame = case.bilayer
    return measure_twist(
        frame.positions,
        frame.types,
        frame.cell,
        frame.pbc,
        metal_types=case.metal_types,
        chalcogen_types=case.chalcogen_types,
    )


def times_s(case: Case, seconds: float = SECONDS_EACH) -> list[float]:
    """Wall times of repeated calls after warm-up, for some seconds."""
    for _ in range(WARM_UPS):
        measured(case)
    times: list[float] = []
    while len(times) < 5 or (len(times) < MOST_REPEATS and sum(times) < seconds):
        begun_s = time.perf_counter()
        measured(case)
        times.append(time.perf_counter() - begun_s)
    return times


def rows(sizes: Sequence[int] = tuple(GOALS_MS), seconds: float = SECONDS_EACH, *, cold: bool = True) -> list[Row]:
    """Milliseconds a frame at some sizes for MoS2 and beads, and the first call of a fresh process.

    Without `cold` its kernels are those that were compiled before, in the folder where they are kept.
    """
    sized = [_row(atoms, seconds, chalcogens=kind) for kind in (True, False) for atoms in sizes]
    return [*sized, *_first_calls(cold=cold)]


def _row(atoms: int, seconds: float, *, chalcogens: bool) -> Row:
    case = hot_frame(atoms, chalcogens=chalcogens)
    count, times = len(case.upper), times_s(case, seconds)
    if measured(case).twist_deg is None:
        raise RuntimeError(f"the frame of {atoms} atoms was refused: nothing was measured")
    best, typical = min(times), median(times)
    peer = f"; MatEnsemble {PEER_MS[atoms]:g} ms, of about 20 atoms" if atoms in PEER_MS else ""
    baseline = (
        f"median {1e3 * typical:.3g} ms of {len(times)}, {1 / typical:,.0f} frames/s, "
        f"{1e9 * best / count:.0f} ns an atom{peer}"
    )
    name = f"twist, {'MoS2' if chalcogens else 'bead'}, {count:,} atoms"
    return Row(name, 1e3 * best, "ms", GOALS_MS[atoms], "at most", baseline)


def _first_calls(*, cold: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        compiling, cached = (_first_call(folder if cold else None) for _ in range(2))
    says = "import {:.2f} s, then {:.0f} ms for the first call and {:.2f} ms for the second"
    with_cache = says.format(cached[0], 1e3 * cached[1], 1e3 * cached[2])
    bare = f"without the cache {compiling[1]:.1f} s; with it {with_cache}"
    return [Row("first twist of a process, compiled before", cached[1], "s", FIRST_CALL_GOAL_S, "at most", bare)]


def _first_call(cache: str | None) -> list[float]:
    """Seconds to import, for the first call and for the second, in a new process with this folder for compiled code."""
    environment = {**os.environ, **({} if cache is None else {"NUMBA_CACHE_DIR": cache})}
    command = [sys.executable, "-c", FIRST_CALL]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout)
    return found
