"""How one run went: twist, order of both layers and temperature over its time, and where it had no twist (pure)."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from moireloop.figures.style import BLUE, GREEN, GREY, LARGEST_TWIST_DEG, VERMILLION, new_figure, say_empty
from moireloop.figures.trajectories import numbers, time_unit
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.state.series import Series, SeriesPoint

REASON_SHADES: Final = ("#d9d9d9", "#f2dcc4", "#dcd3ea", "#cfe3dc", "#f3d6dd", "#e8e6bf")
"""Of reasons why there is no twist, the commonest first; the last stands for all others."""

ATTEMPT_LINES: Final = ("-", "--", "-.", ":")

LONGEST_LABEL: Final = 76

WIDTH_IN: Final = 9.0

REASON_LINE: Final = 125

REASON_LINES: Final = 3

ENDED_EARLY: Final = ("settled", "hopeless", "cancelled")


def run_figure(
    attempts: Sequence[Series], targets: Sequence[Target], title: str = "", result: Result | None = None
) -> Figure:
    """Twist with its standard error, |psi6| of both layers, and temperature, over one axis of simulated time.

    All attempts are drawn, each in its own line style and with a mark where it began. An attempt that continued from a
    restart file begins where the file was written. Where a frame has no twist the line has a gap, shaded for the
    reason. A line marks the end of a run that was ended early; the result's reason stands under the title.
    """
    figure = new_figure(WIDTH_IN, 7.6, title)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 2])
    drawn = [series for series in sorted(attempts, key=lambda series: series.attempt) if series.points]
    unit, ps = time_unit(drawn)
    shades = _shades(drawn)
    for target in targets:
        low, high = target.twist_deg - target.tolerance_deg, target.twist_deg + target.tolerance_deg
        panels[0].axhspan(low, high, color=GREEN, alpha=0.18, lw=0)
    for number, series in enumerate(drawn):
        style = ATTEMPT_LINES[min(number, len(ATTEMPT_LINES) - 1)]
        _draw_attempt(panels, series, ps, style)
        _shade_refusals(panels[0], series, ps, shades)
        if len(drawn) > 1:
            _mark_beginning(panels, series, ps)
    _dress(panels, unit)
    _mark_end(panels, drawn, ps, result)
    _explain(figure, panels, drawn, shades, targets)
    if not drawn:
        say_empty(panels[0])
    return figure


def kind_of(reason: str) -> str:
    """A reason without its numbers, so that frames refused alike count as one: what stands before the first colon
    after a layer's name."""
    head, colon, rest = reason.partition(": ")
    text = f"{head}: {rest.partition(': ')[0]}" if colon and head.endswith("layer") else head
    return re.sub(r"\s+", " ", re.sub(r"[-+]?\d[\d.,]*%?", "…", text)).strip()


def _shades(drawn: Sequence[Series]) -> dict[str, str]:
    """Colour of each kind of reason, the commonest first."""
    kinds = [kind_of(point.reason) for series in drawn for point in series.points if point.reason is not None]
    common = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))
    return {kind: REASON_SHADES[min(number, len(REASON_SHADES) - 1)] for number, kind in enumerate(common)}


def _draw_attempt(panels: Sequence[Axes], series: Series, ps: float, style: str) -> None:
    points = series.points
    times = np.array([point.time_ps / ps for point in points])
    twist, sigma = np.array(numbers(points, "twist_deg")), np.array(numbers(points, "sigma_deg"))
    twists, orders, temperatures = panels
    twists.fill_between(times, twist - sigma, twist + sigma, color="black", alpha=0.22, lw=0, gid="sigma")
    twists.plot(times, twist, style, color="black", lw=1.2, marker="o", ms=2.5, gid="twist")
    orders.plot(times, numbers(points, "order_lower"), style, color=BLUE, lw=1.2, gid="lower")
    orders.plot(times, numbers(points, "order_upper"), style, color=VERMILLION, lw=1.2, gid="upper")
    temperatures.plot(times, numbers(points, "temperature_k"), style, color=GREY, lw=1.2, gid="temperature")


