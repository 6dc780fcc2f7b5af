"""Two figures of a campaign: how the error fell, and where in the search space the twists lie (pure).

Colours come from Okabe and Ito (2008) and matplotlib's `viridis`, which colour-blind readers can distinguish.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from moireloop.figures.density import MANY, Values, draw_counts, draw_medians
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
from moireloop.results.recipes import Bounds, Recipe, RecipeRuns, cluster_leaders, recipe_runs, recipes_of, repeat_ids
from moireloop.results.results import regret_of
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_optimizer.runs import is_within

PANELS_IN_A_ROW: Final = 3

COLUMNS: Final = 200
"""Cells along the results where their density is shown."""

CLUSTERS_NAMED: Final = 3


def regret_figure(
    results: Sequence[Result], targets: Sequence[Target], title: str = "", ran: RecipeRuns | None = None
) -> Figure:
    """Absolute error of each result in the order of the log, and the best so far: one panel per target.

    Results without a twist are marked along the top; runs of a recipe that was run before are filled. The error axis
    is linear up to the tolerance and logarithmic above it. Of more than MANY results the density is shown.

    Args:
        ran: the recipes of the results, where they are known already.
    """
    figure = new_figure(8.0, 0.8 + 3.4 * max(1, len(targets)), title)
    rows = figure.subplots(max(1, len(targets)), 1, sharex=True, squeeze=False)[:, 0]
    repeats = repeat_ids(ran or recipe_runs(results)) if len(results) <= MANY else frozenset()
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
    ran: RecipeRuns | None = None,
) -> Figure:
    """The results in every pair of parameters, coloured by twist; a single parameter against the twist.

    The best recipe of each target's first clusters has the name of its cluster, with the target's name where there are
    several targets. Of more than MANY results each cell shows the median twist, the stronger the more there are.

    Args:
        bounds: lowest and highest value of each parameter of the search space.
        admitted_deg: twists that the cell admits, marked next to the colours.
        ran: the recipes of the results, where they are known already.
    """
    names = list(bounds)
    pairs: list[tuple[str, str | None]] = list(combinations(names, 2)) or [(names[0], None)]
    columns = min(PANELS_IN_A_ROW, len(pairs))
    rows = math.ceil(len(pairs) / columns)
    figure = new_figure(4.2 * columns + 1.6, 3.9 * rows + 1.0, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    named = _named_recipes(ran or recipe_runs(results), bounds, targets)
    found = _Found.of(results, names, targets)
    for axes, (x, y) in zip(panels, pairs, strict=False):
        _draw_pair(axes, found, bounds, x, y)
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


@dataclass(frozen=True)
class _Found:
    """Of N results: parameters and twist, NaN where there is none, how they ended, and whether they hit a target."""

    parameters: Mapping[str, Values]
    twist_deg: Values
    outcome: npt.NDArray[np.str_]
    is_hit: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, results: Sequence[Result], names: Sequence[str], targets: Sequence[Target]) -> Self:
        """What these results have."""
        given = [result.candidate.parameters for result in results]
        twist_deg = np.array([result.twist_deg for result in results], dtype=np.float64)
        is_hit = np.zeros(len(results), dtype=np.bool_)
        for target in targets:
            is_hit |= is_within(twist_deg, target)
        return cls(
            {name: np.array([one.get(name) for one in given], dtype=np.float64) for name in names},
            twist_deg,
            np.array([result.outcome for result in results], dtype=np.str_),
            is_hit,
        )

    def __len__(self) -> int:
        return len(self.twist_deg)


def _draw_pair(axes: Axes, found: _Found, bounds: Bounds, x: str, y: str | None) -> None:
    is_many, at_x, at_y = len(found) > MANY, found.parameters[x], found.parameters[y or x]
    inside = np.isfinite(at_x) & np.isfinite(at_y)
    for outcome, (marker, colour) in WITHOUT_TWIST.items():
        lost = inside & (found.outcome == outcome) & np.isnan(found.twist_deg)
        if lost.any() and y is not None and not is_many:
            style: dict[str, Any] = {"color": colour, "ms": 6, "alpha": 0.8, "label": f"{outcome}, no twist"}
            axes.plot(at_x[lost], at_y[lost], marker, **style)
    measured = np.flatnonzero(inside & np.isfinite(found.twist_deg))
    measured = measured[np.argsort(found.is_hit[measured], kind="stable")]
    place = at_x[measured], (found.twist_deg if y is None else at_y)[measured]
    if is_many and len(measured):
        _draw_cells(axes, *place, found.twist_deg[measured], found.is_hit[measured])
    elif len(measured):
        _draw_results(axes, *place, found.twist_deg[measured], found.is_hit[measured])
    axes.set_xlabel(label(x))
    axes.set_ylabel(label(y) if y is not None else "twist (°)")
    _set_limits(axes, bounds, (x, at_x[inside]), None if y is None else (y, at_y[inside]))
    if not len(found):
        say_empty(axes)


def _draw_results(axes: Axes, x: Values, y: Values, twist_deg: Values, is_hit: npt.NDArray[np.bool_]) -> None:
    """A dot for each result, the hits last and with a ring."""
    dots: dict[str, Any] = {"s": 42, "edgecolors": "black", "linewidths": 0.5, "zorder": 3, "label": "measured"}
    axes.scatter(x, y, c=TWIST_COLOURS.to_rgba(twist_deg), **dots)
    if is_hit.any():
        rings: dict[str, Any] = {
            "s": 130,
            "facecolors": "none",
            "edgecolors": VERMILLION,
            "linewidths": 1.8,
            "zorder": 4,
        }
        axes.scatter(x[is_hit], y[is_hit], label="within tolerance of a target", **rings)


def _draw_cells(axes: Axes, x: Values, y: Values, twist_deg: Values, is_hit: npt.NDArray[np.bool_]) -> None:
    """The cells of many results."""
    text = "median twist of a cell; stronger colours: more results"
    axes.plot([], [], "s", color=TWIST_COLOURS.to_rgba(np.array(15.0)), ms=7, label=text)
    draw_medians(axes, x, y, twist_deg, is_hit)


def _named_recipes(ran: RecipeRuns, bounds: Bounds, targets: Sequence[Target]) -> list[tuple[str, Recipe]]:
    """The best recipes of each target's first clusters, each with its label."""
    named = list[tuple[str, Recipe]]()
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


def _set_limits(axes: Axes, bounds: Bounds, x: tuple[str, Values], y: tuple[str, Values] | None) -> None:
    axes.set_xlim(*_limits(x[1], *bounds[x[0]]))
    axes.set_ylim(*(_limits(np.zeros(0), 0.0, LARGEST_TWIST_DEG) if y is None else _limits(y[1], *bounds[y[0]])))
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


def _limits(values: Values, low: float, high: float) -> tuple[float, float]:
    """Both ends of an axis for values, and for those between low and high."""
    low, high = float(values.min(initial=low)), float(values.max(initial=high))
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
