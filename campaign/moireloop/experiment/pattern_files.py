"""Reading measured patterns: tables as CSV or Parquet, images (adapter)."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop.experiment.columns import KNOWN, peaks_of_columns
from moireloop.experiment.refused import PatternRefused
from moireloop_analyzer.patterns.image import NoScreen, Screen, spots_in_image
from moireloop_analyzer.patterns.peaks import Peaks
from moireloop_broker.problems import not_utf8

Floats = npt.NDArray[np.floating[Any]]

MOST_PIXELS: Final = 40_000_000

TOO_LARGE: Final = f"expected an image of at most {MOST_PIXELS:,} pixels".replace(",", " ")

NO_VALUE: Final = 1e30
"""A pixel of this size or more has no value, as one that is not finite."""

SEPARATORS: Final = ";\t| "

MOST_BYTES: Final = 256 * 1024 * 1024

TABLES: Final = (".csv", ".parquet")

IMAGES: Final = (".png", ".tif", ".tiff", ".npy", ".edf", ".cbf", ".mar3450", ".mccd", ".img")

PLAIN_IMAGES: Final = (".png", ".tif", ".tiff")


def read_pattern(
    path: Path, *, screen: Screen | None = None, centre_error: float = 0.0, instrument_fwhm: float = 0.0
) -> Peaks:
    """The peaks of a measured pattern.

    Args:
        path: a table of peaks or of scans (.csv, .parquet), or an image (.png, .tif, .npy; others by fabio).
        screen: where an image lies in q; needed for one, refused for a table.
        centre_error: standard error of the direct beam's place in inverse angstrom, for a table.
        instrument_fwhm: full width of the instrument along q in inverse angstrom; 0 where it is not known.

    Raises:
        PatternRefused: the file cannot be read as a pattern.
        MissingExtra: a package that reads it is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (*TABLES, *IMAGES):
        raise PatternRefused(f"{path}: expected a file that ends in {', '.join((*TABLES, *IMAGES))}")
    _refuse_unreadable(path)
    if suffix in TABLES:
        if screen is not None:
            raise PatternRefused(
                f"{path}: a calibration and a centre are for images; a table has its units in its columns"
            )
        columns = _csv_columns(path) if suffix == ".csv" else _parquet_columns(path)
        return peaks_of_columns(columns, str(path), centre_error=centre_error, instrument=instrument_fwhm)
    if screen is None:
        text = "an image needs its calibration (inverse angstrom per pixel) and its centre (x, y)"
        raise PatternRefused(f"{path}: {text}")
    try:
        return spots_in_image(_image(path, suffix), screen)
    except NoScreen as error:
        raise PatternRefused(f"{path}: {error}") from error


