"""The picture of a bilayer, and the structure that it is drawn from."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.text import Annotation

from moireloop.figures.bilayer import (
    WIDEST_ANGSTROM,
    WIDTH_ANGSTROM,
    FittedLattice,
    Lattices,
    bilayer_figure,
    bilayer_title,
)
from moireloop.figures.final_structure import lattices_of, read_structure
from moireloop.structure_files import NoStructure
from moireloop_analyzer.settings import AnalyzerSettings
from tests.helpers.bilayers import BASIS, commensurate, crystal, rotation, square, stacked, twist_of

A = 3.16
ROWS = np.array([[1.0, 0.0], [0.5, math.sqrt(0.75)]]) * A


def layer(cells: int) -> np.ndarray:
    """Places (cells^2, 2) of a triangular lattice."""
    i, j = np.indices((cells, cells)).reshape(2, -1, 1)
    return np.asarray(i * ROWS[0] + j * ROWS[1])


def write_data(path: Path, cells: int) -> Path:
    """A LAMMPS data file: types 1 and 3 are the lattices, at heights 3 and 9, type 2 stands between them."""
    places = layer(cells)
    atoms = [(kind, x, y, z) for kind, z in ((1, 3.0), (2, 6.0), (3, 9.0)) for x, y in places.tolist()]
    lines = [f"{n} {kind} {x!r} {y!r} {z!r}" for n, (kind, x, y, z) in enumerate(atoms, start=1)]
    (width, _), (tilt, height) = (cells * ROWS).tolist()
    head = f"made by a test\n\n{len(atoms)} atoms\n3 atom types\n\n0.0 {width!r} xlo xhi\n0.0 {height!r} ylo yhi\n"
    text = f"{head}0.0 12.0 zlo zhi\n{tilt!r} 0.0 0.0 xy xz yz\n\nMasses\n\n1 96\n2 32\n3 96\n\nAtoms # atomic\n\n"
    path.write_text(text + "\n".join(lines) + "\n")
    return path


def test_layers_are_read_back(tmp_path: Path) -> None:
    """The lattice atoms of the two layers, and nothing of the atoms between; their lattices are fitted."""
    path = write_data(tmp_path / "final.data", 5)
    structure = read_structure(path, (1, 3), (True, True, False), AnalyzerSettings())
    lattices = lattices_of(structure)
    assert np.sort(lattices.lower, axis=0) == pytest.approx(np.sort(layer(5), axis=0))
    assert np.sort(lattices.upper, axis=0) == pytest.approx(np.sort(layer(5), axis=0))
    assert lattices.cell == pytest.approx(5 * ROWS)
    assert structure.estimate.twist_deg == pytest.approx(0.0, abs=1e-6)
    assert lattices.lower_fit is not None
    assert np.linalg.norm(lattices.lower_fit.vectors, axis=0) == pytest.approx([A, A])
    steps = np.linalg.solve(lattices.lower_fit.vectors, lattices.lower_fit.site - lattices.lower[0])
    assert steps == pytest.approx(np.round(steps), abs=1e-6)
    assert np.count_nonzero(structure.lattice) == 50
    assert len(structure.points) == 75


@pytest.mark.parametrize(
    "text", [None, "", "no data file at all\n", "x\n\n3 atoms\n1 atom types\n\nAtoms # atomic\n\n1 1"]
)
def test_file_that_is_none_has_no_structure(text: str | None, tmp_path: Path) -> None:
    """Missing, empty and broken files are reported by name."""
    path = tmp_path / "final.data"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NoStructure, match=r"final\.data"):
        read_structure(path, (1, 3), (True, True, False), AnalyzerSettings())


def test_one_layer_is_shown_with_the_reason(tmp_path: Path) -> None:
    """Atoms of one layer alone have no twist; they are in the picture, with the analyzer's reason."""
    path = write_data(tmp_path / "final.data", 5)
    structure = read_structure(path, (1,), (True, True, False), AnalyzerSettings())
    lattices = lattices_of(structure)
    assert lattices.others is not None
    assert len(lattices.others) == 25
    (axes,) = bilayer_figure(lattices, "c1", structure.estimate.reason).axes
    (shown,) = [text.get_text() for text in axes.texts if text.get_gid() == "reason"]
    assert "form one layer" in shown
    assert bilayer_title("c1", structure.estimate) == "c1"


