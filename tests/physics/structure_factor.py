"""Directions of a lattice by brute force from its diffraction, beside the analyzer's fit."""

from __future__ import annotations

import math

import numpy as np

from tests.physics.bilayers import Floats


def brightest_direction_deg(points: Floats, spacing: float) -> float:
    """Direction modulo 60 degrees of the first ring of the structure factor, by brute force over its angle.

    S(q) = |sum exp(i q r)|^2 summed over three of the six peaks; a row along x has its peaks 30 degrees off.
    """
    length = 4.0 * math.pi / (math.sqrt(3.0) * spacing)

    def intensity(angles_deg: Floats) -> Floats:
        angles = np.radians(angles_deg[:, None] + np.array([30.0, 90.0, 150.0]))
        waves = length * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        power: Floats = np.abs(np.exp(1j * waves @ points.T).sum(axis=-1)) ** 2
        summed: Floats = power.sum(axis=1)
        return summed

    centre, width = 30.0, 30.0
    while width > 1e-5:
        angles = centre + np.linspace(-width, width, 241)
        centre, width = float(angles[intensity(angles).argmax()]), width / 40.0
    return centre
