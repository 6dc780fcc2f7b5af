"""Colours, sizes and words that all figures share (pure)."""

from __future__ import annotations

import textwrap
from typing import Final

from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

LARGEST_TWIST_DEG: Final = 30.0

BLUE, VERMILLION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

WITHOUT_TWIST: Final = {"refused": ("x", VERMILLION), "failed": ("v", "black"), "cancelled": ("s", GREY)}

TWIST_COLOURS: Final = ScalarMappable(Normalize(0.0, LARGEST_TWIST_DEG), "viridis")

HALO: Final = [patheffects.withStroke(linewidth=3, foreground="white")]

TITLE_PER_INCH: Final = 8.5
"""Characters of a title that fit into an inch."""


def new_figure(width_in: float, height_in: float, title: str) -> Figure:
    """An empty figure of this size in inches, which can be saved without a display; a long title takes more lines."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        lines = textwrap.wrap(title, int(TITLE_PER_INCH * width_in))
        figure.suptitle("\n".join(lines), fontsize=12, fontweight="bold")
    return figure


def say_empty(axes: Axes) -> None:
    """Write onto a panel that there is nothing to show yet."""
    axes.text(
        0.5,
        0.5,
        "no results yet",
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=GREY,
        fontsize=12,
    )
