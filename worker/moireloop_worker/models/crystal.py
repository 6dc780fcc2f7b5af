"""The crystal that a growth model starts from, and its cell after strain and shear (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Vector = tuple[float, float]


@dataclass(frozen=True)
class Crystal:
    """Two layers of one hexagonal lattice in a rhombohedral cell.

    Args:
        cells: unit cells of each layer along a and along b.
        lattice_angstrom: lattice constant before strain.
    """

    cells: tuple[int, int]
    lattice_angstrom: float

    def cell_angstrom(self, parameters: Mapping[str, float]) -> tuple[Vector, Vector]:
        """The vectors a and b of the cell in its plane, in angstrom, strained and sheared as a candidate asks.

        Parameters that are not given count as 0.
        """
        side = self.lattice_angstrom * (1.0 + parameters.get("lattice_strain", 0.0))
        height = self.cells[1] * side * math.sqrt(0.75)
        tilt = self.cells[1] * side / 2.0 + parameters.get("shear_strain", 0.0) * height
        return (self.cells[0] * side, 0.0), (tilt, height)
