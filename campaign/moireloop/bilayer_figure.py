"""A bilayer seen from above: the lattice atoms of both layers, repeated until the moire pattern shows (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from scipy.spatial import cKDTree

from moireloop.figures import BLUE, VERMILLION, new_figure

WIDTH_ANGSTROM: Final = 70.0
WIDEST_ANGSTROM: Final = 200.0
BOND_OVER_SPACING: Final = 1.3

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Lattices:
    """The lattice atoms of both layers seen from above: (n, 2) and (m, 2), and the cell, (2, 2), in angstrom."""

    lower: Floats
    upper: Floats
    cell: Floats


def bilayer_figure(lattices: Lattices, title: str = "") -> Figure:
    """Lower layer blue and open, upper layer red and filled, each with its bonds; the cell is outlined.

    The picture is WIDTH_ANGSTROM wide, or one cell where that is wider; of large cells it is the middle.
    """
    figure = new_figure(7.0, 7.2, title)
    axes = figure.subplots()
    longest = float(np.linalg.norm(lattices.cell, axis=1).max())
    half = min(max(WIDTH_ANGSTROM, longest), WIDEST_ANGSTROM) / 2
    centre = lattices.cell.sum(axis=0) / 2
    for places, colour, face, name in (
        (lattices.lower, BLUE, "white", "lower layer"),
        (lattices.upper, VERMILLION, VERMILLION, "upper layer"),
    ):
        seen = _repeated(places, lattices.cell, centre, 1.1 * half)
        _draw_bonds(axes, seen, _spacing(len(places), lattices.cell), colour)
        size = 5.0 * WIDTH_ANGSTROM / (2 * half)
        axes.plot(*seen.T, "o", ms=size, mfc=face, mec=colour, mew=0.8, label=name, zorder=3)
    a, b = lattices.cell
    axes.add_patch(Polygon([0 * a, a, a + b, b], closed=True, fill=False, ec="black", lw=1.4, zorder=4, label="cell"))
    axes.set_xlim(centre[0] - half, centre[0] + half)
    axes.set_ylim(centre[1] - half, centre[1] + half)
    axes.set_aspect("equal")
    axes.set_xlabel("x (Å)")
    axes.set_ylabel("y (Å)")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, frameon=False)
    return figure


def _repeated(places: Floats, cell: Floats, centre: Floats, half: float) -> Floats:
    """All images of the places within `half` of the centre in x and in y."""
    inverse = np.linalg.inv(cell)
    away = (places - centre) @ inverse
    around = centre + (away - np.round(away)) @ cell
    i_most, j_most = np.ceil(half * np.abs(inverse).sum(axis=0) - 0.5).astype(int).clip(0)
    steps = np.array([(i, j) for i in range(-i_most, i_most + 1) for j in range(-j_most, j_most + 1)])
    images: Floats = (around + (steps @ cell)[:, None, :]).reshape(-1, 2)
    return images[(np.abs(images - centre) <= half).all(axis=1)]


def _spacing(count: int, cell: Floats) -> float:
    """Lattice constant of a triangular lattice of so many atoms in the cell."""
    return math.sqrt(abs(float(np.linalg.det(cell))) / count / math.sqrt(0.75))


def _draw_bonds(axes: Axes, places: Floats, spacing: float, colour: str) -> None:
    pairs = cKDTree(places).query_pairs(BOND_OVER_SPACING * spacing, output_type="ndarray")
    axes.add_collection(LineCollection(list(places[pairs]), colors=colour, linewidths=0.9, alpha=0.55, zorder=2))
