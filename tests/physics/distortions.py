"""Twisted bilayers whose layers are distorted with the period of their moire pattern."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.helpers.bilayers import Bilayer, Floats


def torsional(bilayer: Bilayer, amplitude: float) -> tuple[Bilayer, list[Floats]]:
    """Both layers turned to and fro by three transverse waves at the moire vectors, against each other."""
    waves = shortest_waves(bilayer.cell[:2, :2])
    across = [np.array([-g[1], g[0]]) / np.linalg.norm(g) for g in waves]
    places = bilayer.positions.copy()
    sign = np.where(bilayer.types == 1, 1.0, -1.0)[:, None]
    flat = bilayer.positions[:, :2]
    places[:, :2] += sign * amplitude * sum(np.sin(flat @ g)[:, None] * e for g, e in zip(waves, across, strict=True))
    return replace(bilayer, positions=places), waves


def shortest_waves(plane: Floats) -> list[Floats]:
    """The three shortest waves, 120 degrees apart, of a hexagonal cell (2, 2) with vectors as rows."""
    first, second = 2.0 * np.pi * np.linalg.inv(plane).T
    waves = [first, second, -first - second]
    if abs(np.linalg.norm(waves[2]) - np.linalg.norm(first)) > 1e-6:
        waves = [first, second - first, -second]
    return waves
