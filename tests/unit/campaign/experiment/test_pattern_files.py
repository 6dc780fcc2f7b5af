"""Files of measured patterns: columns with units, and one true line for everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from moireloop.experiment.pattern_files import read_pattern
from moireloop.experiment.refused import PatternRefused
from moireloop_analyzer.patterns.image import Screen

HEAD = "q_x_per_angstrom,q_y_per_angstrom,intensity"


def written(tmp_path: Path, text: str, name: str = "p.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_units_stand_in_the_names(tmp_path: Path) -> None:
    """Angstrom and nanometre, x and y or length and azimuth: the same peaks."""
    tables = (
        f"{HEAD}\n0,2.5,7\n",
        "q_x_per_nm,q_y_per_nm,intensity\n0,25,7\n",
        "# a remark\nq_per_angstrom,azimuth_deg,intensity,name\n2.5,90,7,top\n",
        "q_per_nm,azimuth_rad,intensity\n-25,-1.5707963267948966,7\n",
    )
    for text in tables:
        peaks = read_pattern(written(tmp_path, text))
        assert peaks.q == pytest.approx(np.array([[0.0, 2.5]]))
        assert peaks.intensity.tolist() == [7.0]
        assert not peaks.errors_known


def test_errors_and_widths_are_taken(tmp_path: Path) -> None:
    """Along q and across it; one error stands for both; an empty one is not known."""
    head = "q_per_angstrom,azimuth_deg,intensity,sigma_q_per_angstrom,sigma_azimuth_deg,fwhm_q_per_nm,fwhm_azimuth_deg"
    peaks = read_pattern(written(tmp_path, f"{head}\n2,0,1,0.01,1,0.5,2\n2,60,1,0.01,,,\n"))
    assert peaks.sigma_radial.tolist() == [0.01, 0.01]
    assert peaks.sigma_azimuthal == pytest.approx([np.radians(2.0), 0.01])
    assert peaks.width_radial[0] == pytest.approx(0.05)
    assert peaks.width_azimuthal[0] == pytest.approx(np.radians(4.0))
    assert np.isnan(peaks.width_radial[1])


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    """Whole numbers too; columns of text are left alone."""
    path = tmp_path / "p.parquet"
    columns = {"q_x_per_angstrom": [1, 2], "q_y_per_angstrom": [0.5, 1.5], "intensity": [3.0, 4.0], "note": ["a", "b"]}
    pq.write_table(pa.table(columns), path)
    assert read_pattern(path).q.tolist() == [[1.0, 0.5], [2.0, 1.5]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 bytes"),
        ("q_x_per_angstrom\n", "row for each peak"),
        ("a,b\n1,2\n", "expected the columns q_x_per_angstrom"),
        ("q_x,q_y,intensity\n1,2,3\n", "column 'q_x' has no unit: expected q_x_per_angstrom or q_x_per_nm"),
        ("q_x_per_angstrom,q_y_per_angstrom\n1,2\n", "expected a column intensity"),
        (f"{HEAD[:-1]}\n1,2,3\n", "did you mean intensity?"),
        (f"{HEAD}\n1,2\n", "row 1: expected 3 values, got 2"),
        (f"{HEAD}\n1,2,3\n1,zwei,3\n", "row 2: q_y_per_angstrom: expected a number, got 'zwei'"),
        (f"{HEAD}\n1,nan,3\n", "row 1: q_y_per_angstrom: expected a finite number"),
        (f"{HEAD}\n1,2,-3\n", "row 1: intensity: expected above 0, got -3"),
        (f"{HEAD}\n1000,2,3\n", "is the unit right?"),
        (f"{HEAD},intensity\n1,2,3,4\n", "'intensity' twice"),
        (f"{HEAD},sigma_q_per_angstrom\n1,2,3,0\n", "sigma_q_per_angstrom: expected above 0, got 0"),
        ("q_per_angstrom,azimuth_deg,counts\n1,2,3\n", "expected a column scan"),
        ("q_per_angstrom,azimuth_deg,counts,scan\n1,2,-3,1\n", "counts: expected 0 or more"),
        (HEAD + "\n" + "1,2,3\n" * 2001, "at most 2000 rows, got 2001"),
    ],
)
def test_a_wrong_table_is_one_true_line(tmp_path: Path, text: str, words: str) -> None:
    """It names the file, the row, the column, what was expected and what came."""
    path = written(tmp_path, text)
    with pytest.raises(PatternRefused) as refused:
        read_pattern(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    """Not there, a folder, another ending, damaged, an image without a screen, a table with one."""
    (tmp_path / "folder.csv").mkdir()
    screen = Screen(per_pixel=0.01, centre=(10.0, 10.0))
    cases = (
        (tmp_path / "none.csv", None, "No such file"),
        (tmp_path / "folder.csv", None, "expected a file with a pattern"),
        (written(tmp_path, "x", "p.txt"), None, "expected a file that ends in"),
        (written(tmp_path, "x", "p.parquet"), None, "cannot be read as Parquet"),
        (written(tmp_path, "x", "p.png"), None, "needs its calibration"),
        (written(tmp_path, "x", "p.png"), screen, "cannot be read as an image"),
        (written(tmp_path, "x", "p.npy"), screen, "cannot be read as an image"),
        (written(tmp_path, f"{HEAD}\n1,2,3\n"), screen, "are for images"),
    )
    for path, given, words in cases:
        with pytest.raises(PatternRefused, match=words):
            read_pattern(path, screen=given)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00q")
    with pytest.raises(PatternRefused, match="cannot be read as CSV"):
        read_pattern(tmp_path / "b.csv")


def test_images_of_each_kind_are_read(tmp_path: Path) -> None:
    """8 and 16 bits, floats and arrays of NumPy: one spot to the right, one above."""
    y, x = np.mgrid[:120, :120]
    image = 20 + sum(150 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18.0) for a, b in ((100.0, 60.0), (60.0, 25.0)))
    image = image + np.random.default_rng(3).normal(0, 1, image.shape)
    np.save(tmp_path / "p.npy", image)
    Image.fromarray(image.astype(np.uint8)).save(tmp_path / "p.png")
    Image.fromarray((image * 100).astype(np.uint16)).save(tmp_path / "p.tif")
    screen = Screen(per_pixel=0.05, centre=(60.0, 60.0))
    for name in ("p.npy", "p.png", "p.tif"):
        peaks = read_pattern(tmp_path / name, screen=screen)
        places = sorted(np.round(peaks.q, 2).tolist())
        assert np.array(places) == pytest.approx(np.array([[0.0, 1.75], [2.0, 0.0]]), abs=0.02), name
