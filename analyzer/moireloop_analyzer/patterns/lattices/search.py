"""Finding hexagonal lattices among peaks, some of which belong to other lattices or to none (pure).

Pairs of peaks that fit two spots of a lattice of about the expected constant are seeds. Each seed is refined by the
peaks at its other spots. What counts is how unlikely it is that chance puts that many peaks there: the number of false
alarms of Desolneux, Moisan and Morel (From Gestalt Theory to Image Analysis, 2008), the number of lattices that were
tried times the binomial tail of the hits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from moireloop_analyzer.patterns.peaks import Peaks
from moireloop_analyzer.patterns.reciprocal import (
    IDEAL,
    Floats,
    Ints,
    first_ring,
    norms,
    sites_within,
    stretches,
    upward,
)

NEAR: Final = 3.5
"""In standard errors: peaks within it of a spot are the spot's."""

SEED_NEAR: Final = 7.0
"""The same for a lattice from two peaks only, whose own errors add up."""

SEED_RINGS: Final = (1, 3, 4)

MOST_SITES: Final = 13
"""Largest norm of indices that is looked at: the rings {10} to {31}."""

MOST_SEEDS: Final = 3000

REFINED: Final = 60

MOST_COMPARED: Final = 20

CELLS_AT_ONCE: Final = 2_000_000

FEWEST_PAIRS: Final = 3
"""Spots, opposite ones counted once, of which a lattice has to show peaks: two fix it, the third is evidence."""


@dataclass(frozen=True, eq=False)
class Metric:
    """Distances from peaks in their own errors: `form` (N, 2, 2) gives their squares about the places q (N, 2)."""

    q: Floats
    form: Floats

    @classmethod
    def of(cls, peaks: Peaks) -> Self:
        """That of peaks with errors."""
        white = peaks.whitening()
        return cls(peaks.q, np.swapaxes(white, 1, 2) @ white)

    def distance2(self, spots: Floats) -> Floats:
        """(..., M, N) squares of the distances of spots (..., M, 2) from the peaks."""
        form, mapped = self.form, np.einsum("nab,nb->na", self.form, self.q)
        own = np.einsum("na,na->n", self.q, mapped)
        columns = (form[:, 0, 0], 2.0 * form[:, 0, 1], form[:, 1, 1], -2.0 * mapped[:, 0], -2.0 * mapped[:, 1], own)
        x, y = spots[..., 0], spots[..., 1]
        return np.asarray(np.stack([x * x, x * y, y * y, x, y, np.ones_like(x)], axis=-1) @ np.stack(columns))


@dataclass(frozen=True, eq=False)
class Lattice:
    """One lattice that was found.

    `matrix` (2, 2) is its reciprocal lattice, `peaks` (K,) are the numbers of its peaks and `indices` (K, 2) the spots
    they are. `covariance` (4, 4) covers the matrix's elements, row by row. `alarms` is the logarithm to base 10 of
    the number of such lattices that chance would show.
    """

    matrix: Floats
    covariance: Floats
    peaks: Ints
    indices: Ints
    alarms: float


def lattices_among(
    peaks: Peaks, constant: float, *, max_strain: float, most_alarms: float, at_most: int
) -> list[Lattice]:
    """The lattices that chance does not explain, the most certain first; none shares a peak with an earlier one.

    Args:
        peaks: with errors.
        constant: lattice constant in angstrom before strain.
        max_strain: largest principal strain.
        most_alarms: logarithm to base 10 of the number of false alarms that a lattice may have.
        at_most: how many are looked for.
    """
    found: list[Lattice] = []
    free = np.arange(len(peaks))
    while len(found) < at_most and len(free) >= FEWEST_PAIRS:
        best = _surest(peaks.select(free), constant, max_strain)
        if best is None or best.alarms > most_alarms:
            break
        found.append(replace(best, peaks=free[best.peaks]))
        free = np.delete(free, best.peaks)
    return found


