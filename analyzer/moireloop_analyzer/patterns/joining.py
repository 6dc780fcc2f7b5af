"""Lists of peaks that name spots several times, or the direct beam, made lists that name each spot once (pure).

Spots are named several times where the peaks of several images of one sample lie in one list. Such peaks form groups
that are narrow compared with the distances between groups; where there are no such groups, nothing is joined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from moireloop_analyzer.patterns.indexed import IndexedPattern, Layer
from moireloop_analyzer.patterns.peaks import Floats, Ints, Peaks

BEAM: Final = 0.02
"""Of the first ring: a peak nearer to the origin than this is the direct beam."""

WIDEST: Final = 0.1
"""Of the first ring: peaks farther apart than this are never one spot."""

STEPS: Final = 13

IN_ERRORS: Final = (3.5, 5.0, 7.0, 10.0)
"""Widths of groups in errors of a distance; all but the first are for stated errors that are too small."""

GAP: Final = 2.0
"""From a group's width to this many of them hardly any distance lies."""

MOST_IN_GAP: Final = 0.02

LOOSE_GAP: Final = 0.05

FEWEST_PAIRS: Final = 3

FEWEST_JOINED: Final = 0.25
"""Share of the peaks that lie in groups, where the peaks have no errors to say what is near."""


AS_BRIGHT: Final = 0.3
"""A peak brighter than this share of a spot may be the same spot in another image; a satellite is fainter."""


@dataclass(frozen=True, eq=False)
class Spots:
    """A list that names each spot once: its peaks, and `spot` (N,), which of them each given peak is, -1 for none."""

    peaks: Peaks
    spot: Ints


def away_from_beam(peaks: Peaks, ring: float) -> Spots:
    """The peaks without those at the direct beam; `ring` is |G| of the first ring in inverse angstrom."""
    away = peaks.lengths > BEAM * ring
    return Spots(peaks.select(away), np.where(away, np.cumsum(away) - 1, -1))


def joined_spots(peaks: Peaks, ring: float) -> Spots | None:
    """The same list with one peak for each group of peaks that are measurements of one spot; None without groups.

    Errors fall with the number of measurements as far as the groups scatter by their errors: copies gain nothing.
    """
    first, second = np.triu_indices(len(peaks), 1)
    away = np.linalg.norm(peaks.q[first] - peaks.q[second], axis=1)
    near = away < GAP * WIDEST * ring
    first, second, away = first[near], second[near], away[near]
    widths: Floats = WIDEST * ring * 2.0 ** (-0.5 * np.arange(STEPS)[::-1])
    apart = away
    if peaks.errors_known:
        variance = peaks.sigma_radial**2 + peaks.sigma_azimuthal**2
        apart, widths = away / np.sqrt(0.5 * (variance[first] + variance[second])), np.array(IN_ERRORS)
    width = _width(apart, widths)
    if width is None:
        return None
    one = (apart <= width) & (away <= WIDEST * ring)
    if not one.any():
        return None
    graph = coo_array((np.ones(one.sum()), (first[one], second[one])), shape=(len(peaks), len(peaks)))
    spot = connected_components(graph, directed=False)[1]
    members = np.bincount(spot)
    if not peaks.errors_known and (members[spot] > 1).mean() < FEWEST_JOINED:
        return None
    return Spots(_joined(peaks, spot, float(away[one].max())), spot)


def crowded_share(peaks: Peaks, spots: Spots) -> float:
    """Share of the groups that hold three peaks or more of about the same brightness: two layers make groups of two."""
    brightest = np.zeros(len(spots.peaks))
    np.maximum.at(brightest, spots.spot, peaks.intensity)
    bright = peaks.intensity > AS_BRIGHT * brightest[spots.spot]
    members = np.bincount(spots.spot[bright], minlength=len(spots.peaks))
    return float((members > 2).sum() / max((members > 1).sum(), 1))


def _width(apart: Floats, widths: Floats) -> float | None:
    """The width beyond which hardly any distance lies up to GAP times it: the first clear one, else the clearest."""
    inside = np.array([(apart <= width).sum() for width in widths])
    gap = np.array([(apart <= GAP * width).sum() for width in widths]) - inside
    share = np.where(inside >= FEWEST_PAIRS, gap / np.maximum(inside, 1), np.inf)
    clear = np.flatnonzero(share <= MOST_IN_GAP)
    best = int(clear[0]) if len(clear) else int(share.argmin())
    return float(widths[best]) if share[best] <= LOOSE_GAP else None


def _joined(peaks: Peaks, spot: Ints, within: float) -> Peaks:
    members = np.bincount(spot).astype(float)

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(spot, values) / members)

    def known_mean(values: Floats) -> Floats:
        known = np.isfinite(values)
        count = np.bincount(spot, known)
        return np.where(count > 0, np.bincount(spot, np.where(known, values, 0.0)) / np.maximum(count, 1), np.nan)

    weight = np.ones(len(peaks)) if not peaks.errors_known else 1.0 / (peaks.sigma_radial * peaks.sigma_azimuthal)
    total = np.bincount(spot, weight)
    q = np.stack([np.bincount(spot, weight * peaks.q[:, axis]) / total for axis in (0, 1)], axis=1)
    gain = np.sqrt(_gain(peaks, spot, q, members)) if peaks.errors_known else np.ones(len(members))
    errors = [
        gain * np.sqrt(np.bincount(spot, (weight * sigma) ** 2)) / total
        for sigma in (peaks.sigma_radial, peaks.sigma_azimuthal)
    ]
    return replace(
        peaks,
        q=q,
        intensity=mean(peaks.intensity),
        sigma_radial=errors[0],
        sigma_azimuthal=errors[1],
        width_radial=known_mean(peaks.width_radial),
        width_azimuthal=known_mean(peaks.width_azimuthal),
        joined_within=within,
    )


def _gain(peaks: Peaks, spot: Ints, q: Floats, members: Floats) -> Floats:
    """(S,) factors on the variances of means of n independent measurements, by how much the groups scatter.

    With r, the scatter within groups over what the errors say, they are r where it is above 1. Below, measurements
    have a share 1 - r of their variance in common, which does not fall: n (1 - r) + r.
    """
    white = np.einsum("nab,nb->na", peaks.whitening(), peaks.q - q[spot])
    ratio = float((white**2).sum()) / (2.0 * float((members - 1.0).sum()))
    several = np.full(len(members), ratio) if ratio > 1.0 else members * (1.0 - ratio) + ratio
    return np.asarray(several)


def of_listed(pattern: IndexedPattern, spots: Spots) -> IndexedPattern:
    """The same pattern with the numbers of the peaks as they were given, before `spots` was made of them."""
    given = spots.spot[spots.spot >= 0]
    if len(given) == len(spots.spot) == len(spots.peaks) and (given == np.arange(len(given))).all():
        return pattern

    def numbers(some: Ints) -> Ints:
        return np.flatnonzero(np.isin(spots.spot, some))

    def layer(one: Layer) -> Layer:
        indices = np.zeros((len(spots.peaks), 2), dtype=one.indices.dtype)
        indices[one.peaks] = one.indices
        own = numbers(one.peaks)
        return replace(one, peaks=own, indices=indices[spots.spot[own]])

    return replace(
        pattern,
        layers=tuple(layer(one) for one in pattern.layers),
        domains=tuple(layer(one) for one in pattern.domains),
        satellites=numbers(pattern.satellites),
        unexplained=numbers(pattern.unexplained),
        spots=len(spots.peaks) if len(given) > len(spots.peaks) else pattern.spots,
    )
