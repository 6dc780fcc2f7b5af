"""How strongly an atom scatters X-rays and electrons, by the length of the scattering vector q (pure).

X-rays: f(q) = sum_i a_i exp(-b_i s^2) + c with s = q / 4 pi, the form of Cromer and Mann (Acta Cryst. A24, 321, 1968)
with the five Gaussians of Waasmaier and Kirfel (Acta Cryst. A51, 416, 1995), as periodictable has them. Electrons: the
formula of Mott and Bethe, f_e(q) = 2 (Z - f(q)) / (a_0 q^2), for atoms at rest and without relativistic factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from periodictable import cromermann

Floats = npt.NDArray[np.floating[Any]]

Radiation = Literal["xray", "electron"]

BOHR_ANGSTROM: Final = 0.529177210903
"""CODATA 2018."""


@dataclass(frozen=True)
class Scatterer:
    """One element: the coefficients of its Gaussians, a and b (5,), and the constant c."""

    symbol: str
    a: Floats
    b: Floats
    c: float

    def xray(self, q: Floats) -> Floats:
        """Form factor at each q (inverse angstrom), in electrons."""
        damped: Floats = np.exp(-np.multiply.outer((q / (4.0 * math.pi)) ** 2, self.b))
        return damped @ self.a + self.c

    def electron(self, q: Floats) -> Floats:
        """Scattering length at each q (inverse angstrom), in angstrom.

        The charge of the nucleus is taken as f(0), from which it differs in the fourth digit, so that the limit at
        q = 0 exists.
        """
        square = np.asarray(q, dtype=float)[..., None] ** 2
        fall = self.b / (16.0 * math.pi**2)
        near = fall * square < 1e-12
        parts = np.where(near, fall, -np.expm1(-fall * square) / np.where(near, 1.0, square))
        lengths: Floats = 2.0 / BOHR_ANGSTROM * (parts @ self.a)
        return lengths


@cache
def scatterer(symbol: str) -> Scatterer | None:
    """The scatterer of an element or ion such as Mo, S, O2-; None where there is no such entry in the table."""
    try:
        entry = cromermann.getCMformula(symbol)
    except KeyError:
        return None
    return Scatterer(symbol, np.array(entry.a), np.array(entry.b), float(entry.c))


def form_factors(types: npt.NDArray[np.integer[Any]], elements: Mapping[int, str], q: Floats, by: Radiation) -> Floats:
    """Of each type (T,) at each q (Q,): (T, Q). A type without a known element scatters as a point of 1."""
    rows = []
    for kind in types:
        known = scatterer(elements.get(int(kind), ""))
        rows.append(np.ones(len(q)) if known is None else known.xray(q) if by == "xray" else known.electron(q))
    return np.array(rows).reshape(len(types), len(q))


def points_among(types: npt.NDArray[np.integer[Any]], elements: Mapping[int, str]) -> tuple[int, ...]:
    """Those of the types that scatter as points, since their element is not known."""
    return tuple(int(kind) for kind in types if scatterer(elements.get(int(kind), "")) is None)
