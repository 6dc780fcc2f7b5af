"""Figures 3 to 6 of the paper's paper, drawn from searches on a landscape (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from bench.paper_figures.claims import TARGETS_DEG, Evidence
from bench.paper_figures.measures import COHERENT_DEG, best_per_cycle_deg, efficiency, recipes
from bench.paper_figures.panels import (
    LEAST_DEG,
    SIZE_COLOURS,
    SMALL,
    STRATEGIES,
    Parameter,
    draw_search,
    dress_regret,
    grid,
    mark_initial,
    mark_tolerance,
)
from bench.paper_figures.searches import BATCH, SMALL_BATCH
from bench.search import Trace
from moireloop.figures.style import VERMILLION, new_figure
from moireloop_broker.contract.search import Target


@dataclass(frozen=True)
class Line:
    """A search of the first repetition: a line with its colour and name."""

    strategy: str
    n_batch: int
    colour: str
    name: str


def by_size(evidence: Evidence) -> Figure:
    """Figure 3a: regret by sample of qEI in batches of 5 and 15."""
    lines = [Line("qei", n, SIZE_COLOURS[n], f"qEI, batches of {n}") for n in (SMALL_BATCH, BATCH)]
    return _regret(evidence, lines)


def thompson_against_qei(evidence: Evidence) -> Figure:
    """Figures 4a and 5a: regret by sample of both strategies in batches of 15."""
    return _regret(evidence, [_line(name) for name in ("qei", "thompson")])


def thompson_against_random(evidence: Evidence) -> Figure:
    """Figure 5b: regret by sample of Thompson sampling and of random samples."""
    return _regret(evidence, [_line(name) for name in ("random", "thompson")])


def _line(strategy: str) -> Line:
    name, colour = STRATEGIES[strategy]
    return Line(strategy, BATCH, colour, name if strategy == "random" else f"{name}, batches of {BATCH}")


def _regret(evidence: Evidence, lines: Sequence[Line]) -> Figure:
    figure = new_figure(5.2, 3.5, "")
    axes = figure.subplots()
    for line in lines:
        trace = evidence.of(line.strategy, line.n_batch)[0]
        draw_search(axes, trace, evidence.near, line.colour, line.name)
    mark_initial(axes, trace.initial)
    mark_tolerance(axes, evidence.near)
    dress_regret(axes, evidence.near, len(trace.points))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def best_by_cycle(evidence: Evidence) -> Figure:
    """Figure 3b: regret of the best sample of each cycle, mean and standard deviation over the repetitions."""
    figure = new_figure(5.2, 3.5, "")
    axes = figure.subplots()
    for n in evidence.sizes:
        best = np.array([best_per_cycle_deg(trace, evidence.near, n) for trace in evidence.of("qei", n)])
        middle, deviation = best.mean(axis=0), best.std(axis=0, ddof=1 if len(best) > 1 else 0)
        cycle = np.arange(len(middle))
        axes.plot(cycle, middle, "o-", ms=3, color=SIZE_COLOURS[n], label=f"batches of {n}")
        low = np.clip(middle - deviation, LEAST_DEG, None)
        axes.fill_between(cycle, low, middle + deviation, color=SIZE_COLOURS[n], alpha=0.2, lw=0)
    dress_regret(axes, evidence.near)
    axes.set_ylabel(f"best of the cycle:\ndistance from {evidence.near.twist_deg:g}° (°)")
    axes.set_xlabel("cycle (0: initial samples)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def efficiencies(evidence: Evidence) -> Figure:
    """Figure 4b: hits in a hundred proposed samples, by size of the batch and strategy, at two tolerances."""
    figure = new_figure(5.6, 4.6, "")
    rows = figure.subplots(2, 1, sharex=True)
    for axes, target in zip(rows, (evidence.near, evidence.coherent), strict=True):
        _draw_efficiencies(axes, evidence, target)
    rows[-1].set_xlabel("samples in a batch")
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def _draw_efficiencies(axes: Axes, evidence: Evidence, target: Target) -> None:
    names = [name for name in STRATEGIES if evidence.has(name)]
    width = 0.84 / len(names)
    for number, name in enumerate(names):
        shown, colour = STRATEGIES[name]
        for place, n in enumerate(evidence.sizes):
            traces = evidence.of(name, n) if name != "random" else evidence.of(name)
            if not traces:
                continue
            rates = [efficiency(trace, target, n).per_100_samples for trace in traces]
            at = place + (number - (len(names) - 1) / 2) * width
            axes.bar(at, np.mean(rates), width, color=colour, label=shown if n == BATCH else None)
            axes.plot([at] * len(rates), rates, "o", ms=2.5, color="black", mfc="white", mew=0.6)
    axes.set_xticks(range(len(evidence.sizes)), [str(n) for n in evidence.sizes])
    axes.set_ylabel(f"hits within {target.tolerance_deg:g}°\nin 100 samples")
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_ylim(bottom=0.0)


def three_targets(evidence: Evidence, axes_of: Sequence[Parameter]) -> Figure:
    """Figure 6: regret by sample for three targets from the same initial samples, and the parameters that gave them."""
    figure = new_figure(7.4, 5.2, "")
    above, below = figure.subplots(2, 3, sharey="row")
    for twist_deg, top, bottom in zip(TARGETS_DEG, above, below, strict=True):
        target = Target(twist_deg=twist_deg, tolerance_deg=COHERENT_DEG)
        trace = evidence.of("thompson", BATCH, twist_deg)[0]
        draw_search(top, trace, target, VERMILLION, "best so far")
        mark_initial(top, trace.initial)
        mark_tolerance(top, target)
        dress_regret(top, target, len(trace.points))
        top.xaxis.set_major_locator(MultipleLocator(40))
        top.set_ylabel("distance from target (°)" if top is above[0] else "")
        top.set_title(f"target {twist_deg:g}°", fontsize=10)
        _draw_recipes(bottom, trace, target, axes_of)
    below[0].set_ylabel(axes_of[1].label)
    shears = ScalarMappable(Normalize(axes_of[2].low, axes_of[2].high), "viridis")
    figure.colorbar(shears, ax=list(below), label=axes_of[2].label, aspect=14, pad=0.02)
    figure.legend(*above[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.legend(*below[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_recipes(axes: Axes, trace: Trace, target: Target, axes_of: Sequence[Parameter]) -> None:
    x, y, colour = (parameter.values(trace.points[:, place]) for place, parameter in enumerate(axes_of))
    within = trace.regret_deg(target) <= target.tolerance_deg
    apart = recipes(trace, target)
    shade = Normalize(axes_of[2].low, axes_of[2].high)
    axes.plot(x[~within], y[~within], ".", color="#bbbbbb", ms=3, label="other samples")
    axes.scatter(
        x[within], y[within], c=colour[within], norm=shade, s=26, edgecolors="black", linewidths=0.4, zorder=3,
        label=f"within {target.tolerance_deg:g}°",
    )  # fmt: skip
    axes.scatter(
        x[apart], y[apart], s=95, facecolors="none", edgecolors=VERMILLION, linewidths=1.4, zorder=4,
        label="different recipes, the closest of each",
    )  # fmt: skip
    axes.set_xlabel(axes_of[0].label)
    axes.set_title(f"{len(apart)} recipes", fontsize=SMALL + 1)
    axes.margins(0.06)
    grid(axes)
