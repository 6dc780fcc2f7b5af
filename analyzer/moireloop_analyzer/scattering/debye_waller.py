"""Mean square displacements of atoms by heat, from Debye temperatures (pure).

In the Debye model an atom of mass m has along each axis, at temperature T and with x = theta / T,
u^2 = 3 hbar^2 T / (m k theta^2) (phi(x) + x / 4), phi(x) = 1/x int_0^x t / (e^t - 1) dt (Warren, X-ray Diffraction,
1969, ch. 11). Amplitudes fall by exp(-q^2 u^2 / 2). The model is harmonic and isotropic: near melting real
displacements are larger, and out of the plane of a layer they are larger than in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from periodictable import elements as table
from scipy.integrate import quad

Floats = npt.NDArray[np.floating[Any]]

DEBYE_TEMPERATURE_K: Final = {"Mo": 600.0, "S": 600.0}
"""Of MoS2, from LEED intensities of bulk and suspended layers: Dai et al., Surface Science 660, 16 (2017)."""

PREFACTOR: Final = 145.5262
"""3 hbar^2 / k in atomic mass units, square angstrom and K (CODATA 2018)."""


@dataclass(frozen=True)
class Heat:
    """Heat of the sample when it is measured, beside what the positions in the frame have already.

    Attributes:
        sample_k: temperature of the sample in K.
        frame_k: temperature of the frame in K, 0 where it was quenched.
        debye_temperature_k: of elements, beside or instead of DEBYE_TEMPERATURE_K.
    """

    sample_k: float
    frame_k: float = 0.0
    debye_temperature_k: Mapping[str, float] | None = None

    def of(self, symbol: str) -> float | None:
        """Debye temperature of an element; None where it is not known."""
        return {**DEBYE_TEMPERATURE_K, **(self.debye_temperature_k or {})}.get(symbol)

    def displacement(self, symbol: str) -> float:
        """Mean square displacement along one axis that the frame lacks, in square angstrom.

        It is never negative: a frame hotter than the sample stays as it is. 0 for an element of unknown Debye
        temperature.
        """
        theta = self.of(symbol)
        if theta is None:
            return 0.0
        mass = float(table.symbol(symbol).mass)
        return max(
            0.0, debye_displacement(mass, self.sample_k, theta) - classical_displacement(mass, self.frame_k, theta)
        )


def debye_displacement(mass: float, temperature_k: float, theta_k: float) -> float:
    """Mean square displacement along one axis in square angstrom, with zero-point motion.

    Args:
        mass: in atomic mass units.
        temperature_k: may be 0.
        theta_k: Debye temperature in K.
    """
    scale = PREFACTOR / (mass * theta_k)
    if temperature_k < 1e-3 * theta_k:
        return scale * (0.25 + math.pi**2 / 6.0 * (temperature_k / theta_k) ** 2)
    x = theta_k / temperature_k
    integral, _ = quad(lambda t: t / math.expm1(t) if t else 1.0, 0.0, min(x, 100.0))
    return scale * (float(integral) / x**2 + 0.25)


def classical_displacement(mass: float, temperature_k: float, theta_k: float) -> float:
    """What classical atoms of a simulation have at this temperature in the same model, in square angstrom."""
    return PREFACTOR * temperature_k / (mass * theta_k**2)
