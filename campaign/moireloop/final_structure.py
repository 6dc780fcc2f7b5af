"""The structure that a run ended with, read back from its folder (adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from moireloop.bilayer_figure import Lattices


class NoStructure(Exception):
    """There is no structure to show; the text says why."""


def read_lattices(data_file: Path, lattice_types: Sequence[int], periodic: Sequence[bool]) -> Lattices:
    """The lattice atoms of the layers in a LAMMPS data file.

    Raises:
        NoStructure: there is no such file, it cannot be read, or it holds no two layers.
    """
    # These take half a second each to import, which most commands need not wait.
    from ase.io.lammpsdata import read_lammps_data

    from moireloop_analyzer.box import box_of
    from moireloop_analyzer.layers import split_layers
    from moireloop_analyzer.refusal import Refusal

    try:
        atoms = read_lammps_data(data_file)
    except Exception as error:  # its parser raises whatever it stumbles over
        raise NoStructure(f"{data_file} cannot be read: {type(error).__name__} {error}") from error
    points = atoms.positions[np.isin(atoms.arrays["type"], lattice_types)]
    box = box_of(np.asarray(atoms.cell), periodic)
    layers = box if isinstance(box, Refusal) else split_layers(points, box)
    if isinstance(layers, Refusal):
        raise NoStructure(f"{data_file}: {layers.reason}")
    return Lattices(points[layers.lower, :2], points[layers.upper, :2], np.asarray(atoms.cell)[:2, :2])
