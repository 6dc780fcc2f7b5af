"""Results as a table and files, and the utilisation of workers: all against numbers worked out by hand."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pyarrow.parquet
import pytest

from moireloop.results.files import write_results
from moireloop.results.results import utilisation, wavelength_angstrom
from moireloop.results.table import results_table
from moireloop_broker.contract.events import AnalysisArray, AnalysisOutcome
from moireloop_broker.contract.search import Target
from moireloop_broker.folder import CampaignFolder
from tests.unit.campaign.conftest import MakeResult

NEAR = Target(twist_deg=8.2, tolerance_deg=0.3)
FAR = Target(twist_deg=21.8, tolerance_deg=0.5)
BOUNDS = {"temperature_k": (1500.0, 4500.0), "lattice_strain": (0.0, 0.05)}


def test_table_has_one_row_for_each_candidate(make_result: MakeResult) -> None:
    """Measured, refused and failed candidates all have a row; what they do not have is null."""
    results = [make_result(1, twist_deg=8.0), make_result(2), make_result(3, outcome="failed")]
    table = results_table(results, [NEAR], BOUNDS)
    assert table["candidate_id"].to_pylist() == ["c-0001", "c-0002", "c-0003"]
    assert table["outcome"].to_pylist() == ["measured", "refused", "failed"]
    assert table["twist_deg"].to_pylist() == [8.0, None, None]
    assert table["order_upper"].to_pylist() == [0.95, 0.21, None]
    assert table["worker"].to_pylist() == ["worker-1", "worker-1", None]
    assert table["temperature_k"].to_pylist() == [2000.0] * 3
    assert json.loads(table["provenance"][0].as_py()) == {"lammps": "20250722"}


def test_regret_is_to_the_nearest_target_and_to_each(make_result: MakeResult) -> None:
    """With two targets, a result has its distance to the nearer one and to both."""
    table = results_table([make_result(1, twist_deg=20.8)], [NEAR, FAR], BOUNDS)
    row = table.to_pylist()[0]
    assert row["nearest_target_deg"] == 21.8
    assert row["regret_deg"] == pytest.approx(1.0)
    assert row["regret_to_8.2_deg"] == pytest.approx(12.6)
    assert row["regret_to_21.8_deg"] == pytest.approx(1.0)


def test_every_stage_has_a_column(make_result: MakeResult) -> None:
    """All stage times are there, in seconds since the epoch."""
    row = results_table([make_result(1, twist_deg=8.0, leased_s=100.0)], [NEAR], BOUNDS).to_pylist()[0]
    assert (row["proposed_s"], row["queued_s"], row["leased_s"]) == (99.0, 99.5, 100.0)
    assert {"started_s", "finished_s", "analysed_s", "logged_s"} < row.keys()


def test_parameter_named_like_a_column_keeps_apart(make_result: MakeResult) -> None:
    """A growth parameter whose name is taken gets a prefix; both values are there."""
    row = results_table([make_result(7, twist_deg=8.0, parameters={"seed": 0.5})], [NEAR], BOUNDS).to_pylist()[0]
    assert (row["seed"], row["parameter_seed"]) == (7, 0.5)


def test_numbers_of_analyses_are_columns(make_result: MakeResult) -> None:
    """Each number of an analyzer has a column, null where a result has none, and each analyzer one for its reason."""
    shape = AnalysisArray(shape=[2], values=[1.0, 2.0])
    first = AnalysisOutcome(numbers={"share": 0.5}, arrays={"g": shape}, reasons={"peak_angstrom": "none"})
    second = AnalysisOutcome(numbers={"share": 0.25, "peak_angstrom": 2.4})
    results = [
        make_result(1, twist_deg=8.0).model_copy(update={"analyses": {"order": first}}),
        make_result(2).model_copy(update={"analyses": {"order": second, "lost": AnalysisOutcome(reason="died")}}),
        make_result(3, outcome="failed"),
    ]
    table = results_table(results, [NEAR], BOUNDS)
    assert table["order.share"].to_pylist() == [0.5, 0.25, None]
    assert table["order.peak_angstrom"].to_pylist() == [None, 2.4, None]
    assert [name for name in table.column_names if "." in name] == [
        "order.share", "order.peak_angstrom", "order.reason", "lost.reason",
    ]  # fmt: skip
    assert table["order.reason"].to_pylist() == [None, None, None]
    assert table["lost.reason"].to_pylist() == [None, "died", None]


def test_no_results_make_an_empty_table() -> None:
    """Before the first result there is a table without rows, with its columns."""
    table = results_table([], [NEAR], BOUNDS)
    assert table.num_rows == 0
    assert "moire_wavelength_angstrom" in table.column_names


def test_wavelength_is_that_of_the_formula(make_result: MakeResult) -> None:
    """L = a / (2 sin(theta / 2)): 3.16 A at 60 degrees would be a itself; at 8.2 degrees it is 22.1 A."""
    wavelength = wavelength_angstrom(make_result(1, twist_deg=8.2, lattice_angstrom=3.16))
    assert wavelength == pytest.approx(3.16 / (2 * math.sin(math.radians(4.1))))
    assert wavelength == pytest.approx(22.1, abs=0.01)


@pytest.mark.parametrize("fields", [{}, {"twist_deg": 0.0}, {"outcome": "failed"}])
def test_without_twist_there_is_no_wavelength(make_result: MakeResult, fields: dict[str, float]) -> None:
    """No twist, or a twist of zero, has no moire pattern."""
    assert wavelength_angstrom(make_result(1, **fields)) is None


def test_files_hold_the_table(make_result: MakeResult, tmp_path: Path) -> None:
    """results.parquet and results.csv hold the same rows; nothing else is left in the folder."""
    folder = CampaignFolder(tmp_path)
    results = [make_result(1, twist_deg=8.0), make_result(2, reason='odd, "quoted"\nreason')]
    parquet, text = write_results(folder, results, [NEAR], BOUNDS)
    assert pyarrow.parquet.read_table(parquet).equals(results_table(results, [NEAR], BOUNDS))
    with text.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["candidate_id"] for row in rows] == ["c-0001", "c-0002"]
    assert rows[1]["reason"] == 'odd, "quoted"\nreason'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.parquet"]


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails leaves the old file and no partial one."""
    folder = CampaignFolder(tmp_path)
    folder.results_csv.write_text("old")
    folder.results_parquet.mkdir()
    with pytest.raises(OSError, match=r"results\.parquet"):
        write_results(folder, [], [NEAR], BOUNDS)
    assert folder.results_csv.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.parquet"]


