"""Figures S1 to S4 of the paper's paper: the landscape, its twists, and how a search moves through it (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from bench.grid import LEVELS
from bench.landscapes import Floats
from bench.paper_figures.claims import TARGETS_DEG, Evidence
from bench.paper_figures.measures import cycles
from bench.paper_figures.panels import SMALL, Parameter, grid
from bench.paper_figures.searches import BATCH, SMALL_BATCH
from bench.search import Trace
from moireloop.figures.style import BLUE, LARGEST_TWIST_DEG, TWIST_COLOURS, VERMILLION, new_figure

SHEARS_SHOWN: Final = 6
FEW: Final = 5
"""A violin is drawn for at least this many values, unless all are equal."""

PAIRS: Final = ((0, 1), (0, 2), (1, 2))


def landscape(evidence: Evidence, axes_of: Sequence[Parameter]) -> Figure:
    """Figure S1: twist by temperature and lattice strain at six shears, the median of the seeds of each place."""
    figure = new_figure(7.0, 4.4, "")
    panels = figure.subplots(2, SHEARS_SHOWN // 2, sharex=True, sharey=True)
    count = len(LEVELS["shear_strain"])
    for axes, place in zip(panels.ravel(), np.linspace(0, count - 1, SHEARS_SHOWN).round().astype(int), strict=True):
        twists = _middle_deg(evidence.grid_deg[:, :, place])
        x, y = (np.linspace(axis.low, axis.high, size) for axis, size in zip(axes_of, twists.shape, strict=False))
        axes.set_facecolor("#dddddd")
        axes.pcolormesh(x, y, twists.T, norm=TWIST_COLOURS.norm, cmap=TWIST_COLOURS.cmap, shading="nearest")
        value = axes_of[2].values(np.array(place / (count - 1)))
        axes.set_title(f"{axes_of[2].label} {value:.3g}", fontsize=SMALL + 1)
    for axes in panels[-1]:
        axes.set_xlabel(axes_of[0].label)
    for axes in panels[:, 0]:
        axes.set_ylabel(axes_of[1].label)
    figure.colorbar(TWIST_COLOURS, ax=list(panels.ravel()), label="twist (°)", aspect=28, pad=0.02)
    return figure


def _middle_deg(twists_deg: Floats) -> Floats:
    """(n, m) the middle one of the twists that each place has, the lower of two; NaN where it has none."""
    ordered = np.sort(twists_deg, axis=2)
    known = np.isfinite(ordered).sum(axis=2)
    middle = np.maximum(known - 1, 0) // 2
    return np.take_along_axis(ordered, middle[..., None], axis=2)[..., 0]


def diversity(evidence: Evidence, axes_of: Sequence[Parameter]) -> Figure:
    """Figure S2: growth parameters of each batch of Thompson sampling, as violins, for three targets."""
    figure = new_figure(7.4, 5.2, "")
    panels = figure.subplots(3, 3, sharex=True, sharey="row")
    for column, twist_deg in enumerate(TARGETS_DEG):
        trace = evidence.of("thompson", BATCH, twist_deg)[0]
        for row, parameter in enumerate(axes_of):
            _draw_violins(panels[row, column], trace, row, parameter)
        panels[0, column].set_title(f"target {twist_deg:g}°", fontsize=10)
        panels[-1, column].set_xlabel("batch")
    for row, parameter in enumerate(axes_of):
        panels[row, 0].set_ylabel(parameter.label)
    return figure


def _draw_violins(axes: Axes, trace: Trace, row: int, parameter: Parameter) -> None:
    values = [parameter.values(batch.points[:, row]) for batch in cycles(trace, BATCH) if len(batch.points) > 1]
    places = list(range(1, len(values) + 1))
    spread = [
        (place, found) for place, found in zip(places, values, strict=True) if np.ptp(found) > 0 and len(found) >= FEW
    ]
    if spread:
        drawn = axes.violinplot(
            [found for _, found in spread], [place for place, _ in spread], widths=0.85, showextrema=False
        )
        for body in drawn["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=BLUE, alpha=0.35)
    for place, found in zip(places, values, strict=True):
        axes.plot([place] * len(found), found, "_", ms=5, color="black", mew=0.6, alpha=0.7)
        axes.plot(place, np.median(found), "o", ms=3.5, color=VERMILLION)
    margin = 0.05 * (parameter.high - parameter.low)
    axes.set_ylim(parameter.low - margin, parameter.high + margin)
    axes.set_xticks(places)
    grid(axes)


def evolution(evidence: Evidence, axes_of: Sequence[Parameter]) -> Figure:
    """Figure S3: where qEI samples in the course of its cycles, in each pair of parameters, in batches of 5 and 15."""
    figure = new_figure(7.4, 5.0, "")
    panels = figure.subplots(2, len(PAIRS))
    for row, n in zip(panels, (SMALL_BATCH, BATCH), strict=True):
        trace = evidence.of("qei", n)[0]
        cycle = np.maximum((np.arange(len(trace.points)) - trace.initial) // n + 1, 0)
        shade = Normalize(0, int(cycle.max()))
        for axes, (first, second) in zip(row, PAIRS, strict=True):
            _draw_evolution(axes, trace, cycle, shade, (first, second), axes_of, evidence)
        figure.colorbar(
            ScalarMappable(shade, "viridis"), ax=list(row), label=f"cycle, batches of {n}", aspect=14, pad=0.02
        )
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_evolution(
    axes: Axes, trace: Trace, cycle: Floats, shade: Normalize, pair: tuple[int, int], axes_of: Sequence[Parameter],
    evidence: Evidence,
) -> None:  # fmt: skip
    x, y = (axes_of[place].values(trace.points[:, place]) for place in pair)
    begun = np.arange(len(x)) < trace.initial
    closest = int(trace.regret_deg(evidence.near).argmin())
    axes.plot(x[begun], y[begun], "x", color="#888888", ms=4, label="initial samples")
    axes.scatter(
        x[~begun], y[~begun], c=cycle[~begun], norm=shade, s=14, edgecolors="black", linewidths=0.3, label="sample"
    )
    axes.plot(x[closest], y[closest], "*", color=VERMILLION, ms=13, mec="black", mew=0.6, label="closest to the target")
    axes.set_xlabel(axes_of[pair[0]].label)
    axes.set_ylabel(axes_of[pair[1]].label)
    axes.margins(0.06)
    grid(axes)


def histogram(evidence: Evidence) -> Figure:
    """Figure S4: twists of all runs of the grid."""
    figure = new_figure(5.2, 3.2, "")
    axes = figure.subplots()
    known = evidence.grid_deg[np.isfinite(evidence.grid_deg)]
    edges = np.arange(0.0, LARGEST_TWIST_DEG + 0.5, 0.5)
    axes.hist(known, edges.tolist(), color=BLUE, label=f"{len(known)} runs of the grid")
    for number, twist_deg in enumerate(TARGETS_DEG):
        axes.axvline(twist_deg, color=VERMILLION, lw=1.2, ls="--", label=None if number else "targets")
        axes.text(
            twist_deg + 0.3, 0.97, f"{twist_deg:g}°", transform=axes.get_xaxis_transform(), va="top", color=VERMILLION
        )
    axes.set_yscale("log")
    axes.set_ylim(0.7, 4 * float(np.histogram(known, edges)[0].max()))
    axes.set_xlim(0.0, LARGEST_TWIST_DEG)
    axes.set_xlabel("twist (°)")
    axes.set_ylabel("runs in 0.5°")
    grid(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure
