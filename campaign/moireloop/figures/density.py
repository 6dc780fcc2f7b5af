"""Many results in one panel: how many lie where, instead of a dot or a line for each (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm

from moireloop.figures.style import TWIST_COLOURS, VERMILLION
from moireloop_broker.state.series import Series

MANY: Final = 2000
"""With more results than this, a panel shows their density."""

Values = npt.NDArray[np.float64]

CELLS: Final = 48

TIMES: Final = 160

LEVELS: Final = 120

FAINTEST: Final = 0.25

RUNS_AT_ONCE: Final = 2000

MOST_CIRCLES: Final = 400

COUNTS: Final = ListedColormap(colormaps["Blues"](np.linspace(0.18, 1.0, 256)))
"""Without its palest part, so that a cell with one result differs from an empty one."""


def draw_counts(axes: Axes, x: Values, y: Values, x_edges: Values, y_edges: Values) -> ScalarMappable:
    """Colour each cell by how many points lie in it; empty cells stay white."""
    counts, _, _ = np.histogram2d(x, y, (x_edges, y_edges))
    return colour_counts(axes, counts, x_edges, y_edges)


def colour_counts(axes: Axes, counts: Values, x_edges: Values, y_edges: Values) -> ScalarMappable:
    """Colour each cell (x, y) by its count, on a logarithmic scale; empty cells stay white."""
    most = max(2.0, float(counts.max(initial=0.0)))
    filled = np.ma.masked_equal(counts.T, 0.0)
    return axes.pcolormesh(x_edges, y_edges, filled, norm=LogNorm(1.0, most), cmap=COUNTS, zorder=2, rasterized=True)


def draw_medians(axes: Axes, x: Values, y: Values, twist_deg: Values, is_hit: npt.NDArray[np.bool_]) -> None:
    """Colour each cell by the median twist of the points in it, the stronger the more they are; circles for hits.

    The area of a circle is proportional to its share of the hits; the largest one fills its cell. At most MOST_CIRCLES
    cells, those with the most hits, have one: more would hide the colours.
    """
    x_edges, y_edges = edges(x), edges(y)
    column, row = cell_of(x, x_edges), cell_of(y, y_edges)
    cell = column * CELLS + row
    order = np.lexsort((twist_deg, cell))
    found, first, counts = np.unique(cell[order], return_index=True, return_counts=True)
    colours = TWIST_COLOURS.to_rgba(twist_deg[order][first + counts // 2])
    shade = np.log1p(counts) / np.log1p(counts.max(initial=1))
    picture = np.ones((CELLS * CELLS, 4))
    picture[:, 3] = 0.0
    picture[found, :3] = colours[:, :3]
    picture[found, 3] = FAINTEST + (1.0 - FAINTEST) * shade
    grid = picture.reshape(CELLS, CELLS, 4).transpose(1, 0, 2)
    axes.pcolormesh(x_edges, y_edges, grid, zorder=2, rasterized=True)
    _draw_hits(axes, np.bincount(cell[is_hit], minlength=CELLS * CELLS), x_edges, y_edges)


def _draw_hits(axes: Axes, hits: npt.NDArray[np.intp], x_edges: Values, y_edges: Values) -> None:
    where = np.flatnonzero(hits)
    if not where.size:
        return
    middle_x, middle_y = (x_edges[1:] + x_edges[:-1]) / 2, (y_edges[1:] + y_edges[:-1]) / 2
    text = "within tolerance of a target"
    if len(where) > MOST_CIRCLES:
        text += f": the {MOST_CIRCLES} cells with the most hits"
        where = where[np.argsort(-hits[where], kind="stable")[:MOST_CIRCLES]]
    area = 14.0 * hits[where] / hits.max()
    style: dict[str, Any] = {"facecolors": VERMILLION, "edgecolors": "white", "linewidths": 0.3, "zorder": 4}
    axes.scatter(middle_x[where // CELLS], middle_y[where % CELLS], s=area, label=text, **style)


def edges(values: Values, cells: int = CELLS) -> Values:
    """The edges of equal cells over all values."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1.0, cells + 1)


def cell_of(values: Values, cell_edges: Values) -> npt.NDArray[np.intp]:
    """The cell in which each value lies, the last one for the highest."""
    return np.clip(np.searchsorted(cell_edges, values, side="right") - 1, 0, len(cell_edges) - 2)


def lines_over_time(shown: Sequence[Series], name: str, ps: float, time_edges: Values, value_edges: Values) -> Values:
    """How many runs pass through each cell of time and value, between their frames in straight lines."""
    middle = (time_edges[1:] + time_edges[:-1]) / 2
    counts = np.zeros((len(middle), len(value_edges) - 1))
    column = np.arange(len(middle))
    for values in _interpolated(shown, name, ps, middle):
        row = np.searchsorted(value_edges, values, side="right") - 1
        inside = (row >= 0) & (row < counts.shape[1]) & np.isfinite(values)
        at = np.broadcast_to(column, values.shape)[inside]
        counts += np.bincount(at * counts.shape[1] + row[inside], minlength=counts.size).reshape(counts.shape)
    return counts


def _interpolated(shown: Sequence[Series], name: str, ps: float, middle: Values) -> Iterable[Values]:
    """The values of runs at these times, NaN outside of their frames and next to a frame without one."""
    for start in range(0, len(shown), RUNS_AT_ONCE):
        rows = []
        for series in shown[start : start + RUNS_AT_ONCE]:
            times = [point.time_ps / ps for point in series.points]
            values = np.array([getattr(point, name) for point in series.points], dtype=np.float64)
            rows.append(np.interp(middle, times, values, np.nan, np.nan))
        yield np.array(rows)
