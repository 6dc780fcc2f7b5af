"""Peaks from the columns of a table, whose names say quantity and unit (pure)."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop.experiment.refused import PatternRefused
from moireloop_analyzer.patterns.peaks import Peaks
from moireloop_analyzer.patterns.scans import ScanPoints, peaks_of_scans

Floats = npt.NDArray[np.floating[Any]]

Columns = Mapping[str, Floats]

PER_ANGSTROM: Final = {"per_angstrom": 1.0, "per_nm": 0.1}
"""What lengths of q in each unit are multiplied by to be in inverse angstrom."""

RADIANS: Final = {"deg": math.pi / 180.0, "rad": 1.0}

QUANTITIES: Final = {
    "q_x": PER_ANGSTROM, "q_y": PER_ANGSTROM, "q": PER_ANGSTROM, "azimuth": RADIANS,
    "sigma_q": PER_ANGSTROM, "sigma_azimuth": RADIANS, "fwhm_q": PER_ANGSTROM, "fwhm_azimuth": RADIANS,
}  # fmt: skip

KNOWN: Final = (
    "intensity", "counts", "scan", *(f"{name}_{unit}" for name, units in QUANTITIES.items() for unit in units),
)  # fmt: skip

MOST_PEAKS: Final = 2000

MOST_POINTS: Final = 200_000

AGREE: Final = 0.01
"""Places that are given in two ways may differ by this share of q."""

SMALLEST_ERROR: Final = 1e-6
"""In inverse angstrom; below it an error or a width is none."""

LARGEST_Q: Final = 100.0
"""In inverse angstrom; beyond it a unit is wrong."""


def peaks_of_columns(columns: Columns, where: str, *, centre_error: float = 0.0, instrument: float = 0.0) -> Peaks:
    """Peaks of a table of peaks, or of one of scans, which has a column `counts`.

    Args:
        columns: (N,) values by name.
        where: what a message begins with.
        centre_error: standard error of the direct beam's place in inverse angstrom.
        instrument: full width at half maximum of the instrument along q in inverse angstrom; 0 where not known.

    Raises:
        PatternRefused: a column is missing, implausible or contains a NaN.
    """
    _refuse_misspelt(columns, where)
    _refuse_two_of_one(columns, where)
    scans = "counts" in columns
    q, azimuth = _places(columns, where)
    height = _column(columns, "counts" if scans else "intensity", where)
    most = MOST_POINTS if scans else MOST_PEAKS
    if len(q) > most:
        raise PatternRefused(f"{where}: expected at most {most} rows, got {len(q)}")
    _refuse_wrong(columns, where)
    if not (q <= LARGEST_Q).all():
        raise PatternRefused(
            f"{where}: expected |q| up to {LARGEST_Q:g} per angstrom, got {q.max():g}: is the unit right?"
        )
    if centre_error < 0 or not math.isfinite(centre_error):
        raise PatternRefused(f"centre_error: expected 0 or more inverse angstrom, got {centre_error:g}")
    if instrument < 0 or not math.isfinite(instrument):
        raise PatternRefused(f"instrument: expected a width of 0 or more inverse angstrom, got {instrument:g}")
    if not scans:
        _refuse_not_above(height, "intensity", where)
        return _peaks(columns, where, q, azimuth, height, centre_error, instrument)
    if (height < 0).any():
        row = int(np.flatnonzero(height < 0)[0])
        raise PatternRefused(f"{where}: row {row + 1}: counts: expected 0 or more, got {height[row]:g}")
    points = ScanPoints(_column(columns, "scan", where), q, azimuth, height)
    return peaks_of_scans(points, instrument_fwhm=instrument or None, centre_error=centre_error)


def _peaks(
    columns: Columns, where: str, q: Floats, azimuth: Floats, height: Floats, centre_error: float, instrument: float
) -> Peaks:
    places = np.stack([q * np.cos(azimuth), q * np.sin(azimuth)], axis=1)
    radial, width = _optional(columns, "sigma_q", len(q)), _optional(columns, "fwhm_q", len(q))
    across, width_across = _optional(columns, "sigma_azimuth", len(q)), _optional(columns, "fwhm_azimuth", len(q))
    if instrument:
        width = np.where(np.isfinite(width), width, instrument)
    across = np.where(np.isfinite(across), across * q, radial)
    for name, values in (("sigma_q", radial), ("sigma_azimuth", np.where(q > 0, across, np.nan))):
        small = np.flatnonzero(values < SMALLEST_ERROR)
        if len(small):
            raise PatternRefused(
                f"{where}: row {small[0] + 1}: {name}: expected an error of {SMALLEST_ERROR:g} inverse angstrom or "
                f"more, got {values[small[0]]:.3g}"
            )
    across = np.where(q > 0, across, radial)
    return Peaks(places, height, radial, across, width, width_across * q, centre_error)


def _places(columns: Columns, where: str) -> tuple[Floats, Floats]:
    """Lengths in inverse angstrom and azimuths in radians."""
    x, y = (_converted(columns, name) for name in ("q_x", "q_y"))
    q, azimuth = (_converted(columns, name) for name in ("q", "azimuth"))
    if x is not None and y is not None:
        return np.hypot(x, y), np.arctan2(y, x)
    if q is not None and azimuth is not None:
        return np.abs(q), np.where(q < 0, azimuth + math.pi, azimuth)
    raise PatternRefused(
        f"{where}: expected the columns q_x_per_angstrom and q_y_per_angstrom, or q_per_angstrom and azimuth_deg "
        f"(or per_nm, rad), got {', '.join(columns) or 'none'}"
    )


def _converted(columns: Columns, name: str) -> Floats | None:
    for unit, factor in QUANTITIES[name].items():
        if f"{name}_{unit}" in columns:
            return columns[f"{name}_{unit}"] * factor
    return None


def _optional(columns: Columns, name: str, count: int) -> Floats:
    column = _converted(columns, name)
    return np.full(count, np.nan) if column is None else column


def _column(columns: Columns, name: str, where: str) -> Floats:
    if name not in columns:
        raise PatternRefused(f"{where}: expected a column {name}, got {', '.join(columns) or 'none'}")
    return columns[name]


def _refuse_misspelt(columns: Columns, where: str) -> None:
    for name in columns:
        near = difflib.get_close_matches(name.lower(), KNOWN, 1, cutoff=0.8)
        if name not in KNOWN and near:
            raise PatternRefused(f"{where}: column {name!r}: did you mean {near[0]}?")
        if name in QUANTITIES:
            units = " or ".join(f"{name}_{unit}" for unit in QUANTITIES[name])
            raise PatternRefused(f"{where}: column {name!r} has no unit: expected {units}")


def _refuse_two_of_one(columns: Columns, where: str) -> None:
    """A quantity is given in one unit, and places in one way; two ways have to agree."""
    for name, units in QUANTITIES.items():
        given = [f"{name}_{unit}" for unit in units if f"{name}_{unit}" in columns]
        if len(given) > 1:
            raise PatternRefused(f"{where}: expected {name} in one unit, got the columns {' and '.join(given)}")
    x, y, q, azimuth = (_converted(columns, name) for name in ("q_x", "q_y", "q", "azimuth"))
    if x is None or y is None or q is None or azimuth is None:
        return
    off = np.hypot(x - q * np.cos(azimuth), y - q * np.sin(azimuth)) > AGREE * np.maximum(np.abs(q), 1.0)
    if off.any():
        raise PatternRefused(
            f"{where}: row {np.flatnonzero(off)[0] + 1}: q_x and q_y are not at q and azimuth: leave one pair out"
        )


def _refuse_wrong(columns: Columns, where: str) -> None:
    """Every known column has finite numbers, errors and widths are above 0; an empty error is one not known."""
    for name in KNOWN:
        if name not in columns:
            continue
        values, may_lack = columns[name], name.startswith(("sigma_", "fwhm_"))
        wrong = np.flatnonzero(np.isinf(values) if may_lack else ~np.isfinite(values))
        if len(wrong):
            raise PatternRefused(
                f"{where}: row {wrong[0] + 1}: {name}: expected a finite number, got {values[wrong[0]]}"
            )
        if may_lack:
            _refuse_not_above(values, name, where)


def _refuse_not_above(values: Floats, name: str, where: str) -> None:
    wrong = np.flatnonzero(values <= 0)
    if len(wrong):
        raise PatternRefused(f"{where}: row {wrong[0] + 1}: {name}: expected above 0, got {values[wrong[0]]:g}")
