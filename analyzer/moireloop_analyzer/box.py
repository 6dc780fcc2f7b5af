"""The simulation cell as a bilayer sees it: a plane with two directions, and the direction of stacking (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.neighbours import Floats
from moireloop_analyzer.refusal import Refusal

MAX_LENGTH_ANGSTROM: Final = 1e7
MIN_ANGLE_RAD: Final = 1e-3


@dataclass(frozen=True)
class Box:
    """A cell turned so that its vectors a and b lie in the xy plane, a along x, and c points up.

    `axes` (3, 3) has the new x, y, z as rows, so `positions @ axes.T` are coordinates in the box. `plane` (2, 2)
    has a and b as rows and `periodic` two flags for them. `stacking` (3,) is c, or None where the box does not
    repeat along it. Lengths are in angstrom.
    """

    axes: Floats
    plane: Floats
    periodic: tuple[bool, bool]
    stacking: Floats | None

    @property
    def area(self) -> float:
        """Area of the cell in the plane, in square angstrom."""
        return abs(float(np.linalg.det(self.plane)))

    def wrapped(self, points: Floats) -> Floats:
        """Points (N, 3) in the axes of the box, put back into it along a and b where these are periodic."""
        fractions = points[:, :2] @ np.linalg.inv(self.plane)
        cells_off = np.where(self.periodic, np.floor(fractions), 0.0)
        return np.column_stack([points[:, :2] - cells_off @ self.plane, points[:, 2]])


def box_of(cell: Floats, pbc: Sequence[bool]) -> Box | Refusal:
    """The box of a cell (3, 3) with rows a, b, c in angstrom; a refusal where the cell spans no plane."""
    if not np.isfinite(cell).all() or np.abs(cell).max() > MAX_LENGTH_ANGSTROM:
        return Refusal(f"the cell has vectors that are not finite or longer than {MAX_LENGTH_ANGSTROM:g} angstrom")
    a, b, c = cell
    normal = np.cross(a, b)
    area, edges = float(np.linalg.norm(normal)), float(np.linalg.norm(a) * np.linalg.norm(b))
    if not area > MIN_ANGLE_RAD * edges:
        return Refusal("the cell is degenerate: its vectors a and b span no plane")
    height = float(normal @ c) / area
    if pbc[2] and not abs(height) > MIN_ANGLE_RAD * float(np.linalg.norm(c)):
        return Refusal("the cell is degenerate: its vector c lies in the plane of a and b")
    up = normal / area * (-1.0 if height < 0 else 1.0)
    along = a / np.linalg.norm(a)
    axes = np.stack([along, np.cross(up, along), up])
    turned = cell @ axes.T
    return Box(axes, turned[:2, :2], (bool(pbc[0]), bool(pbc[1])), turned[2] if pbc[2] else None)
