"""Diffraction of bilayers beside the structure factors of the textbook, and what twist, noise and waves do to it."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import jv

from moireloop_analyzer.geometry.moire import moire_wavelength
from moireloop_analyzer.structure.diffraction import RINGS, Diffraction, diffract, pattern, ring_vectors
from moireloop_analyzer.structure.form_factors import BOHR_ANGSTROM, form_factors, scatterer
from tests.helpers.bilayers import BASIS, SPACING, Bilayer, Floats, commensurate_twist_deg, rotation
from tests.helpers.mx2 import MOS2, lattices_of, mx2

WSE2_ON_MOS2 = {1: "Mo", 2: "S", 3: "W", 4: "Se"}


def seen(bilayer: Bilayer, lattices: tuple[Floats, Floats], elements: Mapping[int, str] = MOS2) -> Diffraction:
    area = abs(float(np.linalg.det(bilayer.cell[:2, :2])))
    return diffract(bilayer.positions[:, :2], bilayer.types, *lattices, elements, area)


def textbook(ring: str, element_m: str, element_x: str, *, by: str) -> float:
    """|f_M + 2 f_X exp(2 pi i (h + k) / 3)|^2 of one 1H layer, over the square of all form factors of two layers."""
    h, k = RINGS[ring][0]
    reciprocal = 2.0 * math.pi * np.linalg.inv(BASIS).T
    q = np.array([np.linalg.norm(reciprocal @ [h, k])])
    scattering = []
    for symbol in (element_m, element_x):
        known = scatterer(symbol)
        assert known is not None
        scattering.append(float((known.xray(q) if by == "xray" else known.electron(q))[0]))
    metal, chalcogen = scattering
    amplitude = metal + 2.0 * chalcogen * cmath.exp(2j * math.pi * (h + k) / 3.0)
    return abs(amplitude) ** 2 / (2.0 * metal + 4.0 * chalcogen) ** 2


@pytest.mark.parametrize("stacking", ["R", "H"])
@pytest.mark.parametrize("by", ["xray", "electron"])
def test_rings_are_those_of_the_textbook(stacking: str, by: str) -> None:
    """Each spot of each ring of both layers, from the fractional coordinates 0 and (1/3, 1/3)."""
    found = seen(mx2(3, 2, repeats=2, stacking=stacking), lattices_of(3, 2))
    for layer in (found.lower, found.upper):
        for ring in RINGS:
            assert getattr(layer[ring], by) == pytest.approx(textbook(ring, "Mo", "S", by=by), rel=1e-6)
        assert layer["10"].xray.max() < layer["11"].xray.min()


def test_form_factors_count_electrons() -> None:
    """f(0) is the atomic number, O2- has two more, and the fit falls as it goes out."""
    for symbol, electrons in (("Mo", 42), ("S", 16), ("W", 74), ("Se", 34), ("O2-", 10)):
        known = scatterer(symbol)
        assert known is not None
        zero, far = known.xray(np.array([0.0, 8.0]))
        assert zero == pytest.approx(electrons, rel=2e-3)
        assert far < 0.6 * zero
    assert scatterer("Xx") is None


def test_electrons_see_what_mott_and_bethe_say() -> None:
    """2 (Z - f) / (a_0 q^2) where q is not small, a limit at 0; C and S have 2.51 and 5.16 angstrom (Int. Tables C)."""
    for symbol, charge, length in (("C", 6, 2.51), ("S", 16, 5.16)):
        known = scatterer(symbol)
        assert known is not None
        q = np.array([3.0, 5.0])
        assert known.electron(q) == pytest.approx(2.0 * (charge - known.xray(q)) / (BOHR_ANGSTROM * q**2), rel=2e-3)
        at_zero, near_zero = known.electron(np.array([0.0, 1e-3]))
        assert at_zero == pytest.approx(near_zero, rel=1e-5)
        assert at_zero == pytest.approx(length, rel=0.03)


def test_a_heterobilayer_has_the_rings_of_its_elements() -> None:
    """WSe2 above MoS2: the brighter layer is the one with more electrons; satellites are between both lattices."""
    found = seen(mx2(3, 2, repeats=2), lattices_of(3, 2), WSE2_ON_MOS2)
    assert found.upper["11"].xray.min() > 2.0 * found.lower["11"].xray.max()
    assert found.point_types == ()


def test_atoms_without_an_element_are_points() -> None:
    """A layer of beads has the same intensity in all rings, one quarter of all in phase, and the result says it."""
    bilayer = mx2(3, 2, repeats=2)
    metals = np.isin(bilayer.types, (1, 3))
    beads = Bilayer(bilayer.positions[metals], bilayer.types[metals], bilayer.cell)
    found = seen(beads, lattices_of(3, 2), {})
    assert found.point_types == (1, 3)
    for ring in RINGS:
        assert found.lower[ring].xray == pytest.approx(0.25)
        assert found.upper[ring].electron == pytest.approx(0.25)
    assert seen(bilayer, lattices_of(3, 2), {1: "Mo", 2: "S", 3: "Xx"}).point_types == (3, 4)


def test_thermal_noise_is_the_factor_of_debye_and_waller(rng: np.random.Generator) -> None:
    """Noise u in each direction leaves exp(-q^2 u^2) of each ring."""
    noise, bilayer = 0.12, mx2(3, 2, repeats=8)
    still, warm = (seen(b, lattices_of(3, 2)) for b in (bilayer, bilayer.shaken(noise, rng)))
    for ring in RINGS:
        q = float(np.linalg.norm(still.lower[ring].vectors[0]))
        left = warm.lower[ring].xray.mean() / still.lower[ring].xray.mean()
        assert left == pytest.approx(math.exp(-((q * noise) ** 2)), rel=0.05)


@pytest.mark.parametrize(("m", "n"), [(2, 1), (3, 2), (6, 5)])
def test_satellites_stand_at_the_moire_vectors(m: int, n: int) -> None:
    """Six of length 4 pi / (sqrt(3) L) and none brighter than rounding: rigid layers do not know of each other."""
    found = seen(mx2(m, n, repeats=3), lattices_of(m, n))
    wavelength = moire_wavelength(commensurate_twist_deg(m, n), SPACING, SPACING)
    assert wavelength is not None
    assert np.linalg.norm(found.moire, axis=1) == pytest.approx(4.0 * math.pi / (math.sqrt(3.0) * wavelength))
    places = {tuple(spot) for spot in np.round(found.satellites.vectors, 4).tolist()}
    assert len(places) == len(found.satellites.xray)
    if n > 1:
        assert (
            len(places) == 6 + 6 * 8
        )  # both spots of a pair share two of their six, and each covers one of the other's
    assert found.satellites.xray.max() < 1e-20


def intensity_at(q: Floats, atoms: Bilayer) -> float:
    """I(q) of atoms of elements not known: the pattern of all that is turned so that q lies along x, at its edge."""
    reach = float(np.hypot(*q))
    turn = np.array([[q[0], q[1]], [-q[1], q[0]]]) / reach
    points = atoms.positions[:, :2] @ turn.T
    return float(pattern(points, atoms.types, {}, np.ones(len(points)), reach, 3, "xray")[1, 2])


def test_a_wave_of_the_moire_period_lights_its_satellites() -> None:
    """A lower layer displaced by u sin(g r) has |F|^2 J1(q u)^2 at q = G +- g, and J0(G u)^2 is left of its spots."""
    bilayer, lattices = mx2(6, 5, repeats=2), lattices_of(6, 5)
    still = seen(bilayer, lattices)
    wave, amplitude = still.moire[0], np.array([0.09, 0.05])
    lower = bilayer.types <= 2
    metals = np.isin(bilayer.types, (1, 3))
    places = bilayer.positions.copy()
    places[lower, :2] += np.sin(places[lower, :2] @ wave)[:, None] * amplitude
    moved = replace(bilayer, positions=places)
    spot = still.lower["10"].vectors[1]
    for sign in (-1.0, 1.0):
        q = spot + sign * wave
        only = Bilayer(moved.positions[metals], moved.types[metals], moved.cell)
        found = intensity_at(q, only)
        assert found == pytest.approx(0.25 * jv(1, q @ amplitude) ** 2, rel=1e-6)
    left = intensity_at(spot, Bilayer(moved.positions[metals], moved.types[metals], moved.cell))
    assert left == pytest.approx(0.25 * jv(0, spot @ amplitude) ** 2, rel=1e-6)
    assert seen(moved, lattices).satellites.xray.max() > 1e-4


@pytest.mark.parametrize("turn_deg", [17.3, 95.0])
def test_the_whole_may_be_turned(turn_deg: float, rng: np.random.Generator) -> None:
    """Atoms and lattices turned together have the same intensities at turned vectors."""
    bilayer, lattices = mx2(3, 2, repeats=2).shaken(0.05, rng), lattices_of(3, 2)
    turn = rotation(turn_deg)
    whole = np.eye(3)
    whole[:2, :2] = turn
    turned = seen(bilayer.deformed(whole), (turn @ lattices[0], turn @ lattices[1]))
    still = seen(bilayer, lattices)
    assert turned.satellites.vectors == pytest.approx(still.satellites.vectors @ turn.T)
    assert turned.satellites.xray == pytest.approx(still.satellites.xray, abs=1e-12)
    for ring in RINGS:
        assert turned.upper[ring].electron == pytest.approx(still.upper[ring].electron)


def test_any_vectors_of_the_lattices_will_do() -> None:
    """60 or 120 degrees apart, in any order, by any sixth of a turn: the same spots and moire vectors."""
    bilayer, (lower, upper) = mx2(3, 2, repeats=2), lattices_of(3, 2)
    one = seen(bilayer, (lower, upper))
    for change in ([[0, -1], [1, 1]], [[0, 1], [1, 0]], [[1, -1], [0, 1]], [[-1, 0], [0, -1]]):
        other = seen(bilayer, (lower, upper @ np.array(change)))
        assert np.linalg.norm(other.moire, axis=1) == pytest.approx(np.linalg.norm(one.moire, axis=1))
        assert sorted(other.upper["11"].xray) == pytest.approx(sorted(one.upper["11"].xray))


def test_intensities_do_not_depend_on_size() -> None:
    """The same bilayer repeated has the same spots, four times the area half the width of a spot."""
    small, large = (seen(mx2(3, 2, repeats=r), lattices_of(3, 2)) for r in (2, 4))
    for ring in RINGS:
        assert small.lower[ring].xray == pytest.approx(large.lower[ring].xray, rel=1e-9)
    assert small.peak_width == pytest.approx(2.0 * large.peak_width)


def test_stacking_shows_where_lattices_coincide() -> None:
    """Without twist the {10} spots of R-like (3R) and H-like (2H) bilayers differ as their sums say; {11} does not.

    Both metals above each other: R has 4 times one layer; H has one layer and its mirror image, whose sum is real.
    """
    spots = {}
    for stacking in ("R", "H"):
        bilayer = mx2(1, 0, repeats=4, stacking=stacking)
        lattices = lattices_of(1, 0)
        found = seen(bilayer, lattices)
        spots[stacking] = (found.lower["10"].electron[0], found.lower["11"].electron[0])
        assert len(found.satellites.xray) == 0
    q = np.linalg.norm(ring_vectors(BASIS, "10")[:1], axis=1)
    known = [scatterer(symbol) for symbol in ("Mo", "S")]
    metal, chalcogen = (float(s.electron(q)[0]) for s in known if s is not None)
    mirrored = 2.0 * (metal + 2.0 * chalcogen * math.cos(2.0 * math.pi / 3.0))
    assert spots["R"][0] == pytest.approx(4.0 * textbook("10", "Mo", "S", by="electron"))
    assert spots["H"][0] == pytest.approx((mirrored / (2.0 * metal + 4.0 * chalcogen)) ** 2)
    assert spots["H"][0] < 0.5 * spots["R"][0]
    assert spots["H"][1] == pytest.approx(spots["R"][1])


def test_the_pattern_is_the_intensities_on_a_grid(rng: np.random.Generator) -> None:
    """Row by row along y, the direct beam of 1 in the middle."""
    bilayer = mx2(3, 2).shaken(0.1, rng)
    points = bilayer.positions[:, :2]
    image = pattern(points, bilayer.types, MOS2, np.ones(len(points)), 5.0, 21, "electron")
    axis = np.linspace(-5.0, 5.0, 21)
    waves = np.array([(x, y) for y in axis for x in axis])
    types = np.array([1, 2, 3, 4])
    factors = form_factors(types, MOS2, np.linalg.norm(waves, axis=1), "electron")[bilayer.types - 1]
    amplitudes = np.abs((factors * np.exp(1j * points @ waves.T)).sum(axis=0)) / factors.sum(axis=0)
    assert image.ravel() == pytest.approx(amplitudes**2)
    assert image[10, 10] == pytest.approx(1.0)


def test_weights_make_the_spots_of_a_patch_round() -> None:
    """A Gaussian of standard deviation s in place makes spots that fall as exp(-s^2 dq^2), without side lobes."""
    bilayer, spread = mx2(3, 2, repeats=6), 9.0
    points = bilayer.positions[:, :2] - bilayer.positions[:, :2].mean(axis=0)
    weights = np.exp(-(points**2).sum(axis=1) / (2.0 * spread**2))
    image = pattern(points, bilayer.types, MOS2, weights, 0.2, 5, "xray")
    q = np.linspace(-0.2, 0.2, 5)
    assert image[2] == pytest.approx(np.exp(-((spread * q) ** 2)), rel=0.02, abs=1e-4)