@pytest.mark.parametrize("cells", [5, 40, 200])
def test_picture_is_full_of_atoms(cells: int, tmp_path: Path) -> None:
    """Both layers are repeated over the whole picture; a wide cell is shown whole, of a very wide one the middle."""
    figure = bilayer_figure(Lattices(layer(cells), layer(cells) + 1.0, cells * ROWS))
    (axes,) = figure.axes
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert right - left == pytest.approx(min(max(WIDTH_ANGSTROM, cells * A), WIDEST_ANGSTROM))
    per_atom = A**2 * math.sqrt(0.75)
    for line in axes.lines:
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        inside = (x >= left) & (x <= right) & (y >= low) & (y <= high)
        assert np.count_nonzero(inside) == pytest.approx((right - left) * (high - low) / per_atom, rel=0.03)
    figure.savefig(tmp_path / "bilayer.png")
    assert (tmp_path / "bilayer.png").stat().st_size > 20_000


def twisted(twist_deg: float, turn_deg: float, stretch: float = 1.0) -> Lattices:
    """A free piece of a bilayer with the vectors of its lattices."""
    bilayer = square(twist_deg, turn_deg=turn_deg, length=70.0)
    lower, upper = (bilayer.positions[bilayer.types == kind, :2] for kind in (1, 2))
    centre = np.array([35.0, 35.0])
    upper = centre + stretch * (upper - centre)
    below = FittedLattice(rotation(turn_deg) @ BASIS, lower[17])
    above = FittedLattice(stretch * rotation(turn_deg + twist_deg) @ BASIS, upper[40])
    return Lattices(lower, upper, bilayer.cell[:2, :2], below, above, periodic=(False, False))


def arrow_deg(axes: Axes, layer_name: str) -> float:
    """Direction of the arrow of a layer as it is drawn."""
    (arrow,) = [text for text in axes.texts if text.get_gid() == f"arrow-{layer_name}"]
    assert isinstance(arrow, Annotation)
    (x, y), (x0, y0) = arrow.xy, arrow.get_position()
    return math.degrees(math.atan2(y - y0, x - x0))


@pytest.mark.parametrize(("twist_deg", "turn_deg"), [(8.7, 3.0), (-21.0, 40.0), (29.5, 100.0)])
def test_arrows_point_along_the_fitted_lattices(twist_deg: float, turn_deg: float) -> None:
    """Modulo sixty degrees; the angle between them is the signed twist, and is written beside them."""
    (axes,) = bilayer_figure(twisted(twist_deg, turn_deg)).axes
    assert math.remainder(arrow_deg(axes, "lower") - turn_deg, 60.0) == pytest.approx(0.0, abs=1e-6)
    between = math.remainder(arrow_deg(axes, "upper") - arrow_deg(axes, "lower"), 360.0)
    assert between == pytest.approx(twist_deg, abs=1e-6)
    assert [text.get_text() for text in axes.texts if text.get_gid() == "angle"] == [f"{twist_deg:+.2f}°"]


def test_neither_arrow_hides_the_other() -> None:
    """Without a twist they lie upon each other: the upper one is shorter and thinner; the legend names both."""
    (axes,) = bilayer_figure(twisted(0.0, 20.0)).axes
    lengths, widths = [], []
    for name in ("lower", "upper"):
        (arrow,) = [text for text in axes.texts if text.get_gid() == f"arrow-{name}"]
        assert isinstance(arrow, Annotation)
        assert arrow.arrow_patch is not None
        lengths.append(math.dist(arrow.xy, arrow.get_position()))
        widths.append(arrow.arrow_patch.get_linewidth())
    assert lengths[0] > 1.1 * lengths[1]
    assert widths[0] > 2.0 * widths[1]
    assert {"direction, lower", "direction, upper"} <= set(axes.get_legend_handles_labels()[1])


def test_arrows_of_a_sheared_lattice_are_its_rotation() -> None:
    """A simple shear of 5.5 % along x turns a lattice by -1.58 degrees, though its rows along x stay."""
    lattices = twisted(0.0, 0.0)
    assert lattices.lower_fit is not None
    sheared = FittedLattice(np.array([[1.0, 0.055], [0.0, 1.0]]) @ BASIS, lattices.upper[0])
    shown = replace(lattices, upper_fit=sheared)
    (axes,) = bilayer_figure(shown).axes
    assert math.remainder(arrow_deg(axes, "upper") - arrow_deg(axes, "lower"), 60.0) == pytest.approx(-1.575, abs=1e-3)


