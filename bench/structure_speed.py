"""How fast pair correlation and diffraction are, on one thread, beside a plain way to the same pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial import cKDTree

from bench.table import Row
from bench.twist_speed import hot_frame, measured
from moireloop_analyzer import Snapshot
from moireloop_analyzer.structure.analyzers import diffraction_analysis, pair_correlation_analysis
from moireloop_analyzer.structure.pair_correlation import DEFAULT_BINS, DEFAULT_RADIUS_ANGSTROM, pair_correlation

PAIRS_MS = {864: 2.0, 100_000: 500.0}
ANALYSES_MS = {864: 15.0, 100_000: 1500.0}
"""Of both analyzers together. They look at final frames, a second's work or more each."""

MOLYBDENUM, SULFUR = "Mo", "S"


def rows(sizes: Sequence[int] = tuple(PAIRS_MS), repeats: int = 7) -> list[Row]:
    """Milliseconds of g(r) to 8 angstrom, and of both analyzers together, at some sizes of MoS2."""
    return [row for atoms in sizes for row in _rows(atoms, repeats)]


def _rows(atoms: int, repeats: int) -> list[Row]:
    snapshot = _snapshot(atoms)
    count = len(snapshot.positions)
    pairs_ms = _best_ms(
        lambda: pair_correlation(snapshot.positions, snapshot.types, snapshot.cell, snapshot.pbc), repeats
    )  # fmt: skip
    plain_ms = _best_ms(lambda: _plain(snapshot), repeats)
    both_ms = _best_ms(lambda: (pair_correlation_analysis(snapshot), diffraction_analysis(snapshot)), repeats)
    plain = f"scipy's tree and np.histogram, without images: {plain_ms:.3g} ms"
    return [
        Row(f"pair correlation to 8 angstrom, {count:,} atoms", pairs_ms, "ms", PAIRS_MS[atoms], "at most", plain),
        Row(f"analyses of structure, {count:,} atoms", both_ms, "ms", ANALYSES_MS[atoms], "at most"),
    ]


def _snapshot(atoms: int) -> Snapshot:
    case = hot_frame(atoms, chalcogens=True)
    frame, a, b, c = case.bilayer, *case.bilayer.pbc
    elements = dict.fromkeys(case.metal_types, MOLYBDENUM) | dict.fromkeys(case.chalcogen_types, SULFUR)
    return Snapshot(
        positions=np.asarray(frame.positions, dtype=np.float64),
        types=frame.types,
        cell=np.asarray(frame.cell, dtype=np.float64),
        pbc=(a, b, c),
        metal_types=tuple(case.metal_types),
        chalcogen_types=tuple(case.chalcogen_types),
        elements=elements,
        step=0,
        time_ps=0.0,
        temperature_k=None,
        twist=measured(case),
    )


def _plain(snapshot: Snapshot) -> None:
    pairs = cKDTree(snapshot.positions).query_pairs(DEFAULT_RADIUS_ANGSTROM, output_type="ndarray")
    apart = snapshot.positions[pairs[:, 0]] - snapshot.positions[pairs[:, 1]]
    np.histogram(np.linalg.norm(apart, axis=1), DEFAULT_BINS, (0.0, DEFAULT_RADIUS_ANGSTROM))


def _best_ms(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        begun_s = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun_s)
    return 1e3 * min(times)
