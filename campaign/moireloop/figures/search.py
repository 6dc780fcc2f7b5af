"""Two figures of a campaign: how the error fell, and where in the search space the twists lie (pure).

Colours come from Okabe and Ito (2008) and matplotlib's `viridis`, which colour-blind readers can distinguish.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from moireloop.figures.density import MANY, draw_counts, draw_medians
from moireloop.figures.style import (
    BLUE,
    GREEN,
    HALO,
    LARGEST_TWIST_DEG,
    TWIST_COLOURS,
    VERMILLION,
    WITHOUT_TWIST,
    new_figure,
    say_empty,
)
from moireloop.results.labels import label
from moireloop.results.recipes import Bounds, Recipe, cluster_leaders, recipe_runs, recipes_of, repeat_ids
from moireloop.results.results import regret_of
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target

PANELS_IN_A_ROW: Final = 3

COLUMNS: Final = 200
"""Cells along the results where their density is shown."""

CLUSTERS_NAMED: Final = 3


def regret_figure(results: Sequence[Result], targets: Sequence[Target], title: str = "") -> Figure:
    """Absolute error of each result in the order of the log, and the best so far: one panel per target.

    Results without a twist are marked along the top; runs of a recipe that was run before are filled. The error axis
    is linear up to the tolerance and logarithmic above it. Of more than MANY results the density is shown.
    """
    figure = new_figure(8.0, 0.8 + 3.4 * max(1, len(targets)), title)
    rows = figure.subplots(max(1, len(targets)), 1, sharex=True, squeeze=False)[:, 0]
    repeats = repeat_ids(recipe_runs(results))
    for axes, target in zip(rows, targets, strict=False):
        _draw_regret(axes, results, target, repeats)
    rows[-1].set_xlabel("result, in order of arrival")
    rows[0].legend(*_all_handles(rows), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, frameon=False, fontsize=9)
    return figure


def space_figure(
    results: Sequence[Result],
    bounds: Bounds,
    targets: Sequence[Target],
    title: str = "",
    admitted_deg: Sequence[float] = (),
) -> Figure:
    """The results in every pair of parameters, coloured by twist; a single parameter against the twist.

    The best recipe of each target's first clusters has the name of its cluster, with the target's name where there are
    several targets. Of more than MANY results each cell shows the median twist, the stronger the more there are.

    Args:
        bounds: lowest and highest value of each parameter of the search space.
        admitted_deg: twists that the cell admits, marked next to the colours.
    """
    names = list(bounds)
    pairs: list[tuple[str, str | None]] = list(combinations(names, 2)) or [(names[0], None)]
    columns = min(PANELS_IN_A_ROW, len(pairs))
    rows = math.ceil(len(pairs) / columns)
    figure = new_figure(4.2 * columns + 1.6, 3.9 * rows + 1.0, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    named = _named_recipes(results, bounds, targets)
    for axes, (x, y) in zip(panels, pairs, strict=False):
        _draw_pair(axes, results, targets, bounds, x, y)
        _name_clusters(axes, named, x, y)
    for axes in panels[len(pairs) :]:
        axes.set_axis_off()
    _draw_colour_bar(figure, list(panels), targets, admitted_deg)
    handles, labels = _all_handles(panels)
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def best_so_far(errors: Sequence[float | None]) -> list[float | None]:
    """The smallest error up to each result; None until there is one."""
    best: list[float | None] = []
    for error in errors:
        known = [value for value in (error, best[-1] if best else None) if value is not None]
        best.append(min(known, default=None))
    return best


def _draw_regret(axes: Axes, results: Sequence[Result], target: Target, repeats: frozenset[str]) -> None:
    errors = [regret_of(result, target) for result in results]
    measured = [(number, error) for number, error in enumerate(errors, start=1) if error is not None]
    axes.axhspan(-target.tolerance_deg, target.tolerance_deg, color=GREEN, alpha=0.18, lw=0, label="within tolerance")
    if len(results) > MANY:
        _draw_density(axes, measured, len(results), target)
    else:
        is_repeat = [result.candidate.candidate_id in repeats for result in results]
        _draw_dots(axes, measured, is_repeat)
    _draw_best(axes, errors, results, target)


def _draw_dots(axes: Axes, measured: Sequence[tuple[int, float]], is_repeat: Sequence[bool]) -> None:
    for filled, text in ((False, "result"), (True, "repeat of a recipe")):
        drawn = [point for point in measured if is_repeat[point[0] - 1] == filled]
        if drawn:
            axes.plot(*zip(*drawn, strict=True), "o", ms=5, mfc=BLUE if filled else "none", mec=BLUE, label=text)


def _draw_density(axes: Axes, measured: Sequence[tuple[int, float]], count: int, target: Target) -> None:
    numbers, errors = np.array(measured, dtype=np.float64).reshape(-1, 2).T
    tolerance = target.tolerance_deg
    near = np.linspace(0.0, tolerance, 7)
    far = np.geomspace(tolerance, LARGEST_TWIST_DEG, 41)[1:] if tolerance < LARGEST_TWIST_DEG else near[:0]
    columns = np.linspace(0.5, count + 0.5, COLUMNS + 1)
    drawn = draw_counts(axes, numbers, errors, columns, np.concatenate([near, far]))
    axes.figure.colorbar(drawn, ax=axes, label="results in a cell", pad=0.02, aspect=25)


def _draw_best(axes: Axes, errors: Sequence[float | None], results: Sequence[Result], target: Target) -> None:
    best = [(number, error) for number, error in enumerate(best_so_far(errors), start=1) if error is not None]
    if best:
        numbers, values = zip(*[*best, (len(results) + 0.5, best[-1][1])], strict=True)
        axes.step(numbers, values, where="post", color="black", lw=1.6, label="best so far", zorder=4)
    _mark_without_twist(axes, results)
    _dress_regret(axes, len(results), target)


def _mark_without_twist(axes: Axes, results: Sequence[Result]) -> None:
    for outcome, (marker, colour) in WITHOUT_TWIST.items():
        numbers = [
            number
            for number, result in enumerate(results, start=1)
            if result.outcome == outcome and result.twist_deg is None
        ]
        if numbers:
            share = f" ({len(numbers) / len(results):.1%})" if len(results) > MANY else ""
            numbers = _thinned(numbers, len(results))
            axes.plot(
                numbers, [0.96] * len(numbers), marker, color=colour, ms=5, label=f"{outcome}, no twist{share}",
                transform=axes.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip


def _thinned(numbers: list[int], count: int) -> list[int]:
    """Of many results the first one in each column."""
    if count <= MANY:
        return numbers
    return list({number * COLUMNS // (count + 1): number for number in reversed(numbers)}.values())


def _dress_regret(axes: Axes, count: int, target: Target) -> None:
    tolerance = target.tolerance_deg
    axes.set_yscale("symlog", linthresh=tolerance, linscale=0.6)
    axes.set_ylim(-0.08 * tolerance, 45)
    ticks = [
        0.0,
        tolerance,
        *(tick for tick in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0) if tick > 1.3 * tolerance),
    ]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(0.5, max(count, 5) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(f"distance from {target.twist_deg:g}° (°)")
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    if count == 0:
        say_empty(axes)


def _draw_pair(
    axes: Axes, results: Sequence[Result], targets: Sequence[Target], bounds: Bounds, x: str, y: str | None
) -> None:
    inside = [result for result in results if {x, y or x} <= set(result.candidate.parameters)]
    for outcome, (marker, colour) in WITHOUT_TWIST.items():
        lost = [result for result in inside if result.outcome == outcome and result.twist_deg is None]
        if lost and y is not None and len(results) <= MANY:
            axes.plot(
                _values(lost, x),
                _values(lost, y),
                marker,
                color=colour,
                ms=6,
                alpha=0.8,
                label=f"{outcome}, no twist",
            )
    measured = sorted(
        (result for result in inside if result.twist_deg is not None), key=lambda result: _is_hit(result, targets)
    )
    hits = [result for result in measured if _is_hit(result, targets)]
    if len(results) > MANY and measured:
        _draw_cells(axes, measured, len(hits), x, y)
    elif measured:
        colours = TWIST_COLOURS.to_rgba(np.array(_values(measured, None)))
        dots: dict[str, Any] = {
            "s": 42,
            "edgecolors": "black",
            "linewidths": 0.5,
            "zorder": 3,
            "label": "measured",
        }
        axes.scatter(_values(measured, x), _values(measured, y), c=colours, **dots)
    if hits and len(results) <= MANY:
        rings: dict[str, Any] = {
            "s": 130,
            "facecolors": "none",
            "edgecolors": VERMILLION,
            "linewidths": 1.8,
            "zorder": 4,
        }
        axes.scatter(_values(hits, x), _values(hits, y), label="within tolerance of a target", **rings)
    axes.set_xlabel(label(x))
    axes.set_ylabel(label(y) if y is not None else "twist (°)")
    _set_limits(axes, inside, bounds, x, y)
    if not results:
        say_empty(axes)


def _draw_cells(axes: Axes, measured: Sequence[Result], hits: int, x: str, y: str | None) -> None:
    """The cells of many results, of which the last ones are hits."""
    twist_deg = np.array(_values(measured, None))
    is_hit = np.arange(len(measured)) >= len(measured) - hits
    text = "median twist of a cell; stronger colours: more results"
    axes.plot([], [], "s", color=TWIST_COLOURS.to_rgba(np.array(15.0)), ms=7, label=text)
    draw_medians(axes, np.array(_values(measured, x)), np.array(_values(measured, y)), twist_deg, is_hit)


def _named_recipes(results: Sequence[Result], bounds: Bounds, targets: Sequence[Target]) -> list[tuple[str, Recipe]]:
    """The best recipes of each target's first clusters, each with its label."""
    ran, named = recipe_runs(results), list[tuple[str, Recipe]]()
    for target in targets:
        leaders = cluster_leaders(recipes_of(ran, target, bounds, only_hits=True))
        prefix = f"{target.twist_deg:g}° " if len(targets) > 1 else ""
        named += [(prefix + name, leaders[name]) for name in list(leaders)[:CLUSTERS_NAMED]]
    return named


