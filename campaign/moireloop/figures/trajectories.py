"""How twist and order of all runs went over time, with the best run of each target in bold (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from moireloop.figures.density import LEVELS, MANY, TIMES, colour_counts, lines_over_time
from moireloop.figures.style import GREEN, LARGEST_TWIST_DEG, TWIST_COLOURS, new_figure, say_empty
from moireloop.results.recipes import RecipeRuns, best_recipes, recipe_runs
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.state.series import Series, SeriesPoint

NO_TWIST_GREY: Final = "#999999"

HALO: Final = [patheffects.withStroke(linewidth=4.5, foreground="white")]

NS_FROM_PS: Final = 1000.0
"""Beyond this time the axis is in nanoseconds."""


def trajectory_figure(
    all_series: Sequence[Series],
    results: Sequence[Result],
    targets: Sequence[Target],
    title: str = "",
    ran: RecipeRuns | None = None,
) -> Figure:
    """Twist, and order of the upper layer, over simulated time: one line a run, coloured by its result's twist.

    A dot marks the result's twist. For a run that was ended as settled it is not the twist of the last frame; a run
    without a result has its last twist. Where a frame has no twist the line has a gap. Runs that ended without a twist
    are grey. A candidate that was tried more than once shows its last attempt. The best run of each target is black
    and named. With more than MANY runs the density of their lines is shown, without dots.

    Args:
        ran: the recipes of the results, where they are known already.
    """
    figure = new_figure(9.0, 7.0, title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    shown = last_attempts(all_series)
    unit, ps = time_unit(shown)
    is_dense = len(shown) > MANY
    band: dict[str, Any] = {"color": GREEN, "alpha": 0.4 if is_dense else 0.18, "lw": 0, "zorder": 3 if is_dense else 1}
    for target in targets:
        low, high = target.twist_deg - target.tolerance_deg, target.twist_deg + target.tolerance_deg
        upper.axhspan(low, high, label="within tolerance", **band)
    best = _best_ids(recipe_runs(results) if ran is None else ran, targets)
    ends = {result.candidate.candidate_id: result.twist_deg for result in results}
    if is_dense:
        _draw_density(figure, (upper, lower), shown, ps)
        shown = [series for series in shown if series.candidate_id in best]
    for series in sorted(shown, key=lambda series: series.candidate_id in best):
        end_deg = ends.get(series.candidate_id, series.points[-1].twist_deg)
        _draw(upper, lower, series, ps, end_deg, is_best=series.candidate_id in best)
    if not is_dense:
        figure.colorbar(TWIST_COLOURS, ax=[upper, lower], label="twist at the end (°)", aspect=40, pad=0.02)
    _dress(upper, lower, unit)
    if not all_series:
        say_empty(upper)
    return figure


def _draw_density(figure: Figure, panels: tuple[Axes, Axes], shown: Sequence[Series], ps: float) -> None:
    longest = max(point.time_ps for series in shown for point in series.points) / ps
    times = np.linspace(0.0, longest or 1.0, TIMES + 1)
    for axes, name, highest in zip(panels, ("twist_deg", "order_upper"), (LARGEST_TWIST_DEG, 1.0), strict=True):
        levels = np.linspace(0.0, np.nextafter(highest, np.inf), LEVELS + 1)
        drawn = colour_counts(axes, lines_over_time(shown, name, ps, times, levels), times, levels)
        figure.colorbar(drawn, ax=axes, label="runs", pad=0.02, aspect=20)


def last_attempts(all_series: Iterable[Series]) -> list[Series]:
    """Of each candidate the series of its last attempt, in the order of the candidates."""
    last: dict[str, Series] = {}
    for series in sorted(all_series, key=lambda series: series.attempt):
        last[series.candidate_id] = series
    return [last[candidate_id] for candidate_id in sorted(last)]


def _best_ids(ran: RecipeRuns, targets: Sequence[Target]) -> frozenset[str]:
    return frozenset(
        recipe.result.candidate.candidate_id for target in targets for recipe in best_recipes(ran, target, 1)
    )


def time_unit(shown: Sequence[Series]) -> tuple[str, float]:
    """Name of the unit that suits these series, and how many ps it has."""
    longest_ps = max((point.time_ps for series in shown for point in series.points), default=0.0)
    return ("ns", NS_FROM_PS) if longest_ps > NS_FROM_PS else ("ps", 1.0)


def _draw(upper: Axes, lower: Axes, series: Series, ps: float, end_deg: float | None, *, is_best: bool) -> None:
    points = series.points
    if is_best:
        style: dict[str, Any] = {"color": "black", "lw": 2.0, "zorder": 4, "path_effects": HALO}
    else:
        colour = NO_TWIST_GREY if end_deg is None else TWIST_COLOURS.to_rgba(np.array(end_deg))
        style = {"color": colour, "lw": 0.8, "alpha": 0.6, "zorder": 3}
    times = [point.time_ps / ps for point in points]
    upper.plot(times, numbers(points, "twist_deg"), **style)
    lower.plot(times, numbers(points, "order_upper"), **style)
    if end_deg is not None:
        upper.plot(times[-1], end_deg, "o", ms=5 if is_best else 3, color=style["color"], zorder=5, gid="result")
        if is_best:
            upper.annotate(
                f"{series.candidate_id}  {end_deg:.2f}°", (times[-1], end_deg), (-4, 6), ha="right",
                textcoords="offset points", fontsize=9, fontweight="bold", zorder=6, path_effects=HALO,
            )  # fmt: skip


def numbers(points: Sequence[SeriesPoint], name: str) -> list[float]:
    """One field of each point, NaN where it is None, so that a line has a gap there."""
    values = (getattr(point, name) for point in points)
    return [math.nan if value is None else value for value in values]


def _dress(upper: Axes, lower: Axes, unit: str) -> None:
    upper.set_ylim(-0.8, LARGEST_TWIST_DEG + 0.8)
    upper.set_ylabel("twist (°)")
    lower.set_ylim(0.0, 1.02)
    lower.set_ylabel(r"order $|\psi_6|$ of the upper layer")
    lower.set_xlabel(f"simulated time ({unit})")
    for axes in (upper, lower):
        axes.grid(color="#dddddd", lw=0.6)
        axes.set_axisbelow(True)
        axes.margins(x=0.02)
    handles, labels = upper.get_legend_handles_labels()
    if handles:
        upper.legend(handles[:1], labels[:1], loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=9)
