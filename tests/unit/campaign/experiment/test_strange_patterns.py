"""Strange files and options of measured patterns: one true line that names what is wrong and how to mend it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from moireloop.experiment.comparison import compare_peaks, indexed
from moireloop.experiment.pattern_files import read_pattern
from moireloop.experiment.refused import PatternRefused
from moireloop.experiment.simulating import changed_settings
from moireloop.experiment.submission import submission
from moireloop_analyzer.diffraction_settings import DiffractionSettings
from moireloop_analyzer.patterns.image import Screen
from moireloop_broker.contract.search import SearchSpace
from tests.helpers.patterns import made

HEAD = "q_x_per_angstrom,q_y_per_angstrom,intensity"
SCREEN = Screen(per_pixel=0.01, centre=(10.0, 10.0))


def refusal(path: Path, screen: Screen | None = None, **options: float) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(PatternRefused) as refused:
        read_pattern(path, screen=screen, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{HEAD}\n1,2,3\n".encode("utf-16"), "looks like UTF-16: save it as UTF-8"),
        (f"{HEAD}\n1,2,3\n".encode("utf-16-le"), "null bytes, as UTF-16 has: save it as UTF-8"),
        (b"# \xc5\n" + f"{HEAD}\n1,2,3\n".encode(), "line 1: expected UTF-8 text, got the byte 0xc5"),
        (HEAD.replace(",", ";").encode() + b"\n1,5;2;3\n", "expected commas between columns and points in numbers"),
        (HEAD.replace(",", "\t").encode() + b"\n1\t2\t3\n", "got '\\t' between the names"),
        (HEAD.upper().encode() + b"\n1,2,3\n", "did you mean q_x_per_angstrom?"),
        (f"{HEAD},q_x_per_nm\n1,2,3,10\n".encode(), "q_x in one unit, got the columns q_x_per_angstrom and q_x_per_nm"),
        (f"{HEAD},q_per_angstrom,azimuth_deg\n1,0,3,2,0\n".encode(), "row 1: q_x and q_y are not at q and azimuth"),
        (f"{HEAD},sigma_q_per_angstrom\n1,2,3,1e-300\n".encode(), "row 1: sigma_q: expected an error of 1e-06"),
    ],
    ids=["utf16", "utf16-no-mark", "latin", "semicolons", "tabs", "capitals", "two-units", "two-places", "tiny-error"],
)
def test_strange_tables(tmp_path: Path, content: bytes, words: str) -> None:
    """Other encodings and separators, quantities given twice, errors that are none."""
    path = tmp_path / "a table.csv"
    path.write_bytes(content)
    assert words in refusal(path)


def test_places_given_in_two_ways_that_agree_are_taken(tmp_path: Path) -> None:
    """x and y beside length and azimuth."""
    path = tmp_path / "p.csv"
    path.write_text(f"{HEAD},q_per_angstrom,azimuth_deg\n0,2.5,3,2.5,90\n", encoding="utf-8")
    assert read_pattern(path).q == pytest.approx(np.array([[0.0, 2.5]]))


def test_columns_of_parquet_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    """With the type that came; columns that mean nothing may have any type."""
    path = tmp_path / "p.parquet"
    good = {"q_x_per_angstrom": [1.0], "q_y_per_angstrom": [2.0], "intensity": [3.0], "note": ["x"]}
    for name, values, kind in (
        ("intensity", ["3"], "string"),
        ("q_x_per_angstrom", [[1.0]], "list"),
        ("intensity", [True], "bool"),
    ):
        pq.write_table(pa.table(good | {name: values}), path)
        assert f"{name}: expected a column of numbers (double or int64), got {kind}" in refusal(path)
    pq.write_table(pa.table(good), path)
    assert len(read_pattern(path)) == 1


def test_strange_images(tmp_path: Path) -> None:
    """Kinds of numbers, sizes that would fill the memory, damaged files: none is read, none recommends pickle."""
    np.save(tmp_path / "complex.npy", np.ones((20, 20), dtype=complex))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "several.npy", a=np.ones(3))
    (tmp_path / "several.npy.npz").rename(tmp_path / "several.npy")
    (tmp_path / "noise.npy").write_bytes(b"\x93noise" * 100)
    (tmp_path / "noise.edf").write_bytes(b"\x93noise" * 100)
    Image.new("1", (14000, 14000)).save(tmp_path / "bomb.png")
    Image.new("1", (8000, 8000)).save(tmp_path / "large.png")
    for name, words in (
        ("complex.npy", "whole or real numbers, got complex128"),
        ("objects.npy", "not of objects"),
        ("several.npy", "got .npz"),
        ("noise.npy", "a whole .npy file"),
        ("bomb.png", "at most 40 000 000 pixels"),
        ("large.png", "got 8000 x 8000: bin or cut it"),
        ("noise.edf", "cannot be read as an image"),
    ):
        line = refusal(tmp_path / name, SCREEN)
        assert words in line
        assert "allow_pickle" not in line
        assert line.count("cannot be read") <= 1


def test_pixels_without_a_value_are_background(tmp_path: Path) -> None:
    """Infinite ones and those of 1e300, as masks have them, without a warning."""
    image = np.random.default_rng(1).normal(10.0, 1.0, (64, 64))
    image[5, 5], image[40, 7] = np.inf, 1e300
    np.save(tmp_path / "masked.npy", image)
    assert len(read_pattern(tmp_path / "masked.npy", screen=SCREEN)) == 0


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_options_that_are_no_lengths_are_refused(tmp_path: Path, value: float) -> None:
    """An error of the centre and the width of the instrument."""
    path = tmp_path / "p.csv"
    path.write_text(f"{HEAD}\n1,2,3\n", encoding="utf-8")
    assert "centre_error: expected 0 or more" in refusal(path, centre_error=value)
    assert "instrument: expected a width of 0 or more" in refusal(path, instrument_fwhm=value)


def test_a_negative_number_of_results_is_refused() -> None:
    """It would leave out the last ones."""
    peaks = made(np.random.default_rng(1), twist_deg=9.0).peaks
    with pytest.raises(PatternRefused, match="closest: expected a number of results, 0 or more, got -3"):
        compare_peaks(peaks, [], [], SearchSpace({"temperature_k": [1.0, 2.0]}), lattices=(3.16, 3.16), closest=-3)


def test_peaks_beyond_the_bounds_of_a_message_are_refused() -> None:
    """By the name of the column and the number of the peak."""
    peaks = made(np.random.default_rng(1), twist_deg=9.0).peaks
    large = replace(peaks, intensity=peaks.intensity * 1e300)
    with pytest.raises(PatternRefused, match="intensity, peak 1: Input should be less than"):
        submission(large, [], lattices=(3.16, 3.16))


@pytest.mark.parametrize(
    ("factor", "words"),
    [(0.5 / math.pi, "is the factor 2 pi missing?"), (10.0, "is q per nm, not per angstrom?"),
     (0.1, "is q per angstrom, not per nm?"), (2.0 * math.pi, "is the factor 2 pi there twice?")],
)  # fmt: skip
def test_a_wrong_unit_is_named(factor: float, words: str) -> None:
    """The twist is refused; what the list would show in another unit is only said."""
    peaks = made(np.random.default_rng(1), twist_deg=9.0).peaks.scaled(factor)
    found = indexed(peaks, (3.16, 3.16), 0.04, None)
    assert found.twist_deg is None
    assert words in str(found.reason)


def test_an_unknown_setting_of_diffraction_has_its_neighbour_named() -> None:
    """One of a section without it, and one that is misspelt."""
    for name, meant in (("azimuth_deg", "rheed.azimuth_deg"), ("rheed.azimut_deg", "rheed.azimuth_deg")):
        with pytest.raises(PatternRefused, match=f"did you mean {meant}"):
            changed_settings(DiffractionSettings(), {name: 3.0})
