"""GIXD and RHEED patterns of a structure, as the settings of [diffraction] describe the experiment (pure).

Scattering is kinematic: each beam is scattered once, and nothing is absorbed. Spots and satellites that exist only by
multiple scattering, as electrons show them, are missing. Intensities are integrated over q in the plane; a scan over an
angle has a Lorentz factor more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from moireloop_analyzer.diffraction_settings import DiffractionSettings, Kind, RheedSettings
from moireloop_analyzer.patterns.peaks import Peaks
from moireloop_analyzer.scattering.atoms import Atoms, Ints
from moireloop_analyzer.scattering.beams import electron_wave_number, gixd_normal, polarization, rheed_normal
from moireloop_analyzer.scattering.debye_waller import Heat
from moireloop_analyzer.scattering.resolution import REACH_SIGMA, Resolution, RodTable, peaks_of_rods
from moireloop_analyzer.scattering.rods import Rods, most_indices, rods_along, rods_at
from moireloop_analyzer.structure.form_factors import Floats

PIXELS: Final = 401

FINEST: Final = 0.6
"""Smallest standard deviation of a rod in a picture, in pixels: narrower rods would fall between them."""

SCREEN_DEG: Final = 6.0
"""Angle of exit up to which a screen reaches."""

LEVELS_PER_THICKNESS: Final = 4.0
"""Steps of q along the normal in one fringe 2 pi / t of a film of thickness t."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image of intensities.

    Attributes:
        intensity: (rows, columns), the first row at the lowest value of y.
        x: lowest and highest value at the first and the last column.
        y: the same of rows.
        axes: what x and y are, with units.
    """

    intensity: Floats
    x: tuple[float, float]
    y: tuple[float, float]
    axes: tuple[str, str]


@dataclass(frozen=True, eq=False)
class SimulatedPattern:
    """What an experiment would see of a structure.

    Attributes:
        kind: of the experiment.
        peaks: in the plane of the layers, the brightest first, axes as of `Atoms`; of RHEED, over all azimuths.
        temperature_k: of the sample.
        normal_per_angstrom: component of q along the normal at which the peaks are.
        map: intensity in the plane.
        screen: of RHEED, the picture at one azimuth.
        unknown_types: atom types that scatter as points of strength 1, since their element is not known.
        without_heat: elements that heat does not weaken, since their Debye temperature is not known.
        settings: of the experiment.
    """

    kind: Kind
    peaks: Peaks
    temperature_k: float
    normal_per_angstrom: float
    map: Picture
    screen: Picture | None
    unknown_types: tuple[int, ...]
    without_heat: tuple[str, ...]
    settings: DiffractionSettings = field(default=DiffractionSettings())


def simulated_pattern(
    atoms: Atoms, kind: Kind, settings: DiffractionSettings, *, sample_k: float, frame_k: float = 0.0
) -> SimulatedPattern:
    """The pattern of a structure.

    Args:
        kind: `gixd`, or `rheed`.
        sample_k: temperature of the sample in K, where the settings name none.
        frame_k: temperature in K whose motion the positions show already.

    Raises:
        TooManyRods: the cell is too large for the reach.
    """
    heat = Heat(
        sample_k if settings.temperature_k is None else settings.temperature_k, frame_k, settings.debye_temperature_k
    )
    rods = gixd_rods(atoms, settings, heat) if kind == "gixd" else rheed_rods(atoms, settings, heat)
    normal = gixd_normal(settings.gixd) if kind == "gixd" else _map_normal(settings.rheed)
    return SimulatedPattern(
        kind=kind,
        peaks=peaks_of_rods(rods, Resolution.of(settings), settings.faintest),
        temperature_k=heat.sample_k,
        normal_per_angstrom=normal,
        map=plane_map(rods, settings),
        screen=rheed_screen(atoms, settings, heat) if kind == "rheed" else None,
        unknown_types=atoms.points_of_unknown_element,
        without_heat=atoms.without_debye_temperature(heat),
        settings=settings,
    )


def gixd_rods(atoms: Atoms, settings: DiffractionSettings, heat: Heat) -> Rods:
    """Intensities that X-rays at grazing incidence find at the rods, in square electrons an atom."""
    one = settings.gixd
    rods = rods_at(atoms, settings.reach_per_angstrom, gixd_normal(one), "xray", heat, one.energy_kev)
    seen = rods.intensity * polarization(one, np.linalg.norm(rods.vectors, axis=1))
    return Rods(rods.indices, rods.vectors, seen, rods.reciprocal)


def rheed_rods(atoms: Atoms, settings: DiffractionSettings, heat: Heat) -> Rods:
    """Intensities that electrons find at the rods, in square angstrom an atom, over all azimuths at one angle of exit.

    At one angle of exit all of q in the plane is seen at the same component along the normal when the sample is turned
    about it, so that the pictures of all azimuths make a map of the plane.
    """
    return rods_at(atoms, settings.reach_per_angstrom, _map_normal(settings.rheed), "electron", heat)


def _map_normal(settings: RheedSettings) -> float:
    return float(rheed_normal(settings, np.array(settings.exit_deg)))


def plane_map(rods: Rods, settings: DiffractionSettings, pixels: int = PIXELS) -> Picture:
    """The plane of q as a picture (pixels, pixels), the direct beam in the middle."""
    reach = settings.reach_per_angstrom
    axis = np.linspace(-reach, reach, pixels)
    x, y = np.meshgrid(axis, axis)
    table = RodTable.of(rods.indices, rods.intensity[None], np.zeros(1), rods.reciprocal)
    finest = Resolution.of(settings, FINEST * 2.0 * reach / (pixels - 1))
    seen = table.seen(np.stack([x.ravel(), y.ravel()], axis=1), np.zeros(x.size), finest)
    axes = ("q along a (1/Å)", "q across a (1/Å)")
    return Picture(seen.reshape(x.shape), (-reach, reach), (-reach, reach), axes)


def rheed_screen(atoms: Atoms, settings: DiffractionSettings, heat: Heat, pixels: int = PIXELS) -> Picture:
    """What a screen shows at one azimuth: angle aside the beam and angle of exit, in degrees.

    A rod crosses the sphere of Ewald in a spot. It is as wide in the plane as the resolution says, so that under small
    angles the spot becomes a streak.
    """
    k, one = electron_wave_number(settings.rheed.energy_kev), settings.rheed
    aside_deg = math.degrees(math.asin(min(settings.reach_per_angstrom / k, 1.0)))
    aside, up = np.linspace(-aside_deg, aside_deg, pixels), np.linspace(0.0, SCREEN_DEG, pixels // 2 + 1)
    sideways, upward = (angle.ravel() for angle in np.meshgrid(np.radians(aside), np.radians(up)))
    forward = k * (np.cos(upward) * np.cos(sideways) - math.cos(math.radians(one.glancing_deg)))
    turn = math.radians(one.azimuth_deg)
    beam, across = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    waves = forward[:, None] * beam + (k * np.cos(upward) * np.sin(sideways))[:, None] * across
    normals = rheed_normal(one, np.degrees(upward))
    resolution = Resolution.of(settings, FINEST * 2.0 * settings.reach_per_angstrom / (pixels - 1))
    table = _table_along(atoms, waves, normals, resolution, heat)
    seen = table.seen(waves, normals, resolution).reshape(len(up), len(aside))
    return Picture(seen, (-aside_deg, aside_deg), (0.0, SCREEN_DEG), ("angle aside (°)", "angle of exit (°)"))


def _table_along(atoms: Atoms, waves: Floats, normals: Floats, resolution: Resolution, heat: Heat) -> RodTable:
    """The rods that a screen may show, at enough levels along the normal."""
    thickness = max(float(np.ptp(atoms.heights)), 1.0)
    low, high = float(normals.min()), float(normals.max())
    count = 2 + int((high - low) * thickness / (2.0 * math.pi) * LEVELS_PER_THICKNESS)
    levels = np.linspace(low, high, count)
    indices = _rods_near(atoms, waves, resolution)
    return RodTable.of(*_of(rods_along(atoms, indices, levels, "electron", heat), levels))


def _of(rods: Rods, levels: Floats) -> tuple[Ints, Floats, Floats, Floats]:
    return rods.indices, rods.intensity, levels, rods.reciprocal


def _rods_near(atoms: Atoms, waves: Floats, resolution: Resolution) -> Ints:
    """(R, 2) rods that are near enough to any of some waves in the plane."""
    from scipy.spatial import cKDTree

    reciprocal = 2.0 * math.pi * np.linalg.inv(atoms.period).T
    longest = float(np.linalg.norm(waves, axis=1).max())
    wide = REACH_SIGMA * float(resolution.across(np.array(longest)))
    most = most_indices(atoms, longest + wide)
    h, k = np.meshgrid(np.arange(-most[0], most[0] + 1), np.arange(-most[1], most[1] + 1), indexing="ij")
    indices = np.stack([h.ravel(), k.ravel()], axis=1)
    apart, _ = cKDTree(waves).query(indices @ reciprocal, distance_upper_bound=wide)
    near = indices[np.isfinite(apart)]
    return near if len(near) else np.zeros((1, 2), dtype=int)
