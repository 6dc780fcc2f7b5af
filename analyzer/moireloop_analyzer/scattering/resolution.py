"""What an instrument, the mosaic spread and the size of domains make of rods: peaks and pictures (pure).

Each rod becomes a Gaussian in the plane. Along q it has the width of instrument and domains, in squares; across q the
mosaic spread, |q| times its angle, is added. Domains of size L have the width of 0.8859 2 pi / L.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from moireloop_analyzer.diffraction_settings import DiffractionSettings
from moireloop_analyzer.geometry.compiled import compiled
from moireloop_analyzer.patterns.peaks import FWHM_OF_SIGMA, Peaks
from moireloop_analyzer.scattering.atoms import Ints
from moireloop_analyzer.scattering.rods import Rods
from moireloop_analyzer.structure.diffraction import FWHM as FWHM_OF_DOMAIN
from moireloop_analyzer.structure.form_factors import Floats

REACH_SIGMA: Final = 4.0
"""Standard deviations beyond which a rod adds nothing."""

NEGLIGIBLE: Final = 0.01
"""Rods below this share of the faintest peak are left out of the search for peaks."""

STEEPEST: Final = 0.3
"""Height at the brightest rod of a peak, over the height of its top, is at least this."""

CLIMBS: Final = 30

WIDEST: Final = 10.0
"""Largest width of a peak in units of the resolution's; a flatter top has no defined width."""


@dataclass(frozen=True)
class Resolution:
    """Standard deviations of the Gaussian of a rod.

    Attributes:
        plain: of instrument and domains, in inverse angstrom.
        mosaic_rad: of the mosaic spread.
    """

    plain: float
    mosaic_rad: float

    @classmethod
    def of(cls, settings: DiffractionSettings, least: float = 0.0) -> Resolution:
        """The resolution that the settings say; `least` (inverse angstrom) is the smallest width, as of a pixel."""
        domain = 0.0 if settings.domain_angstrom is None else FWHM_OF_DOMAIN * 2.0 * math.pi / settings.domain_angstrom
        plain = math.hypot(settings.instrument_fwhm_per_angstrom, domain) / FWHM_OF_SIGMA
        return cls(max(plain, least), math.radians(settings.mosaic_fwhm_deg) / FWHM_OF_SIGMA)

    def across(self, q: Floats) -> Floats:
        """(N,) standard deviations across q at each |q|."""
        return np.asarray(np.hypot(self.plain, self.mosaic_rad * q))


def peaks_of_rods(rods: Rods, resolution: Resolution, faintest: float) -> Peaks:
    """Peaks of rods in the plane, the brightest first, without the direct beam.

    A peak is a maximum of the sum of all Gaussians. It has the intensity of a single Gaussian of the same height; its
    widths come from the curvature of its top.

    Args:
        faintest: intensity of the faintest peak over the brightest one's.
    """
    aside = np.linalg.norm(rods.vectors, axis=1) > REACH_SIGMA * resolution.plain
    if not aside.any() or not rods.intensity[aside].max() > 0:
        return _peaks([], resolution)
    bright = aside & (rods.intensity > NEGLIGIBLE * faintest * rods.intensity[aside].max())
    places, weights = rods.vectors[bright], rods.intensity[bright]
    table = RodTable.of(rods.indices[bright], weights[None], np.zeros(1), rods.reciprocal)
    heights = table.seen(places, np.zeros(len(places)), resolution)
    tops = _Tops(places, weights, resolution, cKDTree(places))
    starts = _starts(tops, heights > STEEPEST * faintest * heights.max())
    maxima = [tops.climbed(start) for start in starts]
    maxima.sort(key=lambda one: -one[2])
    kept: list[tuple[Floats, Floats, float]] = []
    for one in maxima:
        if one[2] < faintest * maxima[0][2]:
            break
        if all(_apart(one[0], other[0], resolution) > 1.0 for other in kept):
            kept.append(one)
    return _peaks(kept, resolution)


