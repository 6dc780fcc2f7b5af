"""Where two lattices point by their Bragg peaks, from positions alone: no neighbours, no bonds, no lattice indices.

Two ways. A finite piece is looked at through a smooth window, and its three first peaks are climbed in the plane of
q from the brightest places of a Fourier transform. A layer that repeats has peaks only at the reciprocal vectors of
its cell, so there the brightest of these are all that is to be found, without any error.
"""

from __future__ import annotations

import math

import numpy as np

from tests.helpers.bilayers import Bilayer, Floats
from tests.helpers.corpus.layers import Flags
from tests.physics.structure_factor import turn_of_waves_deg

PIXEL_ANGSTROM = 0.8
SHORTEST, LONGEST = 1.65, 2.75
"""First peaks of lattice constants of 2.64 to 4.4 angstrom lie between these wave numbers, in 1 / angstrom."""

ELSEWHERE = 0.16
"""How far the second and third peak may be, in wave numbers, from where a regular lattice would have them."""


def flattened(bilayer: Bilayer, atoms: Flags, corner: Floats) -> tuple[Floats, Floats]:
    """In-plane places (M, 2) of some atoms of one layer within one cell, and the rows a, b (2, 2) of that cell.

    The cell begins at this corner, in fractions of a and b, so that seams lie at its edges.

    Up is the side of the plane of a and b on which c points. Where c repeats, the layer is cut open opposite to the
    mean of its heights.
    """
    cell = bilayer.cell
    fractions = bilayer.positions[atoms] @ np.linalg.inv(cell)
    if bilayer.pbc[2]:
        middle = np.angle(np.exp(2j * math.pi * fractions[:, 2]).mean()) / (2 * math.pi)
        fractions[:, 2] -= np.rint(fractions[:, 2] - middle)
    up = np.cross(cell[0], cell[1])
    up = up / np.linalg.norm(up) * np.sign(up @ cell[2])
    along = cell[0] / np.linalg.norm(cell[0])
    axes = np.stack([along, np.cross(up, along)])
    plane, flat = cell[:2] @ axes.T, fractions @ cell @ axes.T
    if bilayer.pbc[0]:
        inside = flat @ np.linalg.inv(plane) - corner
        flat = (inside - np.floor(inside)) @ plane
    return flat, plane


def direction_of_a_piece_deg(points: Floats, window: Floats) -> float:
    """Direction in degrees, modulo 60, of the lattice of a finite piece, each atom (M, 2) seen with its weight (M,)."""
    return turn_of_waves_deg(peaks_of_a_piece(points, window)) % 60.0


def direction_of_triangles_deg(metals: Floats, window: Floats, chalcogens: Floats, their_window: Floats) -> float:
    """Direction in degrees, modulo 120, in which a hollow with chalcogen atoms lies from its metal atom.

    At a first peak the chalcogens scatter a third of a turn before the metals, or after them where the wave points
    between two hollows; the waves of the first kind are 120 degrees apart.
    """
    first = peaks_of_a_piece(metals, window)[0]
    theirs = (their_window * np.exp(1j * chalcogens @ first)).sum()
    ahead = np.angle(theirs / (window * np.exp(1j * metals @ first)).sum())
    return (math.degrees(math.atan2(first[1], first[0])) + (0.0 if ahead > 0 else 60.0)) % 120.0


def peaks_of_a_piece(points: Floats, window: Floats) -> Floats:
    """The first peaks (3, 2) of a finite piece, about 60 degrees apart, the brightest first."""
    about = points - np.average(points, axis=0, weights=window)
    waves, power = _spectrum(about, window)
    first = waves[power.argmax()]
    found = [_climbed(first, about, window)]
    for turn in (60.0, 120.0):
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        there = np.linalg.norm(waves - np.array([[c, -s], [s, c]]) @ first, axis=1) < ELSEWHERE * np.linalg.norm(first)
        found.append(_climbed(waves[there][power[there].argmax()], about, window))
    return np.stack(found)


def round_window(points: Floats) -> Floats:
    """Weights that fall smoothly from 1 in the middle of a flake to 0 at its farthest atom."""
    away = np.linalg.norm(points - points.mean(axis=0), axis=1)
    weights: Floats = np.cos(0.5 * math.pi * away / (away.max() + 1e-9)) ** 2
    return weights


