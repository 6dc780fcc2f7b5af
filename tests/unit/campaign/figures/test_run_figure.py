"""The figure of one run: what is drawn stands where the series says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from moireloop.figures.run import kind_of, refused_stretches, run_figure
from moireloop_broker.contract.search import Target
from moireloop_broker.state.series import Series, SeriesPoint
from tests.unit.campaign.conftest import MakeResult
from tests.unit.campaign.results.test_trajectories import series_of

MOLTEN, POLY = "upper layer is amorphous: |psi6| 0.2{} is below 0.50", "lower layer: 3 grains"


def with_reasons(reasons: list[str | None]) -> list[SeriesPoint]:
    points = series_of("c1", [8.0 if reason is None else None for reason in reasons]).points
    return [point._replace(reason=reason) for point, reason in zip(points, reasons, strict=True)]


def lines(axes: Axes, gid: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_gid() == gid]


def test_three_panels_share_one_axis_of_time() -> None:
    """Twist, both orders and temperature at the times of the frames, with sigma as a band about the twist."""
    series = series_of("c1", [None, 8.1, 8.3])
    twists, orders, temperatures = run_figure([series], [Target(twist_deg=8.0)]).axes
    (twist,) = lines(twists, "twist")
    assert np.asarray(twist.get_xdata()).tolist() == [2.0, 4.0, 6.0]
    assert np.asarray(twist.get_ydata(), dtype=float).tolist() == pytest.approx([float("nan"), 8.1, 8.3], nan_ok=True)
    (band,) = [area for area in twists.collections if area.get_gid() == "sigma"]
    corners = np.concatenate([path.vertices for path in band.get_paths()])
    assert {round(y, 6) for x, y in corners.tolist() if x == 4.0} == {8.05, 8.15}
    assert [len(lines(orders, layer)) for layer in ("lower", "upper")] == [1, 1]
    assert np.asarray(lines(temperatures, "temperature")[0].get_ydata()).tolist() == [2000.0] * 3
    assert twists.get_shared_x_axes().joined(twists, temperatures)


def test_refusals_are_shades_with_their_reasons() -> None:
    """A stretch is shaded half way to its neighbours; the legend counts as one what differs only in numbers."""
    points = with_reasons([MOLTEN.format(1), MOLTEN.format(7), None, POLY, None, MOLTEN.format(3)])
    figure = run_figure([Series("c1", 1, points)], [])
    shaded = [patch.get_extents().transformed(figure.axes[0].transData.inverted()).intervalx.round(6).tolist()
              for patch in figure.axes[0].patches if patch.get_gid() == "refused"]  # fmt: skip
    assert shaded == [[2.0, 5.0], [7.0, 9.0], [11.0, 12.0]]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "no twist in 3 frames: upper layer is amorphous" in texts
    assert "no twist in 1 frame: lower layer: … grains" in texts


def test_stretches_end_where_the_reason_changes() -> None:
    """Two reasons side by side are two stretches; frames with a twist are in none."""
    points = with_reasons([POLY, MOLTEN, MOLTEN, None, POLY])
    assert [(first, last) for first, last, _ in refused_stretches(points)] == [(0, 0), (1, 2), (4, 4)]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("upper layer is polycrystalline: its largest grain has 31% of its atoms", "upper layer is polycrystalline"),
        ("lower layer: no bonds between its atoms", "lower layer: no bonds between its atoms"),
        ("3 of 864 positions are not finite", "… of … positions are not finite"),
        ("analysis failed: ValueError: expected 3, got 4", "analysis failed"),
    ],
)
def test_kinds_of_reasons_have_no_numbers(reason: str, kind: str) -> None:
    """So that they can be counted."""
    assert kind_of(reason) == kind


def test_all_attempts_are_drawn_and_marked() -> None:
    """Of a run that was resumed each attempt has its line, from where it began, and its name."""
    first, second = series_of("c1", [1.0] * 5), series_of("c1", [2.0] * 8, attempt=2)
    resumed = Series("c1", 2, second.points[4:])
    figure = run_figure([resumed, first], [])
    twists = figure.axes[0]
    assert [np.asarray(line.get_xdata())[0] for line in lines(twists, "twist")] == [2.0, 10.0]
    assert [text.get_text() for text in twists.texts] == ["attempt 1", "attempt 2"]
    marks = [float(np.asarray(line.get_xdata())[0]) for line in lines(twists, "attempt")]
    assert marks == [2.0, 10.0]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_an_early_end_is_marked_with_its_reason(make_result: MakeResult) -> None:
    """A line at the last frame in every panel, named in the legend; the reason under the title. Else there is none."""
    series = series_of("c1", [8.1, 8.2, 8.2])
    settled = make_result(1, twist_deg=8.2, ended="settled").model_copy(update={"reason": "settled: as it was"})
    figure = run_figure([series], [], "c1", settled)
    assert [np.asarray(line.get_xdata()).tolist() for axes in figure.axes for line in lines(axes, "ended")] == [
        [6, 6]
    ] * 3
    assert "ended early: settled" in legend(figure)
    assert figure.axes[0].get_title("left") == "settled: as it was"
    whole = run_figure([series], [], "c1", make_result(1, twist_deg=8.2))
    assert not lines(whole.axes[0], "ended")
    assert whole.axes[0].get_title("left") == ""


def test_a_long_reason_fits_into_the_picture(make_result: MakeResult) -> None:
    """It is wrapped; so is a long title."""
    result = make_result(1, outcome="refused", reason="upper layer: " + "far too molten " * 30)
    figure = run_figure([series_of("c1", [None])], [], "c1: " + "many words " * 20, result)
    figure.draw_without_rendering()
    for text in (figure.axes[0]._left_title, figure._suptitle):  # type: ignore[attr-defined]
        extent = text.get_window_extent()
        assert extent.x0 >= 0
        assert extent.x1 <= figure.bbox.x1
        assert "\n" in text.get_text()


def test_the_legend_names_only_what_is_seen() -> None:
    """No twist where there is none, no tolerance that lies above the axis."""
    texts = legend(run_figure([series_of("c1", [None, None])], [Target(twist_deg=28.0)]))
    assert not any(text.startswith(("twist", "within tolerance")) for text in texts)
    texts = legend(run_figure([series_of("c1", [4.0])], [Target(twist_deg=4.0)]))
    assert {"twist, band: ± sigma", "within tolerance"} <= set(texts)


def test_a_run_without_frames_says_so(tmp_path: Path) -> None:
    """And is drawn anyway."""
    figure = run_figure([Series("c1", 1, [])], [Target(twist_deg=8.0)], "c1")
    assert [text.get_text() for text in figure.axes[0].texts] == ["no results yet"]
    figure.savefig(tmp_path / "run.png")
