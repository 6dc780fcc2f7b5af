"""Figures of many results show where these are, not a dot or a line for each."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure

from moireloop.figures.density import MANY, MOST_CIRCLES, cell_of, draw_medians, edges, lines_over_time
from moireloop.figures.search import regret_figure, space_figure
from moireloop.figures.trajectories import trajectory_figure
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.state.series import Series, SeriesPoint
from tests.unit.campaign.conftest import result as make_result

TARGETS = [Target(twist_deg=8.2, tolerance_deg=0.3)]
BOUNDS = {"temperature_k": (0.0, 1.0), "shear_strain": (0.0, 1.0)}
COUNT = MANY + 1


@pytest.fixture(scope="module")
def many() -> list[Result]:
    """One result more than are drawn as dots: each seventh without a twist, each fifth of the others on target."""
    return [
        make_result(
            number,
            twist_deg=None if number % 7 == 0 else 8.2 if number % 5 == 0 else 20.0,
            parameters={"temperature_k": number / COUNT, "shear_strain": number * 0.618 % 1},
        )
        for number in range(COUNT)
    ]


def meshes(figure: Figure) -> list[QuadMesh]:
    """The coloured cells of all panels but the colour bars."""
    return [found for axes in figure.axes for found in axes.collections if isinstance(found, QuadMesh)]


def test_regret_figure_counts_every_measured_result_once(many: list[Result]) -> None:
    """The cells of a panel hold all results with a twist, also those exactly on the target; no dots are drawn."""
    figure = regret_figure(many, TARGETS)
    counts = meshes(figure)[0].get_array()
    assert counts is not None
    assert int(np.ma.filled(counts, 0).sum()) == sum(result.twist_deg is not None for result in many)
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_space_figure_marks_the_cells_with_hits(many: list[Result]) -> None:
    """Circles stand in the cells that have results within the tolerance, and in no others."""
    panel = space_figure(many, BOUNDS, TARGETS).axes[0]
    circles = [found for found in panel.collections if isinstance(found, PathCollection)]
    hits = [result.candidate.parameters for result in many if result.twist_deg == 8.2]
    measured = [result.candidate.parameters for result in many if result.twist_deg is not None]
    cells = {
        tuple(int(cell_of(np.array([at[name]]), edges(np.array([m[name] for m in measured])))[0]) for name in BOUNDS)
        for at in hits
    }
    assert len(np.asarray(circles[0].get_offsets())) == len(cells)


def test_hits_everywhere_leave_the_colours_to_be_seen() -> None:
    """Of very many cells with hits those with the most have a circle, and the legend says so."""
    x, y = np.random.default_rng(1).uniform(size=(2, 20_000))
    x[:9000], y[:9000] = 0.5, 0.25
    axes = Figure().subplots()
    draw_medians(axes, x, y, np.full(20_000, 8.2), np.ones(20_000, dtype=np.bool_))
    (circles,) = [found for found in axes.collections if isinstance(found, PathCollection)]
    assert len(np.asarray(circles.get_offsets())) == len(circles.get_sizes()) == MOST_CIRCLES
    assert circles.get_label() == f"within tolerance of a target: the {MOST_CIRCLES} cells with the most hits"
    most = np.asarray(circles.get_offsets())[int(np.argmax(circles.get_sizes()))]
    assert np.abs(most - [0.5, 0.25]).max() < 1 / 48


def test_runs_are_counted_between_their_frames() -> None:
    """A run counts once in each column of time that its line crosses; beside a frame without a twist it does not."""
    points = [(0.0, 0.0), (10.0, 10.0), (20.0, None), (30.0, 10.0), (40.0, 10.0)]
    series = [Series("a", 1, [_point(time_ps, twist) for time_ps, twist in points])] * 3
    times, levels = np.linspace(0, 40, 41), np.linspace(0, 30, 31)
    counts = lines_over_time(series, "twist_deg", 1.0, times, levels)
    assert counts[:10].sum(axis=1).tolist() == [3.0] * 10
    assert [int(np.argmax(column)) for column in counts[:10]] == list(range(10))
    assert counts[10:30].sum() == 0
    assert counts[30:, 10].tolist() == [3.0] * 10


def test_trajectories_of_many_runs_draw_the_best_alone(many: list[Result]) -> None:
    """Two panels of cells, and one line in each: the best run's."""
    series = [
        Series(result.candidate.candidate_id, 1, [_point(0.0, 1.0), _point(80.0, result.twist_deg)]) for result in many
    ]
    figure = trajectory_figure(series, many, TARGETS)
    assert len(meshes(figure)) >= 2
    lines = [line for line in figure.axes[1].lines if len(np.atleast_1d(line.get_xdata())) > 1]
    assert len(lines) == 1


def _point(time_ps: float, twist_deg: float | None) -> SeriesPoint:
    return SeriesPoint(int(time_ps), time_ps, 300.0, twist_deg, 0.1, 0.9, 0.9, None, 80, False, 0.9)