@dataclass(frozen=True, eq=False)
class _Tops:
    """Rods with their Gaussians."""

    places: Floats
    weights: Floats
    resolution: Resolution
    tree: cKDTree

    def near(self, place: Floats) -> tuple[Ints, Floats, Floats]:
        """Rods near a place, their distances along and across q (K, 2) in standard deviations, and their parts (K,)."""
        length = float(np.linalg.norm(place))
        sigma = np.array([self.resolution.plain, float(self.resolution.across(np.array(length)))])
        which = np.array(self.tree.query_ball_point(place, REACH_SIGMA * sigma[1]), dtype=int)
        along = place / max(length, 1e-12)
        axes = np.array([along, [-along[1], along[0]]])
        steps = (self.places[which] - place) @ axes.T / sigma
        return which, steps, self.weights[which] * np.exp(-0.5 * (steps**2).sum(axis=1))

    def climbed(self, start: Floats) -> tuple[Floats, Floats, float]:
        """Place of the maximum uphill, its widths (2,) in units of the resolution's, and its height."""
        place = start
        for _ in range(CLIMBS):
            which, steps, parts = self.near(place)
            moved = parts @ self.places[which] / parts.sum()
            if np.linalg.norm(moved - place) < 1e-4 * self.resolution.plain:
                break
            place = moved
        _, steps, parts = self.near(place)
        spread = parts @ steps**2 / parts.sum()
        widths = 1.0 / np.sqrt(np.maximum(1.0 - spread, WIDEST**-2))
        return place, widths, float(parts.sum())


def _starts(tops: _Tops, high: npt.NDArray[np.bool_]) -> Iterator[Floats]:
    """Rods that are high enough and that no rod within a standard deviation outshines."""
    widest = float(tops.resolution.across(np.linalg.norm(tops.places, axis=1)).max())
    pairs = tops.tree.query_pairs(widest, output_type="ndarray")
    first, second = pairs.T if len(pairs) else (np.empty(0, int), np.empty(0, int))
    first, second = np.concatenate([first, second]), np.concatenate([second, first])
    steps = tops.places[second] - tops.places[first]
    lengths = np.maximum(np.linalg.norm(tops.places[first], axis=1), 1e-12)
    along = (steps * tops.places[first]).sum(axis=1) / lengths
    across = np.sqrt(np.maximum((steps**2).sum(axis=1) - along**2, 0.0))
    near = (along / tops.resolution.plain) ** 2 + (across / tops.resolution.across(lengths)) ** 2 <= 1.0
    outshone = near & (tops.weights[second] > tops.weights[first])
    chosen = high.copy()
    chosen[first[outshone]] = False
    yield from tops.places[chosen]


def _apart(one: Floats, other: Floats, resolution: Resolution) -> float:
    """Distance in standard deviations."""
    length = float(np.linalg.norm(other))
    along = float((one - other) @ other) / max(length, 1e-12)
    across = math.sqrt(max(float(((one - other) ** 2).sum()) - along**2, 0.0))
    return math.hypot(along / resolution.plain, across / float(resolution.across(np.array(length))))


def _peaks(found: list[tuple[Floats, Floats, float]], resolution: Resolution) -> Peaks:
    q = np.array([place for place, _, _ in found]).reshape(-1, 2)
    widths = np.array([width for _, width, _ in found]).reshape(-1, 2)
    across, unknown = resolution.across(np.linalg.norm(q, axis=1)), np.full(len(q), np.nan)
    return Peaks(
        q=q,
        intensity=np.array([height for _, _, height in found], dtype=np.float64),
        sigma_radial=unknown,
        sigma_azimuthal=unknown,
        width_radial=FWHM_OF_SIGMA * resolution.plain * widths[:, 0],
        width_azimuthal=FWHM_OF_SIGMA * across * widths[:, 1],
    )


