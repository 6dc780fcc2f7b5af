"""The series of runs as a table, as files and as a figure."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from matplotlib.lines import Line2D

from moireloop.figures.trajectories import last_attempts, trajectory_figure
from moireloop.results.files import write_trajectories
from moireloop.results.trajectories import trajectories_table
from moireloop_broker.contract.search import Target
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series, SeriesPoint
from tests.unit.campaign.conftest import MakeResult

MOLTEN = "upper layer is amorphous"


def series_of(candidate_id: str, twists: list[float | None], attempt: int = 1, ps: float = 2.0) -> Series:
    """A series with a frame each 500 steps; the last one is the run's final frame."""
    points = [
        SeriesPoint(
            step=500 * number, time_ps=ps * number, temperature_k=2000.0, twist_deg=twist,
            sigma_deg=None if twist is None else 0.05, order_lower=0.99, order_upper=0.2 if twist is None else 0.9,
            reason=MOLTEN if twist is None else None, planned_steps=2000, final=number == len(twists),
        )
        for number, twist in enumerate(twists, start=1)
    ]  # fmt: skip
    return Series(candidate_id, attempt, points)


def test_table_has_a_row_for_each_frame(tmp_path: Path) -> None:
    """Rows name candidate and attempt; a frame without a twist has its reason; both files hold the same rows."""
    folder = CampaignFolder(tmp_path)
    folder.create()
    parquet, text = write_trajectories(folder, [series_of("c1", [None, 8.2]), series_of("c1", [8.3], attempt=2)])
    table = pyarrow.parquet.read_table(parquet)
    assert table.column("candidate_id").to_pylist() == ["c1"] * 3
    assert table.column("attempt").to_pylist() == [1, 1, 2]
    assert table.column("step").to_pylist() == [500, 1000, 500]
    assert table.column("twist_deg").to_pylist() == [None, 8.2, 8.3]
    assert table.column("reason").to_pylist() == [MOLTEN, None, None]
    assert table.column("final").to_pylist() == [False, True, True]
    assert pyarrow.csv.read_csv(text).num_rows == 3


def test_table_without_runs_has_its_columns() -> None:
    """Before the first frame the table is empty, with the same columns."""
    empty, full = trajectories_table([]), trajectories_table([series_of("c1", [1.0])])
    assert empty.num_rows == 0
    assert empty.schema == full.schema


def lines_of(axes: object) -> list[Line2D]:
    return [line for line in getattr(axes, "lines", []) if len(np.asarray(line.get_xdata())) > 1]


def test_figure_shows_each_run_once_and_names_the_best(make_result: MakeResult) -> None:
    """Of 50 runs each has one line for twist and one for order; the best is drawn last and named with its twist."""
    twists = [None, *np.linspace(1.0, 29.0, 49)]
    results = [make_result(number, twist_deg=twist) for number, twist in enumerate(twists)]
    all_series = [
        series_of(r.candidate.candidate_id, [None, t, t]) for r, t in zip(results, twists, strict=True)
    ]  # fmt: skip
    figure = trajectory_figure(all_series, results, [Target(twist_deg=8.0)])
    upper, lower = figure.axes[:2]
    assert len(lines_of(upper)) == len(lines_of(lower)) == 50
    (named,) = [text.get_text() for text in upper.texts]
    best = min(twists[1:], key=lambda twist: abs((twist or 0) - 8.0))
    assert named.endswith(f"{best:.2f}°")
    drawn_last = np.asarray(lines_of(upper)[-1].get_ydata(), dtype=float)
    assert math.isnan(drawn_last[0])
    assert drawn_last[1:].tolist() == pytest.approx([best, best])


def test_the_dot_is_at_the_twist_of_the_result(make_result: MakeResult) -> None:
    """Which may differ from the last frame's, as of a settled run; without a result it is the last frame's."""
    result = make_result(1, twist_deg=8.1, ended="settled")
    all_series = [series_of("c-0001", [8.1, 8.1, 8.9]), series_of("c-0002", [5.0, 6.0])]
    upper = trajectory_figure(all_series, [result], [Target(twist_deg=8.0)]).axes[0]
    dots = [np.asarray(line.get_ydata()).tolist() for line in upper.lines if line.get_gid() == "result"]
    assert sorted(dots) == [[6.0], [8.1]]
    assert [text.get_text() for text in upper.texts] == ["c-0001  8.10°"]


def test_long_runs_are_shown_in_nanoseconds() -> None:
    """Half a nanosecond stays in ps, two become ns."""
    for ps, unit in ((100.0, "ps"), (500.0, "ns")):
        figure = trajectory_figure([series_of("c1", [1.0] * 5, ps=ps)], [], [])
        assert figure.axes[1].get_xlabel() == f"simulated time ({unit})"


def test_last_attempt_of_each_candidate_is_shown() -> None:
    """An attempt that was lost is not drawn beside the one that came after it."""
    shown = last_attempts([series_of("c2", [1.0], 2), series_of("c1", [1.0]), series_of("c2", [1.0], 1)])
    assert [(series.candidate_id, series.attempt) for series in shown] == [("c1", 1), ("c2", 2)]


def test_figure_without_runs_says_so() -> None:
    """Before the first frame there is a figure too."""
    figure = trajectory_figure([], [], [Target(twist_deg=8.0)])
    assert [text.get_text() for text in figure.axes[0].texts] == ["no results yet"]