def _refuse_unreadable(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PatternRefused(f"{path}: cannot be read: {error.strerror}") from error
    if not path.is_file():
        raise PatternRefused(f"{path}: expected a file with a pattern, got something else")
    if not 0 < size <= MOST_BYTES:
        raise PatternRefused(f"{path}: expected a file of up to {MOST_BYTES >> 20} MiB, got {size} bytes")


def _csv_columns(path: Path) -> Mapping[str, Floats]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(line for line in file if not line.startswith("#")) if any(row)]
    except UnicodeDecodeError as error:
        line, text = not_utf8(error)
        raise PatternRefused(f"{path}: cannot be read as CSV: line {line}: {text}") from error
    except (OSError, csv.Error) as error:
        raise PatternRefused(f"{path}: cannot be read as CSV: {error}") from error
    if any("\0" in cell for row in rows[:1] for cell in row):
        raise PatternRefused(f"{path}: cannot be read as CSV: it has null bytes, as UTF-16 has: save it as UTF-8")
    if len(rows) < 2:
        raise PatternRefused(f"{path}: expected a line with the names of columns and a row for each peak, got neither")
    names = [name.strip() for name in rows[0]]
    separator = next((sign for sign in SEPARATORS if len(names) == 1 and sign in names[0]), None)
    if separator is not None:
        raise PatternRefused(
            f"{path}: expected commas between columns and points in numbers, got {separator!r} between the names"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PatternRefused(f"{path}: expected each column once, got {twice!r} twice")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise PatternRefused(f"{path}: row {number}: expected {len(names)} values, got {len(row)}")
    return {
        name: np.array([_number(row[place], name, number, path) for number, row in enumerate(rows[1:], start=1)])
        for place, name in enumerate(names)
        if name in KNOWN or _is_numeric(rows[1][place])
    }


def _is_numeric(text: str) -> bool:
    return _as_number(text) is not None


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _number(text: str, name: str, row: int, path: Path) -> float:
    if not text.strip():
        return math.nan
    number = _as_number(text)
    if number is None and name in KNOWN:
        raise PatternRefused(f"{path}: row {row}: {name}: expected a number, got {text!r}")
    return math.nan if number is None else number


def _parquet_columns(path: Path) -> Mapping[str, Floats]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        kinds = {name: table.schema.field(name).type for name in table.column_names}
        kept = [name for name, kind in kinds.items() if pa.types.is_floating(kind) or pa.types.is_integer(kind)]
        wrong = next((name for name in table.column_names if name in KNOWN and name not in kept), None)
        if wrong is None:
            return {name: table[name].to_numpy().astype(np.float64) for name in kept}
    except (OSError, pa.ArrowException, ValueError) as error:
        raise PatternRefused(f"{path}: cannot be read as Parquet: {error}") from error
    raise PatternRefused(f"{path}: {wrong}: expected a column of numbers (double or int64), got {kinds[wrong]}")


def _image(path: Path, suffix: str) -> Floats:
    try:
        data = _by_fabio(path) if suffix not in (".npy", *PLAIN_IMAGES) else _plain_image(path, suffix)
    except PatternRefused:
        raise
    except (OSError, ValueError, SyntaxError) as error:
        raise PatternRefused(f"{path}: cannot be read as an image: {error}") from error
    if data.ndim != 2 or min(data.shape) < 16:
        raise PatternRefused(f"{path}: expected one grey image of 16 x 16 pixels or more, got shape {data.shape}")
    if data.dtype.kind not in "uif":
        raise PatternRefused(f"{path}: expected an image of whole or real numbers, got {data.dtype}")
    _refuse_large(path, data.shape)
    values = np.asarray(data, dtype=np.float64)
    return np.where(np.abs(values) < NO_VALUE, values, np.nan)


def _plain_image(path: Path, suffix: str) -> npt.NDArray[Any]:
    if suffix == ".npy":
        try:
            with path.open("rb") as file:
                data = np.load(file, allow_pickle=False)
        except (ValueError, EOFError) as error:
            text = "expected a whole .npy file with an array of numbers, not of objects"
            raise PatternRefused(f"{path}: cannot be read as an image: {text}") from error
        if not isinstance(data, np.ndarray):
            raise PatternRefused(f"{path}: cannot be read as an image: expected .npy with one array, got .npz")
        return data
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as picture:
                _refuse_large(path, picture.size[::-1])
                return np.asarray(picture if picture.mode.startswith(("I", "F", "L")) else picture.convert("L"))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise PatternRefused(f"{path}: {TOO_LARGE}, got more than twice as many") from error


def _refuse_large(path: Path, shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MOST_PIXELS:
        raise PatternRefused(f"{path}: {TOO_LARGE}, got {' x '.join(map(str, shape[::-1]))}: bin or cut it")


def _by_fabio(path: Path) -> Floats:
    from moireloop_broker.extras import extras_for

    with extras_for(f"reading {path.name}", ("experiment",)):
        import fabio
    try:
        return np.asarray(fabio.open(str(path)).data)
    except Exception as error:  # fabio's readers raise whatever a damaged file leads them to
        raise PatternRefused(f"{path}: cannot be read as an image: {error}") from error
