"""A bilayer seen from above: the lattice atoms of both layers, their fitted lattices, and the moire cell (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Polygon
from scipy.spatial import cKDTree

from moireloop.figures.style import BLUE, GREY, VERMILLION, new_figure
from moireloop.results.labels import with_error
from moireloop_analyzer.geometry.moire import moire_corner, moire_vectors, sixty, turned_to

if TYPE_CHECKING:
    from moireloop_analyzer.estimate import TwistEstimate

WIDTH_ANGSTROM: Final = 70.0

WIDEST_ANGSTROM: Final = 200.0

MOIRE_CELLS_SHOWN: Final = 2.4

SURE: Final = 0.95

BOND_OVER_SPACING: Final = 1.3

BONDS_UP_TO_ANGSTROM: Final = 120.0

SITES_UP_TO_ANGSTROM: Final = 90.0
"""In wider pictures bonds, or the sites of the fitted lattices, would fill everything."""

TO_IDEAL: Final = np.linalg.inv(np.array([[1.0, 0.5], [0.0, math.sqrt(0.75)]]))
"""Inverse of the lattice vectors, as columns, of the triangular lattice of constant 1 with a row along x."""

BLUES: Final = (BLUE, "#56B4E9", "#003f66", "#9fd0ee")

REDS: Final = (VERMILLION, "#E69F00", "#7a3500", "#f2b48a")
"""Shades of the grains of a layer, the largest first; the last stands for all others."""

ARROWS: Final = {"lower": (BLUE, 4.6, 0.68), "upper": (VERMILLION, 2.0, 0.56)}
"""Colour, width in points and length over half the picture's width of a layer's arrow: neither hides the other."""

DARK: Final = {BLUE: "#00304d", VERMILLION: "#5c2800"}

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class FittedLattice:
    """A lattice: `vectors` (2, 2) as columns, and a `site` (2,) of it, in angstrom."""

    vectors: Floats
    site: Floats


@dataclass(frozen=True, eq=False)
class Lattices:
    """The lattice atoms of both layers seen from above: (n, 2) and (m, 2), and the cell, (2, 2), in angstrom.

    `lower_fit` and `upper_fit` are the fitted lattices, None where there is none, and `periodic` says along which rows
    of the cell it repeats. `lower_grain` (n,) and `upper_grain` (m,) number the grain of each atom, from 0 for the
    largest, -1 for none. `others` (k, 2) are lattice atoms that belong to neither layer.
    """

    lower: Floats
    upper: Floats
    cell: Floats
    lower_fit: FittedLattice | None = None
    upper_fit: FittedLattice | None = None
    lower_grain: Ints | None = None
    upper_grain: Ints | None = None
    others: Floats | None = None
    periodic: tuple[bool, bool] = (True, True)


@dataclass(frozen=True, eq=False)
class View:
    """What the picture shows: half its width and its centre (2,), of a cell (2, 2), repeated where it is periodic."""

    half: float
    centre: Floats
    cell: Floats
    periodic: tuple[bool, bool]

    @property
    def tail(self) -> Floats:
        """Where the arrows begin."""
        return self.centre - 0.9 * self.half * np.array([1.0, 0.95])

    def repeated(self, places: Floats) -> Floats:
        """All images of the places that lie in the picture, or a tenth of it beyond."""
        return images_around(places, self.cell, self.periodic, self.centre, 1.1 * self.half)[0]


def images_around(
    places: Floats, cell: Floats, periodic: tuple[bool, bool], centre: Floats, half: float
) -> tuple[Floats, Ints]:
    """All images of places (n, 2) within `half` of the centre in x and in y, and of which place each is one."""
    inverse = np.linalg.inv(cell)
    away = (places - centre) @ inverse
    around = centre + (away - np.where(periodic, np.round(away), 0.0)) @ cell
    most = np.ceil(half * np.abs(inverse).sum(axis=0) - 0.5).astype(int).clip(0) * np.array(periodic)
    steps = np.array([(i, j) for i in range(-most[0], most[0] + 1) for j in range(-most[1], most[1] + 1)])
    images: Floats = (around + (steps @ cell)[:, None, :]).reshape(-1, 2)
    seen = (np.abs(images - centre) <= half).all(axis=1)
    return images[seen], np.flatnonzero(seen) % max(1, len(places))


def bilayer_figure(lattices: Lattices, title: str = "", reason: str | None = None) -> Figure:
    """Lower layer blue and open, upper layer red and filled, each with its bonds; the cell is outlined.

    Over them, inside the cell, crosses at the sites of both fitted lattices; an arrow for the direction of each (the
    rotation part, not a row of a sheared lattice) with the angle between; and the moire cell, at whose corners metal
    lies above metal. Atoms on no lattice are grey. The picture is WIDTH_ANGSTROM wide, or a cell or some moire cells
    where it repeats and these are wider, and at most WIDEST_ANGSTROM; of large cells it is the middle. A reason why
    there is no twist stands in the picture.
    """
    figure = new_figure(7.6, 8.2, title)
    axes = figure.subplots()
    view = View(_half_width(lattices), lattices.cell.sum(axis=0) / 2, lattices.cell, lattices.periodic)
    _draw_layer(axes, view, lattices.lower, lattices.lower_grain, BLUES, False, "lower layer")
    _draw_layer(axes, view, lattices.upper, lattices.upper_grain, REDS, True, "upper layer")
    if lattices.others is not None:
        _draw_places(axes, view, lattices.others, GREY, True, "in no layer")
    a, b = lattices.cell
    axes.add_patch(Polygon([0 * a, a, a + b, b], closed=True, fill=False, ec="black", lw=1.4, zorder=4, label="cell"))
    _draw_fit(axes, lattices, view)
    _dress(axes, view)
    if reason is not None:
        axes.text(
            0.5, 0.02, f"no twist: {reason}", transform=axes.transAxes, ha="center", wrap=True, fontsize=10, zorder=9,
            bbox={"fc": "white", "ec": GREY, "alpha": 0.9}, gid="reason",
        )  # fmt: skip
    return figure


def bilayer_title(name: str, estimate: TwistEstimate) -> str:
    """Twist, moire wavelength and stacking, as far as there are any, and the confidence where it is not high."""
    if estimate.twist_deg is None or estimate.sigma_deg is None:
        return name
    parts = [f"{name}: twist {with_error(estimate.twist_deg, estimate.sigma_deg, '°')}"]
    if estimate.moire_angstrom is not None:
        parts.append(f"moire {estimate.moire_angstrom:.1f} Å")
    if estimate.stacking is not None:
        parts.append(f"{estimate.stacking}-like")
    if estimate.confidence is not None and estimate.confidence < SURE:
        parts.append(f"confidence {estimate.confidence:.2f}")
    return ", ".join(parts)


def _half_width(lattices: Lattices) -> float:
    """Half the width of the picture, in angstrom."""
    wanted = [WIDTH_ANGSTROM, float(np.linalg.norm(lattices.cell, axis=1).max())]
    if all(lattices.periodic) and (moire := _moire_of(lattices)) is not None:
        wanted.append(MOIRE_CELLS_SHOWN * float(np.linalg.norm(moire, axis=0).max()))
    return min(max(wanted), WIDEST_ANGSTROM) / 2


def _moire_of(lattices: Lattices) -> Floats | None:
    if lattices.lower_fit is None or lattices.upper_fit is None:
        return None
    return moire_vectors(lattices.lower_fit.vectors, lattices.upper_fit.vectors)


def _draw_layer(
    axes: Axes, view: View, places: Floats, grain: Ints | None, shades: tuple[str, ...], filled: bool, name: str
) -> None:
    """The atoms of a layer, each grain in its own shade, and the bonds between all of them."""
    if not len(places):
        return
    if 2 * view.half <= BONDS_UP_TO_ANGSTROM:
        _draw_bonds(axes, view.repeated(places), _spacing(len(places), view.cell), shades[0])
    of = np.zeros(len(places), dtype=np.int64) if grain is None else np.minimum(grain, len(shades) - 1)
    several = len(np.unique(of[of >= 0])) > 1
    for number, shade in enumerate(shades):
        label = f"{name}, grain {number + 1}" if several else name
        _draw_places(axes, view, places[of == number], shade, filled, label)
    _draw_places(axes, view, places[of < 0], GREY, filled, "off the lattices")


def _draw_places(axes: Axes, view: View, places: Floats, colour: str, filled: bool, label: str) -> None:
    if not len(places):
        return
    size = max(1.2, 5.0 * WIDTH_ANGSTROM / (2 * view.half))
    axes.plot(
        *view.repeated(places).T, "o", ms=size, mfc=colour if filled else "white", mec=colour, mew=min(0.8, size / 4),
        label=None if label in axes.get_legend_handles_labels()[1] else label, zorder=3,
    )  # fmt: skip


def _draw_fit(axes: Axes, lattices: Lattices, view: View) -> None:
    """Sites, arrows and the moire cell, as far as there are lattices for them."""
    lower, upper = lattices.lower_fit, lattices.upper_fit
    for fit, colour, name in ((lower, BLUE, "lower"), (upper, VERMILLION, "upper")):
        if fit is not None and 2 * view.half <= SITES_UP_TO_ANGSTROM:
            _draw_sites(axes, view, fit, colour, name)
    if lower is None or upper is None:
        return
    angles = direction_rad(sixty(lower.vectors)), direction_rad(turned_to(lower.vectors, upper.vectors))
    for angle, name in zip(angles, ARROWS, strict=True):
        _draw_arrow(axes, view, angle, name)
    _draw_angle(axes, view, *angles)
    if (corners := moire_corners(lattices, view.centre)) is not None:
        axes.add_patch(Polygon(
            corners, closed=True, fc="#F0E442", ec="black", ls="--", lw=1.8, alpha=0.45, zorder=3.5, label="moire cell",
            gid="moire",
        ))  # fmt: skip


def direction_rad(vectors: Floats) -> float:
    """Direction of a lattice: the rotation part of the map from the ideal lattice, whose first vector is along x."""
    (xx, xy), (yx, yy) = (vectors @ TO_IDEAL).tolist()
    return math.atan2(yx - xy, xx + yy)


def moire_corners(lattices: Lattices, centre: Floats) -> Floats | None:
    """The four corners of the moire cell that reaches least far from the centre, or None where there is none."""
    lower, upper, moire = lattices.lower_fit, lattices.upper_fit, _moire_of(lattices)
    if lower is None or upper is None or moire is None:
        return None
    corner = moire_corner(lower.vectors, lower.site, upper.vectors, upper.site, centre)
    if corner is None:
        return None
    p, q = moire.T
    cells = [
        corner + np.array([0 * u, u, u + v, v]) + i * p + j * q
        for u, v in ((p, q), (q, q - p), (q - p, -p))
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    nearest: Floats = min(cells, key=lambda cell: float(np.linalg.norm(cell - centre, axis=1).max()))
    return nearest


def _draw_sites(axes: Axes, view: View, fit: FittedLattice, colour: str, layer: str) -> None:
    """The sites of a lattice inside the cell."""
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)]) @ view.cell
    steps = (corners - fit.site) @ np.linalg.inv(fit.vectors).T
    low, high = np.floor(steps.min(axis=0)).astype(int), np.ceil(steps.max(axis=0)).astype(int)
    i, j = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
    sites = fit.site + np.column_stack([i.ravel(), j.ravel()]) @ fit.vectors.T
    inside = sites @ np.linalg.inv(view.cell)
    sites = sites[((inside >= 0) & (inside < 1)).all(axis=1)]
    size = 6.0 * WIDTH_ANGSTROM / (2 * view.half)
    axes.plot(
        *sites.T, "+", ms=size, mew=0.9, color=DARK[colour], zorder=3.2, gid=f"sites-{layer}",
        label="fitted site" if layer == "lower" else None,
    )  # fmt: skip


def _draw_arrow(axes: Axes, view: View, angle: float, layer: str) -> None:
    colour, width, length = ARROWS[layer]
    x, y = view.tail.tolist()
    tip = x + length * view.half * math.cos(angle), y + length * view.half * math.sin(angle)
    style = {"arrowstyle": "-|>", "color": colour, "lw": width, "shrinkA": 0, "shrinkB": 0}
    arrow = axes.annotate("", tip, (x, y), arrowprops=style, zorder=8, gid=f"arrow-{layer}")
    if arrow.arrow_patch is not None:
        arrow.arrow_patch.set_zorder(8)
    axes.plot([], [], color=colour, lw=width, label=f"direction, {layer}")


def _draw_angle(axes: Axes, view: View, start: float, end: float) -> None:
    """An arc from the lower lattice's arrow to the upper lattice's, and the angle in degrees."""
    turn = math.remainder(end - start, 2.0 * math.pi)
    low, high = sorted((math.degrees(start), math.degrees(start + turn)))
    x, y = view.tail
    axes.add_patch(Arc((x, y), view.half, view.half, theta1=low, theta2=high, color="black", lw=1.4, zorder=8))
    middle = start + turn / 2
    place = view.tail + 0.74 * view.half * np.array([math.cos(middle), math.sin(middle)])
    axes.annotate(
        f"{math.degrees(turn):+.2f}°", (place[0], place[1]), ha="center", va="center", fontsize=12, fontweight="bold",
        zorder=9, gid="angle", bbox={"fc": "white", "ec": "none", "pad": 2.0},
    )  # fmt: skip


def _dress(axes: Axes, view: View) -> None:
    centre, half = view.centre, view.half
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)
    axes.set_aspect("equal")
    axes.set_xlabel("x (Å)")
    axes.set_ylabel("y (Å)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, frameon=False, fontsize=9)


def _spacing(count: int, cell: Floats) -> float:
    """Lattice constant of a triangular lattice with a number of atoms in the cell."""
    return math.sqrt(abs(float(np.linalg.det(cell))) / count / math.sqrt(0.75))


def _draw_bonds(axes: Axes, places: Floats, spacing: float, colour: str) -> None:
    pairs = cKDTree(places).query_pairs(BOND_OVER_SPACING * spacing, output_type="ndarray")
    axes.add_collection(LineCollection(list(places[pairs]), colors=colour, linewidths=0.9, alpha=0.35, zorder=2))
