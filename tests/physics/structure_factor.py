"""The direction of a lattice by brute force from its diffraction, beside the analyzer's fit to atoms."""

from __future__ import annotations

import math

import numpy as np

from tests.helpers.bilayers import Floats


def diffraction_direction_deg(points: Floats, spacing: float) -> float:
    """Rotation in degrees, modulo 60, of the lattice whose three first peaks of |sum exp(i q r)|^2 are the brightest.

    The peaks are searched each for itself in the plane of q, so that strain and shear may part them; the lattice that
    belongs to them is taken to its polar rotation by singular values.
    """
    ring = 4.0 * math.pi / (math.sqrt(3.0) * spacing)
    angles, radii = np.radians(np.arange(0.0, 180.0, 1.0)), ring * np.linspace(0.94, 1.06, 9)
    grid = (radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)).reshape(-1, 2)
    brightest = _climbed(grid[_intensity(grid, points).argmax()], points, 0.05 * ring)
    others = []
    for turn in (60.0, 120.0):
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        others.append(_climbed(np.array([[c, -s], [s, c]]) @ brightest, points, 0.12 * ring))
    return turn_of_waves_deg(np.stack([brightest, others[0], others[1]])) % 60.0


def turn_of_waves_deg(waves: Floats) -> float:
    """Polar rotation in degrees of the lattice with these wave vectors (3, 2), each 60 degrees on from the one before.

    The three are fitted by two reciprocal vectors; the rotation is the direction of a row of atoms, by singular values.
    """
    steps = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
    reciprocal = np.linalg.lstsq(steps, waves, rcond=None)[0]
    lattice = 2.0 * math.pi * np.linalg.inv(reciprocal)
    # Columns: the lattice of a brightest peak along x; its rows of atoms are 30 degrees from there.
    ideal = np.array([[math.sqrt(3.0) / 2.0, 0.0], [-0.5, 1.0]])
    u, _, vt = np.linalg.svd(lattice @ np.linalg.inv(ideal))
    turned = u @ vt
    return math.degrees(math.atan2(turned[1, 0], turned[0, 0])) + 30.0


def _intensity(waves: Floats, points: Floats) -> Floats:
    power: Floats = np.abs(np.exp(1j * waves @ points.T).sum(axis=1)) ** 2
    return power


def _climbed(start: Floats, points: Floats, reach: float) -> Floats:
    """The brightest q within a shrinking square about the start."""
    best = start
    while reach > 1e-6:
        offsets = np.linspace(-reach, reach, 11)
        near = best + np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2)
        best, reach = near[_intensity(near, points).argmax()], reach / 4.0
    return best