def _name_clusters(axes: Axes, named: Sequence[tuple[str, Recipe]], x: str, y: str | None) -> None:
    for text, recipe in named:
        parameters = recipe.result.candidate.parameters
        axes.annotate(
            text, (parameters[x], recipe.twist_deg if y is None else parameters[y]), (7, 5), fontsize=9,
            textcoords="offset points", fontweight="bold", color=VERMILLION, zorder=6, path_effects=HALO,
        )  # fmt: skip


def _set_limits(axes: Axes, results: Sequence[Result], bounds: Bounds, x: str, y: str | None) -> None:
    axes.set_xlim(*_limits([*bounds[x], *_values(results, x)]))
    axes.set_ylim(*_limits([0.0, LARGEST_TWIST_DEG] if y is None else [*bounds[y], *_values(results, y)]))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)


def _draw_colour_bar(
    figure: Figure, panels: Sequence[Axes], targets: Sequence[Target], admitted_deg: Sequence[float]
) -> None:
    label = "twist (°)" + "; ticks: admitted" * bool(admitted_deg)
    bar = figure.colorbar(TWIST_COLOURS, ax=list(panels), label=label, aspect=30, pad=0.02)
    bar.ax.plot(
        [0.15] * len(admitted_deg), admitted_deg, "_", color="black", ms=6,
        transform=bar.ax.get_yaxis_transform(),
    )  # fmt: skip
    for target in targets:
        bar.ax.axhline(target.twist_deg, color=VERMILLION, lw=2)
        bar.ax.plot(
            -0.35,
            target.twist_deg,
            ">",
            color=VERMILLION,
            ms=7,
            clip_on=False,
            transform=bar.ax.get_yaxis_transform(),
        )


def _all_handles(panels: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    found: dict[str, Artist] = {}
    for axes in panels:
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(text, handle)
    return list(found.values()), list(found)


def _values(results: Sequence[Result], name: str | None) -> list[float]:
    if name is None:
        return [result.twist_deg for result in results if result.twist_deg is not None]
    return [result.candidate.parameters[name] for result in results]


def _is_hit(result: Result, targets: Sequence[Target]) -> bool:
    regrets = ((regret_of(result, target), target.tolerance_deg) for target in targets)
    return any(regret is not None and regret <= tolerance for regret, tolerance in regrets)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