def _shade_refusals(axes: Axes, series: Series, ps: float, shades: dict[str, str]) -> None:
    """A band over each stretch of frames refused for one kind of reason, to half way to the adjacent frames."""
    times = [point.time_ps / ps for point in series.points]
    for first, last, kind in refused_stretches(series.points):
        left = (times[first - 1] + times[first]) / 2 if first else times[first]
        right = (times[last] + times[last + 1]) / 2 if last + 1 < len(times) else times[last]
        if left == right:
            axes.axvline(left, color=shades[kind], lw=3, zorder=0, gid="refused")
        else:
            axes.axvspan(left, right, color=shades[kind], lw=0, zorder=0, gid="refused")


def refused_stretches(points: Sequence[SeriesPoint]) -> Iterator[tuple[int, int, str]]:
    """First and last index of each stretch of frames without a twist for one kind of reason, and this kind."""
    kinds = [None if point.reason is None else kind_of(point.reason) for point in points]
    first = 0
    for index, kind in enumerate(kinds):
        if index + 1 == len(kinds) or kinds[index + 1] != kind:
            if kind is not None:
                yield first, index, kind
            first = index + 1


def _mark_beginning(panels: Sequence[Axes], series: Series, ps: float) -> None:
    began = series.points[0].time_ps / ps
    for axes in panels:
        axes.axvline(began, color="black", lw=0.8, ls=":", zorder=1, gid="attempt")
    panels[0].annotate(
        f"attempt {series.attempt}", (began, 1.0), (2, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", fontsize=8, rotation=0 if series.attempt < 2 else 20,
    )  # fmt: skip


def _mark_end(panels: Sequence[Axes], drawn: Sequence[Series], ps: float, result: Result | None) -> None:
    """A line where a run was ended early, and why; the reason of any other result as well."""
    if result is None:
        return
    ended = None if result.report is None else result.report.ended
    if drawn and ended in ENDED_EARLY:
        for number, axes in enumerate(panels):
            label = None if number else f"ended early: {ended}"
            at = drawn[-1].points[-1].time_ps / ps
            axes.axvline(at, color=VERMILLION, lw=1.4, ls="--", zorder=1, label=label, gid="ended")
    if result.reason:
        lines = textwrap.wrap(result.reason, REASON_LINE, max_lines=REASON_LINES, placeholder=" …")
        panels[0].set_title("\n".join(lines), fontsize=9, loc="left", pad=18 if len(drawn) > 1 else 6)


def _dress(panels: Sequence[Axes], unit: str) -> None:
    twists, orders, temperatures = panels
    shown = [value for line in twists.lines if line.get_gid() == "twist" for value in np.asarray(line.get_ydata())]
    known = [float(value) for value in shown if math.isfinite(value)]
    twists.set_ylim(-0.5, min(LARGEST_TWIST_DEG, max([*known, 5.0]) * 1.25) + 0.5)
    twists.set_ylabel("twist (°)")
    orders.set_ylim(0.0, 1.02)
    orders.set_ylabel(r"order $|\psi_6|$")
    temperatures.set_ylim(bottom=0.0)
    temperatures.set_ylabel("temperature (K)")
    temperatures.set_xlabel(f"simulated time ({unit})")
    for axes in panels:
        axes.grid(color="#dddddd", lw=0.6)
        axes.set_axisbelow(True)
        axes.margins(x=0.01)


def _explain(
    figure: Figure,
    panels: Sequence[Axes],
    drawn: Sequence[Series],
    shades: dict[str, str],
    targets: Sequence[Target],
) -> None:
    """A legend of what can be seen: of the twist, the tolerance and the early end only where they are there."""
    counts = [kind_of(point.reason) for series in drawn for point in series.points if point.reason is not None]
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=BLUE, label="lower layer"),
        Line2D([], [], color=VERMILLION, label="upper layer"),
    ]
    if any(point.twist_deg is not None for series in drawn for point in series.points):
        handles.insert(0, Line2D([], [], color="black", marker="o", ms=3, lw=1.2, label="twist, band: ± sigma"))
    handles += [line for line in panels[0].lines if line.get_gid() == "ended"]
    if any(target.twist_deg - target.tolerance_deg < panels[0].get_ylim()[1] for target in targets):
        handles.append(Patch(color=GREEN, alpha=0.18, label="within tolerance"))
    handles += [Line2D([], [], lw=0, label=" ")] * (len(shades) - len(handles))
    handles += [
        Patch(color=shade, label=_short(f"no twist in {_frames(counts.count(kind))}: {kind}"))
        for kind, shade in shades.items()
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2 if shades else 4, frameon=False, fontsize=8)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
