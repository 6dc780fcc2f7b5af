"""Synthetic diffraction patterns of twisted bilayers, with what an experiment adds and hides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from moireloop_analyzer.patterns.peaks import Floats, Peaks
from moireloop_analyzer.patterns.reciprocal import first_ring, norms, sites_within, strained, turns

MX2 = {1: 0.35, 3: 1.0, 4: 0.25, 7: 0.2, 9: 0.4, 12: 0.15, 13: 0.1}
"""Intensities of rings by the norm of their indices, about as in MoS2."""


@dataclass(frozen=True)
class Made:
    """A pattern and its truth."""

    peaks: Peaks
    matrices: tuple[Floats, ...]


def random_strain(largest: float, rng: np.random.Generator) -> Floats:
    """A symmetric strain with principal values up to the largest, in a random direction."""
    first, second = rng.uniform(-largest, largest, 2)
    angle = rng.uniform(0, math.pi)
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    return np.asarray(turn @ np.diag([first, second]) @ turn.T)


def made(
    rng: np.random.Generator,
    *,
    twist_deg: float,
    strain: float = 0.0,
    constants: tuple[float, float] = (3.16, 3.16),
    weak: float = 1.0,
    satellites: float = 0.0,
    missing: float = 0.0,
    spurious: int = 0,
    noise: float = 0.003,
    rings: float = 4,
    width: float = 0.0,
    floor: float = 0.005,
    further: tuple[tuple[float, float], ...] = (),
    rotation_deg: float | None = None,
    friedel: bool = False,
) -> Made:
    """A pattern of two layers, the second turned against the first.

    Args:
        strain: largest principal strain of each layer.
        weak: intensity of the second layer over the first one's.
        satellites: intensity of moire satellites over the spot that they stand about.
        missing: share of the azimuths that a beam stop hides, in two sectors.
        spurious: peaks at random places, of random intensity.
        noise: standard error of a bright spot's place; of faint ones up to four times as much.
        rings: largest norm of indices.
        width: spots nearer to each other than this are one, at their centre of gravity.
        floor: spots fainter than this share of the brightest are not seen.
        further: rotation in degrees and intensity of further domains of the second layer's lattice.
        friedel: whether spurious peaks have a partner on the other side.
    """
    turn = math.radians(rng.uniform(0, 360) if rotation_deg is None else rotation_deg)
    angles = [turn, turn + math.radians(twist_deg), *(turn + math.radians(a) for a, _ in further)]
    lattices = [constants[0], constants[1], *(constants[1] for _ in further)]
    strength = [1.0, weak, *(b for _, b in further)]
    matrices = [strained(a, t, random_strain(strain, rng)) for a, t in zip(lattices, angles, strict=True)]
    indices = sites_within(rings)
    heights = np.array([MX2[int(n)] for n in norms(indices)])
    places = [indices @ m for m in matrices]
    bright = [s * heights for s in strength]
    if satellites:
        g = moire_of(matrices[0], matrices[1])
        ring = norms(indices) == 1
        for layer in (0, 1):
            spots = places[layer][ring]
            places.append((spots[:, None] + g).reshape(-1, 2))
            bright.append(np.repeat(satellites * bright[layer][ring], 6))
    q, intensity = merged(np.concatenate(places), np.concatenate(bright), max(width, 1e-6))
    most = np.linalg.norm(q, axis=1).max()
    intensity = intensity * np.exp(rng.normal(0, 0.2, len(q)))
    if spurious:
        extra = rng.uniform(-1.05 * most, 1.05 * most, (8 * spurious, 2))
        length = np.linalg.norm(extra, axis=1)
        extra = extra[(length < 1.05 * most) & (length > 0.5 * first_ring(constants[0]))][:spurious]
        brightness = np.exp(rng.normal(math.log(0.1), 0.8, len(extra)))
        if friedel:
            extra, brightness = np.concatenate([extra, -extra]), np.concatenate([brightness, brightness])
        q, intensity = np.concatenate([q, extra]), np.concatenate([intensity, brightness])
    seen = (intensity > floor * intensity.max()) & ~hidden(q, missing, rng)
    q, intensity = np.asarray(q[seen]), np.asarray(intensity[seen])
    sigma = noise * np.clip(np.sqrt(0.3 / intensity), 1.0, 4.0)
    q = q + rng.normal(size=q.shape) * sigma[:, None]
    order = rng.permutation(len(q))
    unknown = np.full(len(q), np.nan)
    return Made(Peaks(q[order], 1e4 * intensity[order], sigma[order], sigma[order], unknown, unknown), tuple(matrices))


def moire_of(lower: Floats, upper: Floats) -> Floats:
    """The six differences of the first rings, of those spots that are nearest to each other."""
    nearest = min(turns(upper), key=lambda other: float(np.linalg.norm(other - lower)))
    indices = sites_within(1)
    return np.asarray(indices @ nearest - indices @ lower)


def hidden(q: Floats, missing: float, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which spots two sectors of a beam stop hide, together this share of all azimuths."""
    azimuth = np.arctan2(q[:, 1], q[:, 0])
    covered = np.zeros(len(q), dtype=np.bool_)
    for _ in range(2):
        middle = rng.uniform(-math.pi, math.pi)
        away = np.abs((azimuth - middle + math.pi) % (2 * math.pi) - math.pi)
        covered |= away < math.pi * missing / 2
    return covered


def merged(q: Floats, intensity: Floats, width: float) -> tuple[Floats, Floats]:
    """Spots nearer to each other than the width as one."""
    order = np.argsort(-intensity)
    left = list(order)
    places, heights = [], []
    while left:
        top = left[0]
        near = [i for i in left if np.linalg.norm(q[i] - q[top]) < width]
        left = [i for i in left if i not in set(near)]
        weight = intensity[near]
        places.append((q[near] * weight[:, None]).sum(axis=0) / weight.sum())
        heights.append(weight.sum())
    return np.array(places), np.array(heights)
