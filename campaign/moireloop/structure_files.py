"""The atoms that a run ended with, read back from its LAMMPS data file (adapter)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]


class NoStructure(Exception):
    """There is no structure to show; the text says why."""


@dataclass(frozen=True, eq=False)
class StructureFile:
    """Positions (N, 3) and cell (3, 3) with vectors as rows, in angstrom, and atom types (N,)."""

    positions: Floats
    types: Ints
    cell: Floats


def read_data_file(data_file: Path) -> StructureFile:
    """The atoms in a LAMMPS data file. Raises NoStructure where there is no such file, or it cannot be read."""
    from ase.io.lammpsdata import read_lammps_data  # half a second, which most commands need not wait

    try:
        atoms = read_lammps_data(data_file)
    except Exception as error:  # its parser raises whatever it stumbles over
        raise NoStructure(f"{data_file} cannot be read: {type(error).__name__} {error}") from error
    return StructureFile(atoms.positions, np.asarray(atoms.arrays["type"], dtype=np.int64), np.asarray(atoms.cell))
