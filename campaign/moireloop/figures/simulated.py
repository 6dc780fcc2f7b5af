"""The picture of a simulated diffraction pattern (adapter)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from moireloop.figures.style import VERMILLION, new_figure
from moireloop_analyzer.scattering.simulated import Picture, SimulatedPattern
from moireloop_broker.files import replaced_whole

DPI: Final = 150

DECADES: Final = 5.0
"""Orders of magnitude of intensity that a picture shows."""

LABELLED: Final = 60
"""Peaks, the brightest ones, that have a mark."""


def simulated_figure(pattern: SimulatedPattern, title: str) -> Figure:
    """The map of the plane with marks at the brightest peaks; of RHEED, the screen at one azimuth beside it."""
    count = 1 if pattern.screen is None else 2
    figure = new_figure(7.2 * count, 6.6, title)
    panels = figure.subplots(1, count, squeeze=False)[0]
    _draw(panels[0], pattern.map)
    panels[0].set_title(_map_title(pattern), fontsize=11)
    q = pattern.peaks.q[:LABELLED]
    panels[0].plot(q[:, 0], q[:, 1], "o", mfc="none", mec=VERMILLION, ms=9, mew=0.7, ls="", gid="peaks")
    if pattern.screen is not None:
        _draw(panels[1], pattern.screen)
        one = pattern.settings.rheed
        panels[1].set_title(
            f"screen, {one.energy_kev:g} keV, glancing angle {one.glancing_deg:g}°, azimuth {one.azimuth_deg:g}°",
            fontsize=11,
        )
    return figure


def write_simulated_figure(pattern: SimulatedPattern, title: str, output: Path) -> None:
    """Write the picture whole or not at all, as PNG or SVG by the name of the file. Raises OSError."""
    with replaced_whole(output) as temporary:
        simulated_figure(pattern, title).savefig(temporary, dpi=DPI, format=output.suffix.lower().removeprefix("."))


def _draw(axes: Axes, picture: Picture) -> None:
    brightest = _brightest(picture)
    image = axes.imshow(
        np.maximum(picture.intensity, brightest * 10.0**-DECADES),
        norm=LogNorm(brightest * 10.0**-DECADES, brightest), cmap="Greys", origin="lower",
        extent=(*picture.x, *picture.y), interpolation="nearest", aspect="equal",
    )  # fmt: skip
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02, extend="both")
    bar.set_label("intensity an atom")
    axes.set_xlabel(picture.axes[0])
    axes.set_ylabel(picture.axes[1])


def _brightest(picture: Picture) -> float:
    """Of what is seen beside the direct beam, which outshines all."""
    rows, columns = picture.intensity.shape
    y, x = np.meshgrid(np.linspace(*picture.y, rows), np.linspace(*picture.x, columns), indexing="ij")
    aside = np.hypot(x / picture.x[1], y / picture.y[1]) > 0.1
    most = float(picture.intensity[aside].max())
    return most if most > 0 else 1.0


def _map_title(pattern: SimulatedPattern) -> str:
    if pattern.kind == "gixd":
        return f"GIXD, {pattern.settings.gixd.energy_kev:g} keV, {pattern.temperature_k:.0f} K"
    exit_deg = pattern.settings.rheed.exit_deg
    return f"RHEED over all azimuths, angle of exit {exit_deg:g}°, {pattern.temperature_k:.0f} K"
