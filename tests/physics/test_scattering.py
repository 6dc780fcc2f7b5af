"""Simulated GIXD and RHEED beside sums over atoms, textbook formulas, and the satellites of a measured distortion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from periodictable import elements
from scipy.integrate import quad
from scipy.special import jv

from moireloop_analyzer.diffraction_settings import DiffractionSettings, GixdSettings, RheedSettings
from moireloop_analyzer.geometry.box import Box, box_of
from moireloop_analyzer.patterns.indexing import index_pattern
from moireloop_analyzer.patterns.peaks import Peaks
from moireloop_analyzer.refusal import Refusal
from moireloop_analyzer.scattering.atoms import Atoms, anomalous
from moireloop_analyzer.scattering.beams import electron_wave_number, polarization, rheed_normal, xray_wave_number
from moireloop_analyzer.scattering.counting import counted
from moireloop_analyzer.scattering.debye_waller import Heat, classical_displacement, debye_displacement
from moireloop_analyzer.scattering.resolution import Resolution, peaks_of_rods
from moireloop_analyzer.scattering.rods import Rods, TooManyRods, rods_along, rods_at
from moireloop_analyzer.scattering.simulated import rheed_screen, simulated_pattern
from moireloop_analyzer.structure.form_factors import scatterer
from tests.helpers.bilayers import Bilayer, Floats, commensurate, commensurate_twist_deg
from tests.helpers.mx2 import MOS2, mx2
from tests.physics.distortions import torsional

COLD = Heat(0.0, debye_temperature_k={"Mo": 3000.0, "S": 3000.0})
SHARP = DiffractionSettings(instrument_fwhm_per_angstrom=0.01, mosaic_fwhm_deg=0.0)


def seen(bilayer: Bilayer, elements: dict[int, str] | None = None) -> Atoms:
    atoms = Atoms.of_frame(
        bilayer.positions, bilayer.types, bilayer.cell, bilayer.pbc, MOS2 if elements is None else elements
    )
    assert isinstance(atoms, Atoms)
    return atoms


def direct(atoms: Atoms, q: Floats, by: str, heat: Heat) -> float:
    """|sum over atoms|^2 at one q (3,), an atom, atom by atom."""
    total, length = 0j, np.array([float(np.linalg.norm(q))])
    for point, height, kind in zip(atoms.points, atoms.heights, atoms.types, strict=True):
        symbol = atoms.elements[int(kind)]
        known = scatterer(symbol)
        assert known is not None
        f = float((known.xray(length) if by == "xray" else known.electron(length))[0])
        phase = q[0] * point[0] + q[1] * point[1] + q[2] * height
        total += (
            f * math.exp(-0.5 * length[0] ** 2 * heat.displacement(symbol)) * complex(math.cos(phase), math.sin(phase))
        )
    return abs(total) ** 2 / len(atoms.points)


@pytest.mark.parametrize("by", ["xray", "electron"])
def test_rods_are_sums_over_atoms(by: str, rng: np.random.Generator) -> None:
    """Of a disordered bilayer in a skewed cell, in the plane and above it, with heat."""
    skew = np.eye(3)
    skew[0, 1] = 0.07
    atoms, heat = seen(mx2(2, 1, repeats=2).shaken(0.1, rng).deformed(skew)), Heat(700.0)
    found = rods_at(atoms, 4.0, 1.3, by, heat)  # type: ignore[arg-type]
    for place in rng.choice(len(found.vectors), 12, replace=False):
        q = np.array([*found.vectors[place], 1.3])
        assert found.intensity[place] == pytest.approx(direct(atoms, q, by, heat), rel=1e-3, abs=1e-3)
    some = found.indices[:20]
    along = rods_along(atoms, some, np.array([0.4, 1.3]), by, heat)  # type: ignore[arg-type]
    assert along.intensity[1] == pytest.approx(found.intensity[:20], rel=1e-3, abs=1e-3)


def test_a_frame_that_does_not_repeat_is_sampled_finely_enough() -> None:
    """The rods of a patch, their area counted, hold what its continuous pattern holds: on average one an atom."""
    one = mx2(3, 2)
    atoms = seen(replace(one, pbc=(False, False, False)), {})
    found = rods_at(atoms, 9.0, 0.0, "xray", COLD)
    place = len(found.vectors) // 3
    phases = np.exp(1j * atoms.points @ found.vectors[place]).sum()
    assert found.intensity[place] == pytest.approx(0.25 * abs(phases) ** 2 / len(atoms.points), rel=1e-3, abs=1e-4)
    fine = np.stack(np.meshgrid(*[np.linspace(1.0, 5.0, 161)] * 2), axis=-1).reshape(-1, 2)
    true = np.abs(np.exp(1j * fine @ atoms.points.T).sum(axis=1)) ** 2 / len(atoms.points)
    inside = ((found.vectors >= 1.0) & (found.vectors <= 5.0)).all(axis=1)
    area = abs(float(np.linalg.det(found.reciprocal)))
    assert 4.0 * found.intensity[inside].sum() * area == pytest.approx(true.mean() * 16.0, rel=0.05)


def test_debye_displacements_are_those_of_the_density_of_states() -> None:
    """hbar / 2m times the mean of coth(hbar w / 2kT) / w over 3 w^2 / w_D^3, in SI units, from 0 to 2000 K."""
    hbar, boltzmann, unit = 1.054571817e-34, 1.380649e-23, 1.66053906660e-27
    theta, mass = 600.0, 95.95
    debye = boltzmann * theta / hbar
    for kelvin in (1.0, 77.0, 295.0, 2000.0):

        def part(w: float, kelvin: float = kelvin) -> float:
            return 3.0 * w / debye**3 / math.tanh(hbar * w / (2.0 * boltzmann * kelvin))

        mean, _ = quad(part, debye * 1e-9, debye)
        assert debye_displacement(mass, kelvin, theta) == pytest.approx(
            hbar / (2 * mass * unit) * mean * 1e20, rel=1e-4
        )
    assert debye_displacement(mass, 0.0, theta) == pytest.approx(debye_displacement(mass, 0.5, theta), rel=1e-5)
    assert debye_displacement(mass, 6000.0, theta) == pytest.approx(
        classical_displacement(mass, 6000.0, theta), rel=2e-3
    )


def test_heat_that_the_frame_shows_is_not_counted_twice(rng: np.random.Generator) -> None:
    """A frame shaken as classical atoms are at 1500 K has, seen at 1500 K, the spots of a still one seen at 1500 K."""
    still = mx2(3, 2, repeats=6)
    spread = {
        kind: math.sqrt(classical_displacement(elements.symbol(symbol).mass, 1500.0, 600.0))
        for kind, symbol in MOS2.items()
    }
    noise = np.array([spread[int(kind)] for kind in still.types])[:, None]
    shaken = replace(still, positions=still.positions + noise * rng.normal(size=still.positions.shape))
    peaks = [
        simulated_pattern(seen(b), "gixd", SHARP, sample_k=1500.0, frame_k=frame).peaks
        for b, frame in ((still, 0.0), (shaken, 1500.0))
    ]
    bright = [one.intensity[:12].mean() for one in peaks]
    assert bright[1] == pytest.approx(bright[0], rel=0.03)
    assert simulated_pattern(seen(shaken), "gixd", SHARP, sample_k=1500.0).peaks.intensity[:12].mean() < 0.9 * bright[0]
    assert Heat(300.0, 1500.0).displacement("Mo") == 0.0
    assert Heat(300.0).displacement("W") == 0.0
    assert Heat(300.0, 0.0, {"W": 400.0}).displacement("W") > 0.0


def test_beams_have_the_wavelengths_of_the_tables() -> None:
    """X-rays of 10 keV 1.23984 angstrom; electrons of 10, 100 and 200 keV 0.1220, 0.03701 and 0.02508 angstrom."""
    assert 2.0 * math.pi / xray_wave_number(10.0) == pytest.approx(1.23984, rel=1e-5)
    for energy, wavelength in ((10.0, 0.1220), (100.0, 0.03701), (200.0, 0.02508)):
        assert 2.0 * math.pi / electron_wave_number(energy) == pytest.approx(wavelength, rel=4e-4)


def test_an_inner_potential_refracts() -> None:
    """Inside, an electron of 100 eV more along the normal: hbar^2 k_z^2 / 2m of it, 26.25 inverse square angstrom."""
    vacuum, film = (
        float(rheed_normal(RheedSettings(glancing_deg=2.0, inner_potential_v=v), np.array(2.0))) / 2.0
        for v in (0.0, 50.0)
    )
    assert film**2 - vacuum**2 == pytest.approx(0.262468 * 50.0 * (1.0 + 15.0 / 510.999), rel=1e-4)


def test_polarization_dims_wide_angles() -> None:
    """p cos^2(2 theta) + 1 - p; nothing beyond 2 k."""
    q = 2.0 * xray_wave_number(10.0) * math.sin(math.radians(30.0))
    for share, left in ((1.0, 0.25), (0.5, 0.625), (0.0, 1.0)):
        one = GixdSettings(energy_kev=10.0, in_plane_polarization=share)
        assert polarization(one, np.array([q, 11.0])) == pytest.approx([left, 0.0])


def test_anomalous_scattering_is_that_of_henke() -> None:
    """Forward, f0 + f' is the table's f1 and f'' its f2; beyond 30 keV there is none."""
    real, imaginary = elements.symbol("Mo").xray.scattering_factors(energy=10.0)  # type: ignore[no-untyped-call]
    known = scatterer("Mo")
    assert known is not None
    forward = complex(float(known.xray(np.array([0.0]))[0])) + anomalous("Mo", 10.0)
    assert forward.real == pytest.approx(real, rel=2e-3)
    assert forward.imag == pytest.approx(imaginary)
    assert anomalous("Mo", 60.0) == 0j


def test_peaks_are_as_wide_as_the_resolution_says() -> None:
    """Along q the instrument and the domains, in squares; across q the mosaic spread times q besides."""
    settings = DiffractionSettings(instrument_fwhm_per_angstrom=0.03, mosaic_fwhm_deg=1.0, domain_angstrom=200.0)
    peaks = simulated_pattern(seen(mx2(3, 2)), "gixd", settings, sample_k=0.0).peaks
    plain = math.hypot(0.03, 0.8859 * 2.0 * math.pi / 200.0)
    assert peaks.width_radial[:12] == pytest.approx(plain, rel=1e-3)
    assert peaks.width_azimuthal[:12] == pytest.approx(
        np.hypot(plain, math.radians(1.0) * peaks.lengths[:12]), rel=1e-3
    )


def test_rods_closer_than_the_resolution_are_one_wide_peak() -> None:
    """Two equal rods 1.6 sigma apart: one peak between them, wider along their distance; 4 sigma apart: two."""
    settings = DiffractionSettings(instrument_fwhm_per_angstrom=0.0235482, mosaic_fwhm_deg=0.0)
    for apart, count in ((0.016, 1), (0.04, 2)):
        reciprocal = np.array([[apart, 0.0], [0.0, apart]])
        step = round(2.0 / apart)
        indices = np.array([[step, 0], [step + 1, 0]])
        rods = Rods(indices, indices @ reciprocal, np.ones(2), reciprocal)
        peaks = peaks_of_rods(rods, Resolution.of(settings), 0.01)
        assert len(peaks) == count
        assert peaks.q.mean(axis=0) == pytest.approx(rods.vectors.mean(axis=0), abs=1e-4)
        if count == 1:
            assert peaks.width_radial[0] == pytest.approx(0.0235482 / math.sqrt(1.0 - 0.8**2), rel=0.01)
            assert peaks.intensity[0] == pytest.approx(2.0 * math.exp(-0.5 * 0.8**2), rel=1e-3)


@pytest.mark.parametrize("amplitude", [0.078, 0.226])
def test_satellites_of_a_measured_distortion(amplitude: float) -> None:
    """Torsional distortions of 7.8 pm, as measured in twisted bilayer graphene near 1.1 degrees, and of the largest
    possible 22.6 pm (Sung et al., Nature Communications 13, 7826 (2022)): satellites at G + g as strong as the Bessel
    functions of three waves say, and peaks of the table where they are.
    """
    rigid = commensurate(10, 9)
    bilayer, waves = torsional(rigid, amplitude)
    box = box_of(rigid.cell, rigid.pbc)
    assert isinstance(box, Box)
    waves = [box.axes[:2, :2] @ g for g in waves]
    settings = replace_settings(SHARP, reach_per_angstrom=2.8, faintest=1e-4)
    peaks = simulated_pattern(seen(bilayer, {}), "gixd", settings, sample_k=0.0).peaks
    flat = simulated_pattern(seen(rigid, {}), "gixd", settings, sample_k=0.0).peaks
    lower = seen(layer_of(bilayer), {})
    rods = rods_at(lower, 2.8, 0.0, "xray", COLD)
    spot = first_spot(layer_of(rigid))
    for number in range(3):
        for sign in (1, -1):
            q = spot + sign * waves[number]
            shares = [float(q @ np.array([-g[1], g[0]])) / float(np.linalg.norm(g)) * amplitude for g in waves]
            at = np.linalg.norm(rods.vectors - q, axis=1).argmin()
            assert rods.vectors[at] == pytest.approx(q, abs=1e-6)
            expected = len(lower.points) * bessel(shares, number, sign) ** 2
            assert rods.intensity[at] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    away = [np.linalg.norm(one.q[:, None] - [spot - g for g in waves], axis=-1).min(axis=0) for one in (peaks, flat)]
    assert (away[0] < 1e-3).sum() >= 2
    assert (away[0] < 1e-3).sum() > (away[1] < 1e-3).sum()


def layer_of(bilayer: Bilayer) -> Bilayer:
    """The lower layer alone."""
    lower = bilayer.types == 1
    return replace(bilayer, positions=bilayer.positions[lower], types=bilayer.types[lower])


def replace_settings(settings: DiffractionSettings, **changes: float) -> DiffractionSettings:
    return settings.model_copy(update=changes)


def first_spot(layer: Bilayer) -> Floats:
    """The brightest rod of a layer beside the direct beam, the same one for all layers of a cell."""
    rods = rods_at(seen(layer, {}), 2.5, 0.0, "xray", COLD)
    bright = rods.vectors[(np.linalg.norm(rods.vectors, axis=1) > 1.0) & (rods.intensity > 0.9 * rods.intensity.max())]
    return np.asarray(bright[np.lexsort(np.round(bright.T, 6))[0]])


def bessel(shares: list[float], number: int, sign: int) -> float:
    """Amplitude at a spot plus or minus one wave: all three waves together add nothing, so that orders of all count."""
    total = 0.0
    for more in range(-6, 7):
        orders = [more] * 3
        orders[number] -= sign
        total += float(np.prod([jv(order, share) for order, share in zip(orders, shares, strict=True)]))
    return total


def test_streaks_stand_where_ewalds_sphere_cuts_the_rods() -> None:
    """At the azimuth of a row of rods: sideways by asin(G / k), at the angle of exit that keeps the energy."""
    layer = mx2(1, 0, repeats=1)
    lower = layer.types <= 2
    one = seen(Bilayer(layer.positions[lower], layer.types[lower], layer.cell))
    settings = DiffractionSettings(mosaic_fwhm_deg=0.0, rheed=RheedSettings(glancing_deg=3.5, azimuth_deg=0.0))
    screen = rheed_screen(one, settings, COLD)
    k, spacing = electron_wave_number(15.0), 4.0 * math.pi / (math.sqrt(3.0) * 3.16)
    columns = np.linspace(*screen.x, screen.intensity.shape[1])
    bright = screen.intensity.max(axis=0)
    peak = columns[(columns > 0.5) & (columns < 3.0)][bright[(columns > 0.5) & (columns < 3.0)].argmax()]
    assert math.sin(math.radians(peak)) * k == pytest.approx(spacing, rel=0.02)
    rows = np.linspace(*screen.y, screen.intensity.shape[0])
    column = screen.intensity[:, np.abs(columns - peak).argmin()]
    level = rows[column.argmax()]
    exact = math.degrees(math.asin(math.sqrt(math.sin(math.radians(3.5)) ** 2 - (spacing / k) ** 2)))
    assert level == pytest.approx(exact, abs=0.6)
    half = rows[column > 0.5 * column.max()]
    assert half.max() - half.min() > 4.0 * math.degrees(0.02 / k)  # a streak, not a spot


@pytest.mark.parametrize("kind", ["gixd", "rheed"])
@pytest.mark.parametrize(("m", "n"), [(6, 5), (4, 3)])
def test_patterns_have_the_twist_of_the_structure(kind: str, m: int, n: int, rng: np.random.Generator) -> None:
    """With noise of atoms, heat, mosaic spread and counts, on a background: within four standard errors."""
    atoms = seen(mx2(m, n, repeats=2).shaken(0.05, rng))
    peaks = simulated_pattern(atoms, kind, DiffractionSettings(), sample_k=900.0).peaks  # type: ignore[arg-type]
    noisy = counted(peaks, 2e4, 20.0, rng)
    assert np.isfinite(noisy.sigma_radial).all()
    found = index_pattern(noisy, (3.16, 3.16))
    assert found.twist_deg is not None, found.reason
    assert found.sigma_deg is not None
    assert abs(found.twist_deg - commensurate_twist_deg(m, n)) < 4.0 * found.sigma_deg < 0.2


def test_counts_scatter_as_their_errors_say(rng: np.random.Generator) -> None:
    """Pulls of places have unit variance, counts are Poissonian; a peak under the background is not seen."""
    q = np.tile([[2.3, 0.0]], (2000, 1))
    unknown, width = np.full(2000, np.nan), np.full(2000, 0.02)
    peaks = Peaks(q, np.ones(2000), unknown, unknown, width, 2.0 * width)
    found = counted(peaks, 400.0, 100.0, rng)
    assert (
        (found.q - [2.3, 0.0]) / np.stack([found.sigma_radial, found.sigma_azimuthal], axis=1)
    ).std() == pytest.approx(1.0, abs=0.08)
    assert found.intensity.mean() == pytest.approx(400.0, rel=0.02)
    assert found.intensity.std() == pytest.approx(math.sqrt(500.0), rel=0.1)
    faint = replace(peaks, intensity=np.r_[1.0, np.full(1999, 0.02)])
    assert len(counted(faint, 400.0, 100.0, rng)) < 20


def test_what_cannot_be_seen_is_refused() -> None:
    """A cell without a plane, no atoms, and a cell with more rods than fit into memory."""
    one = mx2(2, 1)
    flat = Atoms.of_frame(one.positions, one.types, np.zeros((3, 3)), one.pbc, MOS2)
    assert isinstance(flat, Refusal)
    assert isinstance(Atoms.of_frame(one.positions[:0], one.types[:0], one.cell, one.pbc, MOS2), Refusal)
    huge = Atoms.of_frame(one.positions, one.types, one.cell * 200.0, one.pbc, MOS2)
    assert isinstance(huge, Atoms)
    with pytest.raises(TooManyRods, match="reach_per_angstrom"):
        rods_at(huge, 5.2, 0.0, "xray", COLD)


def test_beads_scatter_as_points_and_are_named() -> None:
    """Types without an element and elements without a Debye temperature are named."""
    bilayer = mx2(2, 1)
    pattern = simulated_pattern(seen(bilayer, {1: "W", 2: "Se"}), "gixd", SHARP, sample_k=300.0)
    assert pattern.unknown_types == (3, 4)
    assert pattern.without_heat == ("Se", "W")