def _surest(peaks: Peaks, constant: float, max_strain: float) -> Lattice | None:
    seeds = _seeds(peaks, constant, max_strain)
    if not len(seeds):
        return None
    sites, metric = _sites(peaks, constant, max_strain), Metric.of(peaks)
    chosen = np.argsort(-_hits(seeds, sites, metric), kind="stable")[:REFINED]
    matrices = seeds[chosen]
    for near in (SEED_NEAR, NEAR, NEAR):
        seen, peak = matched(matrices, sites, metric, near)
        enough = seen.sum(axis=1) >= FEWEST_PAIRS
        matrices = solved(matrices, sites, seen & enough[:, None], peak, metric)
    seen, peak = matched(matrices, sites, metric, NEAR)
    seen &= _is_allowed(matrices, constant, max_strain)[:, None]
    found = []
    for number in np.argsort(-seen.sum(axis=1), kind="stable")[:MOST_COMPARED]:
        site = np.flatnonzero(seen[number])
        if pairs_of(sites[site]) < FEWEST_PAIRS or not are_whole(sites[site]):
            continue
        alarms, own = _alarms(len(site), len(sites), peaks, len(seeds)), peak[number][site]
        covariance = np.linalg.pinv(_normal(sites[site].astype(float), metric.form[own]))
        found.append(Lattice(matrices[number], covariance, own, sites[site], alarms))
    return min(found, key=lambda one: one.alarms, default=None)


def _sites(peaks: Peaks, constant: float, max_strain: float) -> Ints:
    """Indices (M, 2) of the spots in the range of q that the peaks span."""
    ring, lengths = first_ring(constant), peaks.lengths
    most = min((lengths.max() * (1.0 + max_strain) / ring) ** 2, MOST_SITES)
    least = (lengths.min() * (1.0 - max_strain) / ring) ** 2
    indices = sites_within(max(most, 1.0))
    return np.asarray(indices[norms(indices) >= min(least, 1.0)])


def _seeds(peaks: Peaks, constant: float, max_strain: float) -> Floats:
    """(S, 2, 2) lattices, distorted no more than is allowed, through two peaks each."""
    members = sites_within(SEED_RINGS[-1])
    first = np.array([members[norms(members) == ring][0] for ring in SEED_RINGS])
    ideal = np.linalg.norm(members @ IDEAL, axis=1) / constant
    own = np.linalg.norm(first @ IDEAL, axis=1) / constant
    lengths, azimuths = peaks.lengths, np.arctan2(peaks.q[:, 1], peaks.q[:, 0])
    slack = max_strain + NEAR * peaks.sigma_radial / np.maximum(lengths, 1e-9)
    i, ring = np.nonzero(np.abs(lengths[:, None] / own - 1.0) <= slack[:, None] * 1.2)
    j, member = np.nonzero(np.abs(lengths[:, None] / ideal - 1.0) <= slack[:, None] * 1.2)
    if not len(i) or not len(j):
        return np.zeros((0, 2, 2))
    direction = np.arctan2(*(members @ IDEAL).T[::-1])
    expected = direction[member][None] - np.arctan2(*(first @ IDEAL).T[::-1])[ring][:, None]
    across = NEAR * peaks.sigma_azimuthal / np.maximum(lengths, 1e-9)
    away = _folded(azimuths[j][None] - azimuths[i][:, None] - expected)
    determinant = first[ring][:, None, 0] * members[member][None, :, 1] - (
        first[ring][:, None, 1] * members[member][None, :, 0]
    )
    fits = (np.abs(away) <= 2.0 * max_strain + across[i][:, None] + across[j][None]) & (np.abs(determinant) > 0)
    row, column = np.nonzero(fits)
    if len(row) > 4 * MOST_SEEDS:
        some = np.linspace(0, len(row) - 1, 4 * MOST_SEEDS).astype(int)
        row, column = row[some], column[some]
    indices = np.stack([first[ring[row]], members[member[column]]], axis=1).astype(float)
    matrices = np.linalg.inv(indices) @ np.stack([peaks.q[i[row]], peaks.q[j[column]]], axis=1)
    loose = 1.5 * float(np.median(slack)) - 0.5 * max_strain
    matrices = matrices[_is_allowed(matrices, constant, loose)]
    if len(matrices) > MOST_SEEDS:
        matrices = matrices[np.linspace(0, len(matrices) - 1, MOST_SEEDS).astype(int)]
    return np.asarray(matrices)


