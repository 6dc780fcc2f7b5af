"""Whatever the contract lets into the log fits the tables and figures."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from moireloop.figures.search import regret_figure, space_figure
from moireloop.results.files import write_results
from moireloop_broker.contract.events import Measurement, Result, RunReport, StageTimes
from moireloop_broker.contract.message import MAX_COUNT, MAX_NUMBER, MAX_SECONDS
from moireloop_broker.contract.search import Target
from moireloop_broker.folder import CampaignFolder
from tests.unit.campaign.conftest import MakeResult

TARGET = Target(twist_deg=8.2)
BOUNDS = {"temperature_k": (-MAX_NUMBER, MAX_NUMBER), "lattice_strain": (-MAX_NUMBER, MAX_NUMBER)}


@pytest.fixture
def largest(make_result: MakeResult) -> Result:
    """A result all of whose numbers are as large as the contract lets them be."""
    made = make_result(1, twist_deg=30.0)
    return made.model_copy(
        update={
            "candidate": made.candidate.model_copy(
                update={"parameters": {"temperature_k": MAX_NUMBER, "lattice_strain": -MAX_NUMBER}, "seed": 2**31 - 1}
            ),
            "attempt": 1_000_000,
            "measurement": Measurement(
                twist_deg=30.0, signed_deg=-30.0, sigma_deg=MAX_NUMBER, lattice_lower_angstrom=MAX_NUMBER,
                lattice_upper_angstrom=0.0, moire_angstrom=MAX_NUMBER, grains_lower=MAX_COUNT,
                grains_upper=MAX_COUNT, cell_vectors_angstrom=[MAX_NUMBER] * 4,
            ),
            "report": RunReport(
                worker="w", started_s=0.0, finished_s=MAX_SECONDS, steps=MAX_COUNT, planned_steps=MAX_COUNT,
                md_s=MAX_SECONDS, frames_sent=MAX_COUNT, frames_dropped=MAX_COUNT, resumed_from_step=MAX_COUNT,
            ),
            "times": StageTimes(proposed_s=0.0, leased_s=0.0, logged_s=MAX_SECONDS),
        }
    )  # fmt: skip


def test_largest_numbers_fit_the_tables(tmp_path: Path, largest: Result, make_result: MakeResult) -> None:
    """They come back out of the Parquet file as they were."""
    folder = CampaignFolder(tmp_path / "c.campaign")
    folder.create()
    write_results(folder, [largest, make_result(2, twist_deg=8.0)], [TARGET], BOUNDS)
    row = pq.read_table(folder.results_parquet).to_pylist()[0]
    assert (row["steps"], row["grains_lower"], row["sigma_deg"]) == (MAX_COUNT, MAX_COUNT, MAX_NUMBER)


def test_largest_numbers_are_drawn(largest: Result, make_result: MakeResult) -> None:
    """Figures of such results are made, with warnings as errors."""
    results = [largest, make_result(2, twist_deg=8.0)]
    for figure in (regret_figure(results, [TARGET]), space_figure(results, BOUNDS, [TARGET])):
        figure.canvas.draw()
