"""What the figures share: names of the parameters, colours, and a search drawn by its samples (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.grid import LEVELS
from bench.landscapes import Floats
from bench.search import Trace
from moireloop.figures.style import BLUE, GREEN, GREY, VERMILLION
from moireloop.results.labels import label
from moireloop_broker.contract.search import Target

ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"

STRATEGIES: Final = {
    "qei": ("qEI", BLUE),
    "thompson": ("Thompson", VERMILLION),
    "thompson-draws": ("Thompson, by draws", ORANGE),
    "random": ("random", GREY),
    "moireloop-qei": ("qEI of moireloop", SKY),
    "moireloop-thompson": ("Thompson of moireloop", PURPLE),
}
"""Name and colour of each strategy."""

SIZE_COLOURS: Final = {5: BLUE, 15: VERMILLION, 30: GREEN}
"""Colour of each size of a batch."""

LEAST_DEG: Final = 0.01
"""Smaller regrets are drawn as this one."""

FARTHEST_DEG: Final = 40.0
SMALL: Final = 8


@dataclass(frozen=True)
class Parameter:
    """One axis of the unit cube: its label, and the values at its ends."""

    label: str
    low: float
    high: float

    def values(self, unit: Floats) -> Floats:
        """Unit cube coordinates as values of the parameter."""
        return self.low + unit * (self.high - self.low)


def parameters(landscape: str) -> list[Parameter]:
    """The three growth parameters of the bead model, or the plain axes of an analytic landscape."""
    if landscape != "bead":
        return [Parameter(name, 0.0, 1.0) for name in ("x", "y", "z")]
    return [Parameter(label(name), float(levels[0]), float(levels[-1])) for name, levels in LEVELS.items()]


def draw_search(axes: Axes, trace: Trace, target: Target, colour: str, name: str) -> None:
    """Regret of each sample of a search, and the best so far."""
    regret = np.clip(trace.regret_deg(target), LEAST_DEG, None)
    samples = np.arange(1, len(regret) + 1)
    axes.plot(samples, regret, "o", ms=3, mfc="none", mec=colour, mew=0.7, alpha=0.8)
    axes.step(samples, np.minimum.accumulate(regret), where="post", color=colour, lw=1.8, label=name)


def mark_initial(axes: Axes, initial: int) -> None:
    """Shade the initial samples."""
    axes.axvspan(0, initial + 0.5, color="#e4e4e4", lw=0, zorder=0, label="initial samples")


def mark_tolerance(axes: Axes, target: Target) -> None:
    """Shade what counts as near."""
    axes.axhspan(
        LEAST_DEG / 2,
        target.tolerance_deg,
        color=GREEN,
        alpha=0.13,
        lw=0,
        zorder=0,
        label=f"within {target.tolerance_deg:g}°",
    )


def dress_regret(axes: Axes, target: Target, samples: int | None = None) -> None:
    """A logarithmic axis of regret, and one of samples where their number is given."""
    axes.set_yscale("log")
    axes.set_ylim(LEAST_DEG * 0.8, FARTHEST_DEG)
    axes.yaxis.set_major_locator(FixedLocator([0.01, 0.1, 1.0, 10.0]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel(f"distance from {target.twist_deg:g}° (°)")
    if samples is not None:
        axes.set_xlim(0, samples + 1)
        axes.set_xlabel("sample")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 4, 5, 10]))
    grid(axes)


def grid(axes: Axes) -> None:
    """Faint lines behind the data."""
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