def _is_allowed(matrices: Floats, constant: float, max_strain: float) -> npt.NDArray[np.bool_]:
    upright = np.linalg.det(matrices) > 1e-9
    allowed = np.zeros(len(matrices), dtype=np.bool_)
    if upright.any():
        principal = stretches(matrices[upright], constant)
        allowed[upright] = (np.abs(principal - 1.0) <= max_strain).all(axis=1)
    return allowed


def _folded(angle: Floats) -> Floats:
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def _hits(seeds: Floats, sites: Ints, metric: Metric) -> Ints:
    """(S,) at how many of their spots lattices have a peak, the nearer the peak the more, in thousandths."""
    found = []
    for some in np.array_split(seeds, 1 + len(seeds) * len(sites) * len(metric.q) // CELLS_AT_ONCE):
        nearest = metric.distance2(sites @ some).min(axis=-1)
        worth = np.maximum(1.0 - 0.5 * nearest / SEED_NEAR**2, 0.0) * (nearest <= SEED_NEAR**2)
        found.append((1000 * worth).astype(np.int64).sum(axis=1))
    return np.concatenate(found)


def pairs_of(indices: Ints) -> int:
    """How many spots there are when opposite ones count once."""
    turned = np.where(upward(indices)[:, None], indices, -indices)
    return len(np.unique(turned, axis=0))


def are_whole(indices: Ints) -> bool:
    """Whether spots (K, 2) make up the whole lattice, not just a sublattice such as the ring {11}."""
    h, k = indices.T
    return bool(np.gcd.reduce(np.abs(np.outer(h, k) - np.outer(k, h)).ravel()) == 1)


def matched(matrices: Floats, sites: Ints, metric: Metric, near: float) -> tuple[npt.NDArray[np.bool_], Ints]:
    """Which spots (S, M) of lattices have a peak within some errors, each the other's nearest, and its number."""
    apart = metric.distance2(sites @ matrices)
    nearest = apart.argmin(axis=-1)
    back = np.take_along_axis(apart.argmin(axis=-2), nearest, axis=-1)
    close = np.take_along_axis(apart, nearest[..., None], axis=-1)[..., 0] <= near**2
    return close & (back == np.arange(len(sites))), nearest


def solved(matrices: Floats, sites: Ints, seen: npt.NDArray[np.bool_], peak: Ints, metric: Metric) -> Floats:
    """The lattices (S, 2, 2) that fit the peaks at the spots that are seen best; as they were where these are few."""
    weight = metric.form[peak] * seen[..., None, None]
    spots = sites.astype(float)
    left = _normal(spots, weight)
    right = np.einsum("mi,smab,smb->sia", spots, weight, metric.q[peak]).reshape(-1, 4)
    scale = np.trace(left, axis1=1, axis2=2)
    regular = np.linalg.det(left / np.maximum(scale, 1e-300)[:, None, None]) > 1e-12
    better = matrices.copy()
    better[regular] = np.linalg.solve(left[regular], right[regular][..., None]).reshape(-1, 2, 2)
    return better


def _normal(spots: Floats, weight: Floats) -> Floats:
    """(..., 4, 4) normal equations of lattices for spots (M, 2) with weights (..., M, 2, 2)."""
    products = np.einsum("mi,mj,...mab->...iajb", spots, spots, weight)
    return np.asarray(products.reshape(*products.shape[:-4], 4, 4))


def _alarms(hits: int, sites: int, peaks: Peaks, tried: int) -> float:
    """log10 of the number of chance lattices with a peak at this many of their spots, besides the two of a seed."""
    lengths = peaks.lengths
    area = math.pi * max(float(lengths.max() ** 2 - lengths.min() ** 2), 1e-12)
    one = math.pi * NEAR**2 * float((peaks.sigma_radial * peaks.sigma_azimuthal).sum()) / area
    chance = min(max(-math.expm1(-one), 1e-12), 1.0)
    if hits <= 2:
        return math.log10(max(tried, 1))
    tail = float(betainc(hits - 2, sites - hits + 1, chance))
    return math.log10(max(tried, 1)) + math.log10(max(tail, 1e-300))
