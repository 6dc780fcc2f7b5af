"""Beams of X-rays and electrons: wave numbers, scattering vectors along the normal, polarization (pure)."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.diffraction_settings import GixdSettings, RheedSettings

Floats = npt.NDArray[np.floating[Any]]

HBAR_C_KEV_ANGSTROM: Final = 1.973269804
"""hbar c in keV angstrom (CODATA 2018)."""

ELECTRON_REST_KEV: Final = 510.99895
"""m c^2 of the electron (CODATA 2018)."""


def xray_wave_number(energy_kev: float) -> float:
    """k = E / (hbar c), in inverse angstrom."""
    return energy_kev / HBAR_C_KEV_ANGSTROM


def electron_wave_number(energy_kev: float) -> float:
    """k = sqrt(E^2 + 2 E m c^2) / (hbar c), in inverse angstrom: relativistic."""
    return math.sqrt(energy_kev**2 + 2.0 * energy_kev * ELECTRON_REST_KEV) / HBAR_C_KEV_ANGSTROM


def gixd_normal(settings: GixdSettings) -> float:
    """Component of the scattering vector along the normal, in inverse angstrom."""
    k = xray_wave_number(settings.energy_kev)
    return k * (math.sin(math.radians(settings.incidence_deg)) + math.sin(math.radians(settings.exit_deg)))


def rheed_normal(settings: RheedSettings, exit_deg: Floats) -> Floats:
    """Component of the scattering vector along the normal inside the film, in inverse angstrom, by angle of exit.

    The inner potential V refracts the beam: k_z^2 grows by 2 m gamma e V / hbar^2 (Ichimiya and Cohen, Reflection
    High-Energy Electron Diffraction, 2004, ch. 3).
    """
    k = electron_wave_number(settings.energy_kev)
    gained = 2.0e-3 * settings.inner_potential_v * (settings.energy_kev + ELECTRON_REST_KEV) / HBAR_C_KEV_ANGSTROM**2
    inside = [np.sqrt((k * np.sin(np.radians(angle))) ** 2 + gained) for angle in (settings.glancing_deg, exit_deg)]
    return np.asarray(inside[0] + inside[1])


def polarization(settings: GixdSettings, q: Floats) -> Floats:
    """Share of the intensity that polarization leaves at in-plane q (inverse angstrom): p cos^2(2 theta) + 1 - p.

    0 beyond 2 k, which this energy does not reach.
    """
    sine = q / (2.0 * xray_wave_number(settings.energy_kev))
    cosine = 1.0 - 2.0 * np.minimum(sine, 1.0) ** 2
    share = settings.in_plane_polarization
    return np.where(sine <= 1.0, share * cosine**2 + 1.0 - share, 0.0)
