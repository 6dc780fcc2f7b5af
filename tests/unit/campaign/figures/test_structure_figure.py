"""The figure of g(r) and diffraction: what is drawn stands where the analyses say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from moireloop.figures.structure import PIXELS, USUAL_REACH, pattern_of, reach_of, structure_figure
from moireloop_broker.contract.events import AnalysisArray, AnalysisOutcome
from tests.helpers.bilayers import SPACING
from tests.helpers.mx2 import MOS2, mx2

RADIUS = [0.5, 1.5, 2.5, 3.5]
CORRELATION = AnalysisOutcome(
    numbers={"first_peak_angstrom": 2.44, "first_peak_height": 6.0, "seed_order": 0.9},
    arrays={
        "radius_angstrom": AnalysisArray(shape=[4], values=RADIUS),
        "g": AnalysisArray(shape=[4], values=[0.0, 0.0, 6.0, 2.0]),
        "g_metal_metal": AnalysisArray(shape=[4], values=[0.0, 0.0, 0.0, 8.0]),
        "g_metal_chalcogen": AnalysisArray(shape=[4], values=[0.0, 0.0, 9.0, 0.0]),
    },
)
BEADS = AnalysisOutcome(
    numbers=CORRELATION.numbers,
    arrays={name: array for name, array in CORRELATION.arrays.items() if name != "g_metal_chalcogen"},
)
SPOTS = AnalysisArray(shape=[2, 4], values=[2.3, 0.0, 0.1, 0.2, 0.0, -4.0, 0.1, 0.2])
DIFFRACTED = AnalysisOutcome(
    arrays={"lower_spots": SPOTS, "upper_spots": SPOTS, "satellites": AnalysisArray(shape=[0, 4], values=[])}
)
REFUSED = AnalysisOutcome(reasons={"lower_spots": "upper layer is amorphous"})


def test_without_these_analyses_there_is_no_figure() -> None:
    """Also where other analyses were named."""
    assert structure_figure({}, None) is None
    assert structure_figure({"mine": CORRELATION}, None) is None


def test_g_is_drawn_with_its_peak() -> None:
    """The curve over its radii, the peak where the numbers say, the parts that there are, the order in words."""
    figure = structure_figure({"pair_correlation": CORRELATION}, None)
    assert figure is not None
    (axes,) = figure.axes
    by_gid = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert np.asarray(by_gid["g"].get_xdata()).tolist() == RADIUS
    assert np.asarray(by_gid["g"].get_ydata()).tolist() == [0.0, 0.0, 6.0, 2.0]
    assert (by_gid["peak"].get_xdata()[0], by_gid["peak"].get_ydata()[0]) == (2.44, 6.0)  # type: ignore[index]
    assert axes.get_legend_handles_labels()[1] == ["the paper's window", "metals", "metal and chalcogen", "all pairs"]
    assert axes.get_xlim() == (0.0, 4.0)
    assert "the paper's order 0.90" in axes.texts[0].get_text()


def test_one_type_has_one_curve() -> None:
    """And no window of Mo-S bonds."""
    figure = structure_figure({"pair_correlation": BEADS}, None)
    assert figure is not None
    assert figure.axes[0].get_legend_handles_labels()[1] == ["all pairs"]


def test_rings_are_marked_on_the_pattern() -> None:
    """Marks at the q of the spots, over an image that reaches beyond the farthest."""
    assert reach_of(DIFFRACTED) == pytest.approx(1.12 * 4.0)
    bilayer = mx2(3, 2)
    pattern = pattern_of(bilayer.positions[:, :2], bilayer.types, bilayer.cell[:2, :2], (True, True), MOS2, 4.48)
    figure = structure_figure({"diffraction": DIFFRACTED}, pattern)
    assert figure is not None
    axes = figure.axes[0]
    (marks,) = [line for line in axes.lines if line.get_gid() == "lower_spots"]
    assert np.asarray(marks.get_xdata()).tolist() == [2.3, 0.0]
    assert np.asarray(marks.get_ydata()).tolist() == [0.0, -4.0]
    assert axes.get_xlim() == pytest.approx((-4.48 * (1 + 1 / (PIXELS - 1)), 4.48 * (1 + 1 / (PIXELS - 1))))


def test_the_pattern_is_bright_where_the_lattice_is() -> None:
    """The brightest pixels beside the direct beam lie on the rings of both lattices: |q| equals |{11}|."""
    bilayer = mx2(3, 2, repeats=2)
    pattern = pattern_of(bilayer.positions[:, :2], bilayer.types, bilayer.cell[:2, :2], (True, True), MOS2, 5.0)
    axis = np.linspace(-5.0, 5.0, PIXELS)
    length = np.hypot(*np.meshgrid(axis, axis))
    assert pattern.intensity[PIXELS // 2, PIXELS // 2] == pytest.approx(1.0)
    brightest = np.where(length > 0.5, pattern.intensity, 0.0).argmax()
    assert length.ravel()[brightest] == pytest.approx(4.0 * math.pi / SPACING, abs=0.05)


@pytest.mark.parametrize("outcome", [REFUSED, AnalysisOutcome(reason="MemoryError: no room")])
def test_an_analysis_that_found_nothing_says_why(outcome: AnalysisOutcome) -> None:
    """In its panel; the pattern of a molten bilayer is shown anyway."""
    figure = structure_figure({"pair_correlation": CORRELATION, "diffraction": outcome}, None)
    assert figure is not None
    reason = outcome.reason or "upper layer is amorphous"
    assert figure.axes[1].texts[0].get_text() == f"diffraction: {reason}"
    assert reach_of(outcome) == USUAL_REACH
    bilayer = mx2(3, 2)
    pattern = pattern_of(bilayer.positions[:, :2], bilayer.types, bilayer.cell[:2, :2], (False, False), {}, 5.0)
    shown = structure_figure({"diffraction": outcome}, pattern)
    assert shown is not None
    assert shown.axes[0].texts[0].get_text() == reason
    assert len(shown.axes[0].images) == 1
