"""The picture of a bilayer, and the structure that it is drawn from."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from moireloop.bilayer_figure import WIDEST_ANGSTROM, WIDTH_ANGSTROM, Lattices, bilayer_figure
from moireloop.final_structure import NoStructure, read_lattices

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
    """The lattice atoms of the two layers, and nothing of the atoms between."""
    lattices = read_lattices(write_data(tmp_path / "final.data", 5), (1, 3), (True, True, False))
    assert np.sort(lattices.lower, axis=0) == pytest.approx(np.sort(layer(5), axis=0))
    assert np.sort(lattices.upper, axis=0) == pytest.approx(np.sort(layer(5), axis=0))
    assert lattices.cell == pytest.approx(5 * ROWS)


@pytest.mark.parametrize(
    "text", [None, "", "no data file at all\n", "x\n\n3 atoms\n1 atom types\n\nAtoms # atomic\n\n1 1"]
)
def test_file_that_is_none_has_no_structure(text: str | None, tmp_path: Path) -> None:
    """Missing, empty and broken files are told, with their name."""
    path = tmp_path / "final.data"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NoStructure, match=r"final\.data"):
        read_lattices(path, (1, 3), (True, True, False))


def test_one_layer_is_no_bilayer(tmp_path: Path) -> None:
    """Atoms of one layer alone are refused with the analyzer's reason."""
    with pytest.raises(NoStructure, match="form one layer"):
        read_lattices(write_data(tmp_path / "final.data", 5), (1,), (True, True, False))


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