def cell_window(points: Floats, plane: Floats) -> Floats:
    """Weights that fall smoothly from 1 in the middle of a cell (rows a, b) to 0 at its edges."""
    weights: Floats = np.prod(np.sin(math.pi * (points @ np.linalg.inv(plane))) ** 2, axis=1)
    return weights


def direction_of_a_closed_layer_deg(points: Floats, plane: Floats) -> float:
    """Direction in degrees, modulo 60, of the lattice of a layer that repeats with its cell (rows a, b).

    Among the reciprocal vectors of the cell the three that lie about 60 degrees apart, sum to nothing with alternate
    signs and scatter most; their intensities are summed.
    """
    reciprocal = 2.0 * math.pi * np.linalg.inv(plane).T
    most = np.ceil(LONGEST * np.linalg.norm(plane, axis=1) / (2 * math.pi)).astype(int)
    p, q = np.meshgrid(np.arange(-most[0], most[0] + 1), np.arange(-most[1], most[1] + 1))
    whole = np.column_stack([p.ravel(), q.ravel()])
    waves = whole @ reciprocal
    ring = (np.linalg.norm(waves, axis=1) > SHORTEST) & (np.linalg.norm(waves, axis=1) < LONGEST)
    whole, waves = whole[ring], waves[ring]
    inside = points @ np.linalg.inv(plane) * 2.0 * math.pi
    across = np.exp(1j * np.outer(np.arange(-most[0], most[0] + 1), inside[:, 0]))
    along = np.exp(1j * np.outer(np.arange(-most[1], most[1] + 1), inside[:, 1]))
    power = np.abs(across @ along.T) ** 2
    of_wave = {(int(i), int(j)): float(power[i + most[0], j + most[1]]) for i, j in whole}
    brightest = sorted(of_wave, key=of_wave.__getitem__, reverse=True)[:12]
    triples = [
        (of_wave[one] + of_wave[two] + of_wave[third], one, two, third)
        for one in brightest
        for two in of_wave
        if (third := (two[0] - one[0], two[1] - one[1])) in of_wave and _sixth_on(one, two, reciprocal)
    ]
    chosen = max(triples)[1:]
    return turn_of_waves_deg(np.array(chosen) @ reciprocal) % 60.0


def _sixth_on(one: tuple[int, int], two: tuple[int, int], reciprocal: Floats) -> bool:
    first, second = np.array(one) @ reciprocal, np.array(two) @ reciprocal
    angle = math.degrees(math.atan2(first[0] * second[1] - first[1] * second[0], float(first @ second)))
    return 45.0 < angle < 75.0


def _spectrum(points: Floats, window: Floats) -> tuple[Floats, Floats]:
    """Wave vectors (Q, 2) in the ring of first peaks, and the scattering there of atoms put on the nearest pixel."""
    pixels = np.floor((points - points.min(axis=0)) / PIXEL_ANGSTROM).astype(int)
    size = 1 << int(np.ceil(np.log2(2.0 * pixels.max() + 8)))
    image = np.zeros((size, size))
    np.add.at(image, tuple(pixels.T), window)
    amplitudes = np.fft.fft2(image)
    numbers = 2.0 * math.pi * np.fft.fftfreq(size, PIXEL_ANGSTROM)
    squares = numbers[:, None] ** 2 + numbers**2
    x, y = np.nonzero((squares > SHORTEST**2) & (squares < LONGEST**2))
    return np.column_stack([numbers[x], numbers[y]]), np.abs(amplitudes[x, y]) ** 2


def _climbed(start: Floats, points: Floats, window: Floats) -> Floats:
    """The top of the peak of |sum w exp(i q r)|^2 near the start, by Newton's steps of the logarithm."""
    wave = start
    for _ in range(20):
        phases = window * np.exp(1j * points @ wave)
        total = phases.sum()
        first = 1j * (phases @ points) / total
        second = -(points.T * phases) @ points / total
        slope = 2.0 * first.real
        curvature = 2.0 * (second - np.outer(first, first)).real
        step = np.linalg.solve(curvature, -slope)
        wave = wave + step * min(1.0, 0.02 / (np.linalg.norm(step) + 1e-300))
        if np.linalg.norm(step) < 1e-12:
            break
    return wave