def test_utilisation_of_one_worker(make_result: MakeResult) -> None:
    """One worker: 2 + 3 s of MD between the first lease at 100 s and the last end at 110 s are one half."""
    results = [
        make_result(1, twist_deg=8.0, leased_s=100.0, finished_s=102.5, md_s=2.0),
        make_result(2, leased_s=105.0, finished_s=110.0, md_s=3.0),
    ]
    used = utilisation(results)
    assert (used.md_s, used.wall_s, used.fraction) == (5.0, 10.0, 0.5)


def test_utilisation_sums_over_workers(make_result: MakeResult) -> None:
    """Two workers: (4 + 9) s of MD over (5 + 20) s, whatever the order of the results."""
    results = [
        make_result(1, twist_deg=8.0, worker="b", leased_s=110.0, finished_s=120.0, md_s=9.0),
        make_result(2, twist_deg=8.0, worker="a", leased_s=100.0, finished_s=105.0, md_s=4.0),
        make_result(3, worker="b", leased_s=100.0, finished_s=101.0, md_s=0.0),
    ]
    assert utilisation(results).fraction == pytest.approx(13 / 25)


def test_utilisation_leaves_out_the_pause_before_a_resume(make_result: MakeResult) -> None:
    """A night between two sessions is nobody's idle time: (2 + 2) s over (2 + 4) s instead of over 1004 s."""
    results = [
        make_result(1, twist_deg=8.0, leased_s=100.0, finished_s=102.0, md_s=2.0),
        make_result(2, twist_deg=8.0, leased_s=1100.0, finished_s=1104.0, md_s=2.0),
    ]
    assert utilisation(results, resumed_at_s=[1000.0]).fraction == pytest.approx(4 / 6)
    assert utilisation(results).fraction == pytest.approx(4 / 1004)


def test_utilisation_of_nothing_is_unknown(make_result: MakeResult) -> None:
    """Before a run has ended, and for failed ones only, there is no utilisation."""
    assert utilisation([]).fraction is None
    assert utilisation([make_result(1, outcome="failed")]).fraction is None