@pytest.mark.parametrize("stretch", [1.0, 1.04])
def test_the_moire_cell_is_drawn_where_the_lattices_are_in_step(stretch: float) -> None:
    """Its sides bring both lattices into step; at its corners an atom of one layer lies above one of the other."""
    lattices = twisted(6.0, 11.0, stretch)
    (axes,) = bilayer_figure(lattices).axes
    (cell,) = [patch for patch in axes.patches if patch.get_gid() == "moire"]
    assert isinstance(cell, Polygon)
    corners = np.asarray(cell.get_xy())[:4]
    assert lattices.lower_fit is not None
    assert lattices.upper_fit is not None
    for side in (corners[1] - corners[0], corners[3] - corners[0]):
        steps = np.linalg.solve(lattices.upper_fit.vectors, side) - np.linalg.solve(lattices.lower_fit.vectors, side)
        assert steps == pytest.approx(np.round(steps), abs=1e-9)
        assert np.abs(steps).max() > 0.5
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert all(left < x < right and low < y < high for x, y in corners)
    for corner in corners:
        gaps = [np.linalg.norm(places - corner, axis=1) for places in (lattices.lower, lattices.upper)]
        if all(gap.min() < A / 2 for gap in gaps):
            offset = lattices.lower[gaps[0].argmin()] - lattices.upper[gaps[1].argmin()]
            assert np.linalg.norm(offset) < 0.3


def test_without_twist_there_is_no_moire_cell() -> None:
    """Of layers on one lattice."""
    (axes,) = bilayer_figure(twisted(0.0, 20.0)).axes
    assert [patch for patch in axes.patches if patch.get_gid() == "moire"] == []


def test_fitted_sites_lie_on_the_atoms() -> None:
    """Inside the cell, one for each atom of a perfect layer."""
    lattices = twisted(12.0, 5.0)
    (axes,) = bilayer_figure(lattices).axes
    for places, name in ((lattices.lower, "lower"), (lattices.upper, "upper")):
        (line,) = [line for line in axes.lines if line.get_gid() == f"sites-{name}"]
        sites = np.column_stack([np.asarray(line.get_xdata()), np.asarray(line.get_ydata())])
        assert len(sites) == pytest.approx(len(places), abs=4)
        apart = np.linalg.norm(sites[:, None] - places, axis=-1)
        inner = np.abs(sites - 35.0).max(axis=1) < 34.0
        assert apart[inner].min(axis=1).max() < 1e-6


def test_grains_are_separated() -> None:
    """Each grain in its own colour, other atoms in grey, and all named in the legend."""
    lattices = twisted(12.0, 5.0)
    grain = np.zeros(len(lattices.lower), dtype=np.int64)
    grain[:100], grain[100:120] = 1, -1
    shown = Lattices(lattices.lower, lattices.upper, lattices.cell, lower_grain=grain, periodic=(False, False))
    (axes,) = bilayer_figure(shown).axes
    counts = {str(line.get_label()): len(np.asarray(line.get_xdata())) for line in axes.lines}
    assert counts["lower layer, grain 2"] == 100
    assert counts["off the lattices"] == 20
    assert counts["lower layer, grain 1"] == len(grain) - 120
    assert len({str(line.get_markeredgecolor()) for line in axes.lines}) == 4


def test_a_piece_that_is_not_periodic_is_not_repeated() -> None:
    """Each atom is drawn once."""
    lattices = twisted(12.0, 5.0)
    (axes,) = bilayer_figure(lattices).axes
    counts = {str(line.get_label()): len(np.asarray(line.get_xdata())) for line in axes.lines}
    assert counts["lower layer"] == len(lattices.lower)


def test_the_title_says_twist_and_wavelength() -> None:
    """With the standard error to two digits."""
    estimate = twist_of(square(8.7, length=80.0).shaken(0.05, np.random.default_rng(0)))
    title = bilayer_title("c1", estimate)
    assert re.fullmatch(r"c1: twist 8\.(69|70|71)\d{1,2}° ± 0\.00\d+°, moire 20\.[78] Å", title)


def test_the_title_says_what_is_unsure() -> None:
    """A confidence below 0.95, and a standard error that is next to nothing."""
    lower, upper = crystal(BASIS, 70.0, np.zeros(2)), crystal(rotation(8.0) @ BASIS, 70.0, np.zeros(2))
    other = crystal(rotation(27.0) @ BASIS, 70.0, np.zeros(2))
    grains = np.vstack([upper[upper[:, 0] < 46.0], other[other[:, 0] >= 48.0]])
    title = bilayer_title("c1", twist_of(stacked(lower, grains, 70.0, periodic=False)))
    assert re.search(r"twist 8\.0\d*° ± ", title)
    assert re.search(r"confidence 0\.6\d$", title)
    assert "± < 0.001°" in bilayer_title("c1", twist_of(commensurate(3, 2, repeats=3)))
