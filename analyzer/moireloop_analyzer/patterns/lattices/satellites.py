"""Moire satellites: peaks at sums of a spot of one lattice and a difference of both (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.patterns.lattices.search import NEAR, Metric
from moireloop_analyzer.patterns.peaks import Floats, Ints, Peaks
from moireloop_analyzer.patterns.reciprocal import sites_within, turns

ORDERS: Final = 3
"""Norm of the indices in moire vectors up to which satellites are looked for: their first two rings."""

MOST_CHANCE: Final = 0.2
"""Share of the plane that satellites may cover; beyond it any peak is near one."""


def moire_matrix(lower: Floats, upper: Floats) -> Floats:
    """(2, 2) differences of the reciprocal vectors of two lattices, of the upper one those nearest to the lower's."""
    nearest = min(turns(upper), key=lambda other: float(np.linalg.norm(other - lower)))
    return np.asarray(nearest - lower)


def satellites_among(peaks: Peaks, free: npt.NDArray[np.bool_], matrices: Floats, error: float) -> tuple[Ints, Ints]:
    """Numbers of the free peaks (N,) at satellites of the first two orders, and of the spots they stand about.

    Args:
        peaks: with errors.
        free: which peaks belong to no lattice.
        matrices: (2, 2, 2) both lattices.
        error: standard error of a satellite's place, in inverse angstrom.

    Returns:
        (S,) numbers of peaks; (S, 2) number of the lattice and of the spot in `sites_within(13)`, -1 for the direct
        beam.
    """
    empty = np.empty(0, dtype=int), np.empty((0, 2), dtype=int)
    moire = sites_within(ORDERS) @ moire_matrix(matrices[0], matrices[1])
    spacing = float(np.linalg.norm(moire, axis=1).min())
    wider = _widened(peaks, error)
    near = NEAR * float(np.median(np.maximum(wider.sigma_radial, wider.sigma_azimuthal)))
    if not free.any() or (near / max(spacing, 1e-12)) ** 2 * np.pi / np.sqrt(0.75) > MOST_CHANCE:
        return empty
    sites = sites_within(13)
    spots = np.concatenate([np.zeros((1, 2)), sites @ matrices[0], sites @ matrices[1]])
    places = (spots[:, None] + moire).reshape(-1, 2)
    chosen = np.flatnonzero(free)
    apart = Metric.of(wider.select(chosen)).distance2(places)
    nearest = apart.argmin(axis=0)
    at = apart[nearest, np.arange(len(chosen))] <= NEAR**2
    about = nearest[at] // len(moire) - 1
    lattice, site = np.where(about < 0, -1, about // len(sites)), np.where(about < 0, -1, about % len(sites))
    return chosen[at], np.stack([lattice, site], axis=1)


def _widened(peaks: Peaks, error: float) -> Peaks:
    return replace(
        peaks,
        sigma_radial=np.hypot(peaks.sigma_radial, error),
        sigma_azimuthal=np.hypot(peaks.sigma_azimuthal, error),
    )
