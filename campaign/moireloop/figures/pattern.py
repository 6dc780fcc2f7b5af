"""The picture of a measured pattern with the two lattices that it was indexed by (adapter)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moireloop.experiment.comparison import Comparison
from moireloop.figures.style import BLUE, GREEN, GREY, VERMILLION, new_figure
from moireloop.results.labels import with_error
from moireloop_analyzer.patterns.indexed import Floats, Layer
from moireloop_analyzer.patterns.reciprocal import first_ring, sites_within
from moireloop_broker.files import replaced_whole

DPI: Final = 150

LARGEST: Final = 140.0
"""Area in square points of the brightest peak."""


def pattern_figure(comparison: Comparison, name: str) -> Figure:
    """Peaks as discs by brightness, the spots of both lattices as rings in two colours, their first cells drawn."""
    figure = new_figure(7.0, 7.4, _title(comparison, name))
    axes = figure.add_subplot()
    peaks, pattern = comparison.peaks, comparison.pattern
    size = LARGEST * np.sqrt(peaks.intensity / peaks.intensity.max()) if len(peaks) else []
    unknown = np.isin(np.arange(len(peaks)), pattern.unexplained)
    for chosen, colour, label in ((~unknown, "black", "peaks"), (unknown, GREY, "peaks of unknown origin")):
        if chosen.any():
            _dots(axes, peaks.q[chosen], s=np.asarray(size)[chosen], color=colour, alpha=0.45, lw=0, label=label)
    if len(pattern.satellites):
        _dots(axes, peaks.q[pattern.satellites], s=90, marker="D", facecolors="none", edgecolors=GREEN, lw=0.8,
                     label="moire satellites")  # fmt: skip
    reach = 1.08 * float(peaks.lengths.max()) if len(peaks) else 1.0
    names = ("first layer", "second layer") if pattern.layers_known else ("brighter layer", "fainter layer")
    beside: Floats = np.array([1.0, 0.0])
    for layer, colour, marker, label in zip(pattern.layers, (BLUE, VERMILLION), ("o", "s"), names, strict=False):
        title = f"{label}, a = {layer.lattice_angstrom:.3f} Å"
        beside = _draw(axes, layer, colour, marker, title, reach, beside)
    axes.plot(0, 0, "+", color="black", ms=10)
    axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$q_x$ (1/Å)", ylabel="$q_y$ (1/Å)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, fontsize=8, frameon=False)
    return figure


def write_pattern_figure(comparison: Comparison, name: str, output: Path) -> None:
    """Write the picture whole or not at all, as PNG or SVG by the name of the file. Raises OSError."""
    with replaced_whole(output) as temporary:
        pattern_figure(comparison, name).savefig(temporary, dpi=DPI, format=output.suffix.lower().removeprefix("."))


def _draw(axes: Axes, layer: Layer, colour: str, marker: str, label: str, reach: float, beside: Floats) -> Floats:
    """Spots and first ring of a layer, and an arrow to the spot of that ring nearest to `beside`, which it returns."""
    most = (1.5 * reach / first_ring(layer.lattice_angstrom)) ** 2
    spots: Floats = sites_within(min(most, 40.0)) @ layer.matrix
    spots = spots[np.linalg.norm(spots, axis=1) < reach]
    _dots(axes, spots, s=150, marker=marker, facecolors="none", edgecolors=colour, lw=1.1, label=label)
    ring = sites_within(1) @ layer.matrix
    order = np.argsort(np.arctan2(ring[:, 1], ring[:, 0]))
    axes.fill(*ring[order].T, facecolor="none", edgecolor=colour, lw=0.9, alpha=0.8)
    along: Floats = ring[np.argmax(ring @ beside)]
    axes.annotate("", (along[0], along[1]), (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.0})
    return along


def _dots(axes: Axes, places: Floats, **style: Any) -> None:
    axes.scatter(places[:, 0], places[:, 1], **style)


def _title(comparison: Comparison, name: str) -> str:
    if comparison.twist_deg is None:
        return f"{name}: no twist: {comparison.reason}"
    return f"{name}: twist {with_error(comparison.twist_deg, comparison.sigma_deg or math.nan, '°')}"
