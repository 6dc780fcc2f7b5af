"""Patterns written as tables that `moireloop compare` reads (adapter)."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Final

import numpy as np

from moireloop_analyzer.patterns.peaks import Floats, Peaks
from moireloop_broker.files import replaced_whole

DIGITS: Final = 9


def write_peaks(peaks: Peaks, path: Path, remarks: tuple[str, ...] = ()) -> None:
    """Write peaks as CSV, whole or not at all: places, intensities, errors where they are known, widths.

    Args:
        remarks: lines that begin with '#' at the top.

    Raises:
        OSError: the file cannot be written.
    """
    columns = columns_of(peaks)
    with replaced_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {remark}\n" for remark in remarks)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([f"{value:.{DIGITS}g}" for value in row])


def columns_of(peaks: Peaks) -> dict[str, Floats]:
    """The columns (N,) of a table of peaks; errors and widths where they are known for all."""
    found: dict[str, Floats] = {
        "q_x_per_angstrom": peaks.q[:, 0],
        "q_y_per_angstrom": peaks.q[:, 1],
        "intensity": peaks.intensity,
    }
    degrees = 180.0 / math.pi / np.maximum(peaks.lengths, 1e-12)
    further = {
        "sigma_q_per_angstrom": peaks.sigma_radial,
        "sigma_azimuth_deg": peaks.sigma_azimuthal * degrees,
        "fwhm_q_per_angstrom": peaks.width_radial,
        "fwhm_azimuth_deg": peaks.width_azimuthal * degrees,
    }
    return found | {name: values for name, values in further.items() if np.isfinite(values).all()}
