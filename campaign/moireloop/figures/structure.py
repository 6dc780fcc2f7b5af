"""Pair correlation and diffraction pattern of a final bilayer, as its analyses found them (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from moireloop.figures.bilayer import images_around
from moireloop.figures.style import BLUE, GREY, VERMILLION, new_figure
from moireloop_broker.contract.events import AnalysisArray, AnalysisOutcome

PAIR_CORRELATION: Final = "pair_correlation"

DIFFRACTION: Final = "diffraction"

CURVES: Final = {
    "metal_metal": "metals",
    "metal_chalcogen": "metal and chalcogen",
    "chalcogen_chalcogen": "chalcogens",
}

SEED_WINDOW_ANGSTROM: Final = (2.4, 2.6)

FAINTEST: Final = 1e-6

SPOT_MARKS: Final = {"lower_spots": ("o", BLUE, "lower lattice"), "upper_spots": ("s", VERMILLION, "upper lattice")}

COHERENCE_ANGSTROM: Final = 20.0
"""Standard deviation of the patch of atoms that a pattern is made of; its spots are 0.08 per angstrom wide."""

PIXELS: Final = 241

USUAL_REACH: Final = 5.2
"""Inverse angstrom; {20} of MoS2 is at 4.6."""

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Pattern:
    """A diffraction pattern: I(q) on a grid (size, size), rows along y, both components from -reach to reach."""

    intensity: Floats
    reach: float
    radiation: str


def pattern_of(
    points: Floats,
    types: Ints,
    plane: Floats,
    periodic: tuple[bool, bool],
    elements: Mapping[int, str],
    reach: float,
) -> Pattern:
    """What electrons make of the middle of a structure, repeated where it is periodic, under a Gaussian beam.

    Points (N, 2) and the rows of `plane` (2, 2) are in angstrom, reach in inverse angstrom. Without elements all atoms
    are points.
    """
    from moireloop_analyzer.structure.diffraction import pattern

    centre = plane.sum(axis=0) / 2 if all(periodic) else np.median(points, axis=0)
    places, which = images_around(points, plane, periodic, centre, 3.0 * COHERENCE_ANGSTROM)
    weights = np.exp(-((places - centre) ** 2).sum(axis=1) / (2.0 * COHERENCE_ANGSTROM**2))
    intensity = pattern(places - centre, types[which], elements, weights, reach, PIXELS, "electron")
    return Pattern(intensity, reach, "electrons" if elements else "points")


def structure_figure(
    analyses: Mapping[str, AnalysisOutcome], pattern: Pattern | None, title: str = ""
) -> Figure | None:
    """A panel for g(r) and one for the pattern, for each of the two analyses that exists; None without either.

    An analysis that found nothing is a panel with its reason; a pattern is shown anyway, without marks.
    """
    shown = [name for name in (PAIR_CORRELATION, DIFFRACTION) if name in analyses]
    if not shown:
        return None
    figure = new_figure(6.4 * len(shown) + 0.4, 6.2, title)
    for axes, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        outcome = analyses[name]
        reason = why_empty(outcome)
        if reason is not None and (name != DIFFRACTION or pattern is None):
            _say(axes, name, reason)
        elif name == PAIR_CORRELATION:
            _draw_pair_correlation(axes, outcome)
        else:
            _draw_diffraction(axes, outcome, pattern)
    return figure


def why_empty(outcome: AnalysisOutcome) -> str | None:
    """Why an analysis has no arrays, or None where it has some."""
    if outcome.arrays:
        return None
    return outcome.reason or next(iter(outcome.reasons.values()), "it found nothing")


def _draw_pair_correlation(axes: Axes, outcome: AnalysisOutcome) -> None:
    """Bins as steps; the parts where there are several, and the paper's window where there are Mo-S bonds for it."""
    arrays, numbers = outcome.arrays, outcome.numbers
    radius = _values(arrays, "radius_angstrom")
    parts = [name for name in CURVES if f"g_{name}" in arrays]
    if "metal_chalcogen" in parts:
        axes.axvspan(*SEED_WINDOW_ANGSTROM, color=GREY, alpha=0.15, lw=0, label="the paper's window")
    axes.axhline(1.0, color=GREY, lw=0.8, ls=":")
    style: dict[str, Any] = {"drawstyle": "steps-mid"}
    for name in parts if len(parts) > 1 else []:
        axes.plot(radius, _values(arrays, f"g_{name}"), lw=1.0, label=CURVES[name], **style)
    axes.plot(radius, _values(arrays, "g"), color="black", lw=1.6, label="all pairs", gid="g", **style)
    if (place := numbers.get("first_peak_angstrom")) is not None and "first_peak_height" in numbers:
        axes.plot(place, numbers["first_peak_height"], "v", color="black", ms=7, gid="peak")
    said = [
        f"{text} {numbers[name]:.{digits}f}"
        for name, text, digits in (
            ("first_peak_angstrom", "first peak (Å)", 2), ("seed_order", "the paper's order", 2),
            ("chalcogens_around_metal", "chalcogens around a metal", 2),
            ("metals_around_metal", "metals around a metal", 2),
        )
        if name in numbers
    ]  # fmt: skip
    axes.text(0.98, 0.98, "\n".join(said), transform=axes.transAxes, ha="right", va="top", fontsize=9)
    axes.set_xlim(0.0, round(float(radius[-1] + radius[0]), 9))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("distance r (Å)")
    axes.set_ylabel("pair correlation g(r)")
    axes.set_title("Pair correlation", fontsize=11)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)


