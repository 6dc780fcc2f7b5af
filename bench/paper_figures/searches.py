"""The searches that the figures are drawn from: which ones, and the cache that keeps their samples (adapter).

In a repetition all searches begin with the same initial samples; between repetitions these differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from bench.landscapes import Landscape
from bench.published import Published
from bench.search import Trace, search
from bench.search_pool import search_pool
from moireloop_broker.contract.search import Target
from moireloop_optimizer.regret.per_target import PerTarget
from moireloop_optimizer.strategies import strategy_named
from moireloop_optimizer.strategy import Strategy

INITIAL: Final = 13
"""Initial samples; the paper does not say, its sample 38 in cycle 5 of 5 and 58 in cycle 4 of 15 imply about 13."""

BUDGET: Final = 120
MAIN_TARGET_DEG: Final = 8.5
OTHER_TARGETS_DEG: Final = (15.0, 25.0)
BATCH: Final = 15
SMALL_BATCH: Final = 5
LARGE_BATCH: Final = 30

AS_PUBLISHED: Final[dict[str, tuple[int, ...]]] = {
    "random": (BATCH,),
    "qei": (SMALL_BATCH, BATCH, LARGE_BATCH),
    "thompson": (SMALL_BATCH, BATCH, LARGE_BATCH),
}
"""Strategies and their sizes of a batch, on every landscape."""

BESIDE: Final[dict[str, tuple[int, ...]]] = {
    "thompson-draws": (SMALL_BATCH, BATCH),
    "moireloop-thompson": (BATCH,),
    "moireloop-qei": (BATCH,),
}
"""The other reading of the paper, and the strategies of moireloop; on the bead model alone."""

OURS: Final = "moireloop-"


@dataclass(frozen=True, order=True)
class Setup:
    """One search: who searches, in batches of how many, for which twist, and which repetition it is."""

    strategy: str
    n_batch: int
    target_deg: float
    repetition: int


Traces = dict[Setup, Trace]


def setups(repetitions: int, *, beside: bool) -> list[Setup]:
    """All searches of a landscape, repetition by repetition; `beside` adds those that are not as published."""
    sizes = {**AS_PUBLISHED, **(BESIDE if beside else {})}
    found = []
    for repetition in range(repetitions):
        found += [Setup(name, n, MAIN_TARGET_DEG, repetition) for name, batches in sizes.items() for n in batches]
        found += [Setup("thompson", BATCH, target, repetition) for target in OTHER_TARGETS_DEG]
    return found


def searched(landscape: Landscape, setup: Setup, *, initial: int = INITIAL, budget: int = BUDGET) -> Trace:
    """Carry out one search."""
    return search(
        landscape,
        _strategy(setup),
        [Target(twist_deg=setup.target_deg)],
        initial=initial,
        n_batch=setup.n_batch,
        budget=budget,
        seed=setup.repetition,
    )


def _strategy(setup: Setup) -> Strategy | None:
    match setup.strategy:
        case "random":
            return None
        case "qei" | "thompson" | "thompson-draws" as name:
            return PerTarget(Published(name, setup.repetition))
        case name:
            return strategy_named(name.removeprefix(OURS), setup.repetition)


def all_searched(
    landscape: Landscape, wanted: Sequence[Setup], cache: Path, source: str, *, processes: int = 1
) -> Iterator[Traces]:
    """The wanted searches, from the cache as far as it has them: after each that had to be made, and at the end.

    Args:
        cache: file of samples; written after each search, thrown away if it was made from another source.
        source: what the landscape was made from, in a word; see `digest`.
        processes: how many searches are made at once; one is made in this process.
    """
    traces = read(cache, source)
    missing = [setup for setup in wanted if setup not in traces]
    for setup, trace in zip(missing, _traces(landscape, missing, processes), strict=True):
        traces[setup] = trace
        write(traces, cache, source)
        yield traces
    yield {setup: traces[setup] for setup in wanted}


def _traces(landscape: Landscape, setups: Sequence[Setup], processes: int) -> Iterator[Trace]:
    """The traces of some searches, in their order."""
    if processes == 1 or not setups:
        yield from map(searched, repeat(landscape), setups)
        return
    with search_pool(processes) as pool:
        yield from pool.map(searched, repeat(landscape), setups)


def digest(path: Path) -> str:
    """A word that changes with the content of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def write(traces: Traces, cache: Path, source: str) -> None:
    """Keep all samples in a file; the source stands in its metadata."""
    rows = [
        {
            **vars(setup),
            "sample": sample,
            "point": trace.points[sample].tolist(),
            "twist_deg": float(trace.twist_deg[sample]),
            "initial": trace.initial,
        }
        for setup, trace in traces.items()
        for sample in range(len(trace.points))
    ]
    cache.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows).replace_schema_metadata({"source": source})
    pyarrow.parquet.write_table(table, cache, compression="zstd")


def read(cache: Path, source: str) -> Traces:
    """What a file keeps; nothing where there is none, or one from another source."""
    if not cache.exists():
        return {}
    table = pyarrow.parquet.read_table(cache)
    if (table.schema.metadata or {}).get(b"source") != source.encode():
        return {}
    samples: dict[Setup, list[dict[str, object]]] = {}
    for row in table.to_pylist():
        setup = Setup(row["strategy"], row["n_batch"], row["target_deg"], row["repetition"])
        samples.setdefault(setup, []).append(row)
    return {setup: _trace(rows) for setup, rows in samples.items()}


def _trace(rows: Sequence[dict[str, object]]) -> Trace:
    initial = int(str(rows[0]["initial"]))
    aims = np.where(np.arange(len(rows)) < initial, -1, 0)
    points = np.array([row["point"] for row in rows], dtype=np.float64)
    return Trace(points, np.array([row["twist_deg"] for row in rows], dtype=np.float64), aims, initial)
