"""The atoms that a beam sees, and how each type scatters (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from periodictable import elements as table

from moireloop_analyzer.geometry.box import box_of
from moireloop_analyzer.refusal import Refusal
from moireloop_analyzer.scattering.debye_waller import Heat
from moireloop_analyzer.structure.form_factors import Floats, Radiation, form_factors, points_among, scatterer

Ints = npt.NDArray[np.integer[Any]]

Complex = npt.NDArray[np.complexfloating[Any, Any]]


@dataclass(frozen=True, eq=False)
class Atoms:
    """All atoms of a frame in the axes of its plane: cell vector a along x, the normal along z.

    Attributes:
        points: (N, 2) in the plane, in angstrom.
        heights: (N,) along the normal, in angstrom.
        types: (N,) small integers.
        plane: (2, 2) cell vectors as rows, in angstrom.
        periodic: whether the frame repeats along each of them.
        elements: symbol of each type that has one; others scatter as points of strength 1.
    """

    points: Floats
    heights: Floats
    types: Ints
    plane: Floats
    periodic: tuple[bool, bool]
    elements: Mapping[int, str]

    @classmethod
    def of_frame(
        cls, positions: Floats, types: Ints, cell: Floats, pbc: Sequence[bool], elements: Mapping[int, str]
    ) -> Self | Refusal:
        """Atoms at positions (N, 3) in a cell (3, 3) with vectors as rows; a refusal where the cell spans no plane."""
        box = box_of(cell, pbc)
        if isinstance(box, Refusal):
            return box
        if not len(positions):
            return Refusal("there are no atoms")
        turned = positions @ box.axes.T
        return cls(turned[:, :2], turned[:, 2], types, box.plane, box.periodic, elements)

    @property
    def period(self) -> Floats:
        """(2, 2) vectors of a cell that repeats: of the frame's, or twice as long where the frame does not repeat.

        In a cell twice as large as what is in it, the waves that fit are near enough to show all of its pattern.
        """
        return np.asarray(self.plane * np.where(self.periodic, 1.0, 2.0)[:, None])

    @property
    def filled(self) -> float:
        """Share of `period` that the frame fills."""
        return float(np.prod(np.where(self.periodic, 1.0, 0.5)))

    @cached_property
    def kinds(self) -> Ints:
        """(T,) types that there are."""
        return np.unique(self.types)

    @property
    def points_of_unknown_element(self) -> tuple[int, ...]:
        """Types that scatter as points."""
        return points_among(self.kinds, self.elements)

    def without_debye_temperature(self, heat: Heat) -> tuple[str, ...]:
        """Elements that heat does not weaken, since their Debye temperature is not known."""
        symbols = sorted({self.elements[int(kind)] for kind in self.kinds if scatterer(self._symbol(kind)) is not None})
        return tuple(symbol for symbol in symbols if heat.of(symbol) is None)

    def factors(self, q: Floats, by: Radiation, heat: Heat, energy_kev: float | None = None) -> Complex:
        """(T, Q) form factor of each type at each |q|, weakened by heat.

        Args:
            q: (Q,) in inverse angstrom.
            by: X-rays or electrons, in electrons or angstrom.
            energy_kev: of X-rays, for the anomalous part f' + i f'' (Henke, Gullikson and Davis, At. Data Nucl. Data
                Tables 54, 181 (1993), as in periodictable); without it there is none.
        """
        factors = form_factors(self.kinds, self.elements, q, by).astype(np.complex128)
        for row, kind in enumerate(self.kinds):
            symbol = self._symbol(kind)
            if scatterer(symbol) is None:
                continue
            if by == "xray" and energy_kev is not None:
                factors[row] += anomalous(symbol, energy_kev)
            factors[row] *= np.exp(-0.5 * q**2 * heat.displacement(symbol))
        return factors

    def _symbol(self, kind: int | np.integer[Any]) -> str:
        return self.elements.get(int(kind), "")


def anomalous(symbol: str, energy_kev: float) -> complex:
    """f' + i f'' of an element in electrons; 0 where the table does not reach.

    f'' has the sign that a wave exp(i q . r) asks for.
    """
    element: Any = table.symbol(symbol)
    real, imaginary = element.xray.scattering_factors(energy=energy_kev)
    if real is None or not (np.isfinite(real) and np.isfinite(imaginary)):
        return 0j
    return complex(float(real) - element.number, float(imaginary))