@dataclass(frozen=True, eq=False)
class RodTable:
    """Intensities of rods at steps of q along the normal, to be looked up by the rods' indices.

    Attributes:
        first: (2,) lowest indices.
        intensity: (H, K, Z), zero where there is no rod.
        normals: (Z,) evenly spaced components along the normal, in inverse angstrom; one for all of them, or more.
        reciprocal: (2, 2) reciprocal vectors of the cell as rows.
    """

    first: Ints
    intensity: Floats
    normals: Floats
    reciprocal: Floats

    @classmethod
    def of(cls, indices: Ints, intensity: Floats, normals: Floats, reciprocal: Floats) -> RodTable:
        """From indices (R, 2) and intensities (Z, R)."""
        first = indices.min(axis=0)
        shape = indices.max(axis=0) - first + 1
        table = np.zeros((*shape, len(normals)))
        table[tuple((indices - first).T)] = intensity.T
        return cls(first, table, normals, reciprocal)

    def seen(self, waves: Floats, normals: Floats, resolution: Resolution) -> Floats:
        """(P,) intensity at each q: in the plane (P, 2), along the normal (P,), per area of one standard Gaussian."""
        step = 1.0 if len(self.normals) < 2 else float(self.normals[1] - self.normals[0])
        found = np.zeros(len(waves))
        _add_rods(
            np.ascontiguousarray(waves, dtype=np.float64),
            np.clip((normals - self.normals[0]) / step, 0.0, len(self.normals) - 1.0),
            self.intensity, self.first[0], self.first[1], np.ascontiguousarray(self.reciprocal),
            np.ascontiguousarray(np.linalg.inv(self.reciprocal)), resolution.plain, resolution.mosaic_rad, found,
        )  # fmt: skip
        return found


@compiled
def _add_rods(
    waves: Floats,
    levels: Floats,
    table: Floats,
    first_h: int,
    first_k: int,
    reciprocal: Floats,
    inverse: Floats,
    plain: float,
    mosaic: float,
    found: Floats,
) -> None:
    """Sum of the Gaussians of all rods at each place, their intensity interpolated between levels."""
    for place in range(len(waves)):
        x, y = waves[place, 0], waves[place, 1]
        length = math.hypot(x, y)
        across = math.hypot(plain, mosaic * length)
        wide = 4.0 * max(plain, across)
        ux, uy = (x / length, y / length) if length > 1e-12 else (1.0, 0.0)
        h0 = x * inverse[0, 0] + y * inverse[1, 0]
        k0 = x * inverse[0, 1] + y * inverse[1, 1]
        wide_h = wide * math.hypot(inverse[0, 0], inverse[1, 0])
        wide_k = wide * math.hypot(inverse[0, 1], inverse[1, 1])
        low_h, high_h = max(math.ceil(h0 - wide_h), first_h), min(math.floor(h0 + wide_h), first_h + table.shape[0] - 1)
        low_k, high_k = max(math.ceil(k0 - wide_k), first_k), min(math.floor(k0 + wide_k), first_k + table.shape[1] - 1)
        level = min(int(levels[place]), max(table.shape[2] - 2, 0))
        part = levels[place] - level
        total = 0.0
        for h in range(low_h, high_h + 1):
            for k in range(low_k, high_k + 1):
                strength = table[h - first_h, k - first_k, level] * (1.0 - part)
                if part > 0.0:
                    strength += table[h - first_h, k - first_k, level + 1] * part
                if strength <= 0.0:
                    continue
                dx = h * reciprocal[0, 0] + k * reciprocal[1, 0] - x
                dy = h * reciprocal[0, 1] + k * reciprocal[1, 1] - y
                along, aside = (dx * ux + dy * uy) / plain, (dy * ux - dx * uy) / across
                total += strength * math.exp(-0.5 * (along * along + aside * aside))
        found[place] = total
