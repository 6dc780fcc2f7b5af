"""Peaks of in-plane X-ray scans: rocking scans over the azimuth and radial scans over q (pure).

In a scan the peaks are Gaussians on a straight background, fitted with the errors of counting. A rocking scan gives the
azimuth of a reflection and its spread; it gives q only as well as the scan is sharp. A radial scan gives q. Where both
saw one reflection, their values are combined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import curve_fit
from scipy.signal import find_peaks, peak_widths

from moireloop_analyzer.patterns.peaks import FWHM_OF_SIGMA, Floats, Peaks

SURE: Final = 5.0
"""Prominence of a peak over the error of counting below which it is none."""

FEWEST_POINTS: Final = 7

UNKNOWN_RADIAL: Final = 0.01
"""Error along q, as a share of it, of a rocking scan whose instrument is not known."""

SAME: Final = 3.5


@dataclass(frozen=True, eq=False)
class ScanPoints:
    """Points of scans: number of the scan, q in inverse angstrom, azimuth in radians, counts; each (N,)."""

    scan: Floats
    q: Floats
    azimuth: Floats
    counts: Floats


def peaks_of_scans(points: ScanPoints, *, instrument_fwhm: float | None = None, centre_error: float = 0.0) -> Peaks:
    """The peaks of all scans.

    Args:
        instrument_fwhm: full width of the instrument along q in inverse angstrom, by which a rocking scan knows q.
    """
    rows = []
    for number in np.unique(points.scan):
        own = np.flatnonzero(points.scan == number)
        rows += _of_one(points.q[own], np.unwrap(points.azimuth[own]), points.counts[own], instrument_fwhm)
    table = np.array(_together(rows), dtype=np.float64).reshape(-1, 7)
    q, azimuth = table[:, 0], table[:, 1]
    places = np.stack([q * np.cos(azimuth), q * np.sin(azimuth)], axis=1)
    height, radial, across, width, width_across = table.T[2:]
    return Peaks(places, height, radial, across, width, width_across, centre_error)


def _of_one(q: Floats, azimuth: Floats, counts: Floats, instrument: float | None) -> list[list[float]]:
    """Rows of q, azimuth, intensity, errors along and across q, widths along and across q."""
    middle = float(np.median(q))
    rocking = float(np.ptp(azimuth)) * middle > float(np.ptp(q))
    along = azimuth if rocking else q
    order = np.argsort(along)
    rows = []
    for place, width, height, error in _gaussians(along[order], counts[order]):
        if rocking:
            radial = UNKNOWN_RADIAL * middle if instrument is None else instrument / FWHM_OF_SIGMA
            known = np.nan if instrument is None else instrument
            rows.append([middle, place, height, radial, error * middle, known, width * middle])
        else:
            across = 0.5 * np.radians(1.0) * place
            rows.append([place, float(np.median(azimuth)), height, error, across, width, np.nan])
    return rows


def _gaussians(x: Floats, counts: Floats) -> list[tuple[float, float, float, float]]:
    """Place, full width, height and error of the place of each peak of a scan."""
    if len(x) < FEWEST_POINTS or np.ptp(x) == 0:
        return []
    noise = np.sqrt(max(float(np.median(counts)), 1.0))
    tops, _ = find_peaks(counts, prominence=np.maximum(SURE * noise, SURE * np.sqrt(np.maximum(counts.max(), 1)) * 0.3))
    widths = peak_widths(counts, tops, rel_height=0.5)[0]
    step, found = float(np.median(np.diff(x))), []
    for top, width in zip(tops, widths, strict=True):
        half = max(int(2.0 * width), 4)
        near = slice(max(top - half, 0), top + half + 1)
        fit = _fitted(x[near], counts[near], x[top], max(width, 1.5) * step)
        if fit is not None:
            found.append(fit)
    return found


def _gaussian(x: Floats, height: float, place: float, sigma: float, level: float, slope: float) -> Floats:
    return np.asarray(height * np.exp(-0.5 * ((x - place) / sigma) ** 2) + level + slope * (x - x.mean()))


def _fitted(x: Floats, counts: Floats, place: float, width: float) -> tuple[float, float, float, float] | None:
    if len(x) < FEWEST_POINTS:
        return None
    low = float(counts.min())
    start = [float(counts.max()) - low, place, width / FWHM_OF_SIGMA, low, 0.0]
    try:
        values, covariance = curve_fit(
            _gaussian, x, counts, start, sigma=np.sqrt(np.maximum(counts, 1.0)), absolute_sigma=True, maxfev=400
        )
    except (RuntimeError, ValueError):
        return None
    height, at, sigma, error = values[0], values[1], abs(values[2]), float(np.sqrt(covariance[1, 1]))
    if not (np.isfinite(error) and height > 0 and x[0] <= at <= x[-1] and sigma < np.ptp(x)):
        return None
    return float(at), float(FWHM_OF_SIGMA * sigma), float(height), error


def _together(rows: list[list[float]]) -> list[list[float]]:
    """Reflections that a rocking scan and a radial one saw, as one each with what either knows."""
    left, found = list(rows), []
    while left:
        one = left.pop(0)
        for other in left:
            if np.isnan(one[6]) != np.isnan(other[6]) and _is_same(one, other):
                left.remove(other)
                one = _merged(one, other)
                break
        found.append(one)
    return found


def _is_same(one: list[float], other: list[float]) -> bool:
    radial = abs(one[0] - other[0]) / np.hypot(one[3], other[3])
    turned = abs((one[1] - other[1] + np.pi) % (2.0 * np.pi) - np.pi) * one[0]
    return bool(radial < SAME and turned / np.hypot(one[4], other[4]) < SAME)


def _merged(one: list[float], other: list[float]) -> list[float]:
    rocking, radial = (other, one) if np.isnan(one[6]) else (one, other)
    return [radial[0], rocking[1], rocking[2], radial[3], rocking[4], radial[5], rocking[6]]
