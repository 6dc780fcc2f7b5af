"""The simulation cell as a bilayer sees it: a plane with two directions, and the direction of stacking (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.refusal import Refusal

Floats = npt.NDArray[np.floating[Any]]

MAX_LENGTH_ANGSTROM: Final = 1e7

MIN_ANGLE_RAD: Final = 1e-3


@dataclass(frozen=True)
class Box:
    """A cell turned so that its vectors a and b lie in the xy plane, a along x, and c points up.

    `axes` (3, 3) has the new x, y, z as rows, so `positions @ axes.T` are coordinates in the box. `plane` (2, 2)
    has a and b as rows, `inverse` is its inverse, and `periodic` two flags for them. `stacking` (3,) is c, or None
    where the box does not repeat along it. `area` is the cell's area in the plane. Lengths are in angstrom.
    """

    axes: Floats
    plane: Floats
    inverse: Floats
    periodic: tuple[bool, bool]
    stacking: Floats | None
    area: float

    @property
    def heights(self) -> tuple[float, float]:
        """How far the cell reaches across b and across a, in angstrom."""
        (ax, ay), (bx, by) = self.plane.tolist()
        return self.area / math.hypot(bx, by), self.area / math.hypot(ax, ay)


def box_of(cell: Floats, pbc: Sequence[bool]) -> Box | Refusal:
    """The box of a cell (3, 3) with rows a, b, c in angstrom; a refusal where the cell spans no plane."""
    a, b, c = cell.tolist()
    if not all(abs(number) <= MAX_LENGTH_ANGSTROM for number in (*a, *b, *c)):
        return Refusal(f"the cell has vectors that are not finite or longer than {MAX_LENGTH_ANGSTROM:g} angstrom")
    normal = _cross(a, b)
    area, length = math.hypot(*normal), math.hypot(*a)
    if not area > MIN_ANGLE_RAD * length * math.hypot(*b):
        return Refusal("the cell is degenerate: its vectors a and b span no plane")
    height = _dot(normal, c) / area
    if pbc[2] and not abs(height) > MIN_ANGLE_RAD * math.hypot(*c):
        return Refusal("the cell is degenerate: its vector c lies in the plane of a and b")
    up = [number / area * (-1.0 if height < 0 else 1.0) for number in normal]
    along = [number / length for number in a]
    axes = (along, _cross(up, along), up)
    bx, by = _dot(axes[0], b), _dot(axes[1], b)
    return Box(
        axes=np.array(axes),
        plane=np.array([[length, 0.0], [bx, by]]),
        inverse=np.array([[1.0 / length, 0.0], [-bx / (length * by), 1.0 / by]]),
        periodic=(bool(pbc[0]), bool(pbc[1])),
        stacking=np.array([_dot(axis, c) for axis in axes]) if pbc[2] else None,
        area=area,
    )


def _cross(u: Sequence[float], v: Sequence[float]) -> list[float]:
    return [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]


def _dot(u: Sequence[float], v: Sequence[float]) -> float:
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