def _draw_diffraction(axes: Axes, outcome: AnalysisOutcome, pattern: Pattern | None) -> None:
    if pattern is not None:
        edge = pattern.reach * (1.0 + 1.0 / (len(pattern.intensity) - 1))
        image = axes.imshow(
            np.maximum(pattern.intensity, FAINTEST), norm=LogNorm(FAINTEST, 1.0), cmap="Greys", origin="lower",
            extent=(-edge, edge, -edge, edge), interpolation="nearest",
        )  # fmt: skip
        bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, extend="min")
        bar.set_label(f"intensity ({pattern.radiation}), 1: all in phase")
    if (reason := why_empty(outcome)) is not None:
        axes.text(0.5, 0.02, reason, transform=axes.transAxes, ha="center", wrap=True, bbox={"fc": "white", "ec": GREY})
    else:
        _mark_spots(axes, outcome)
    axes.set_aspect("equal")
    axes.set_xlabel("q along a (1/Å)")
    axes.set_ylabel("q across a (1/Å)")
    axes.set_title("Kinematic diffraction along the normal", fontsize=11)


def _mark_spots(axes: Axes, outcome: AnalysisOutcome) -> None:
    for name, (marker, colour, label) in SPOT_MARKS.items():
        spots = _values(outcome.arrays, name)
        axes.plot(*spots[:, :2].T, marker, mfc="none", mec=colour, ms=9, mew=0.9, ls="", label=label, gid=name)
    satellites = _values(outcome.arrays, "satellites")
    if len(satellites):
        axes.plot(*satellites[:, :2].T, ".", color="#009E73", ms=2.5, label="moire satellites", gid="satellites")
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.1), ncols=3, frameon=False, fontsize=8)


def _say(axes: Axes, name: str, reason: str) -> None:
    axes.text(0.5, 0.5, f"{name.replace('_', ' ')}: {reason}", transform=axes.transAxes, ha="center", wrap=True)
    axes.set_axis_off()


def _values(arrays: Mapping[str, AnalysisArray], name: str) -> Floats:
    array = arrays[name]
    return np.array(array.values, dtype=np.float64).reshape(array.shape)


def reach_of(outcome: AnalysisOutcome) -> float:
    """How far, in inverse angstrom, a pattern must reach to show all spots of the analysis."""
    if why_empty(outcome) is not None:
        return USUAL_REACH
    spots = np.concatenate([_values(outcome.arrays, name)[:, :2] for name in SPOT_MARKS])
    return 1.12 * float(np.abs(spots).max())
