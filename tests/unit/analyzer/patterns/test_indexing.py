"""Measured patterns: twist, strain and their errors over many synthetic ones, and what has to be refused."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from moireloop_analyzer.patterns.distance import pattern_distance, reciprocal_of
from moireloop_analyzer.patterns.indexing import index_pattern
from moireloop_analyzer.patterns.layer_values import constant_of, signed_twist_deg, strain_of
from moireloop_analyzer.patterns.peaks import FWHM_OF_SIGMA, Peaks, peaks_of
from moireloop_analyzer.patterns.reciprocal import (
    Floats,
    first_ring,
    norms,
    rotation_rad,
    sites_within,
    strained,
    stretches,
    turns,
)
from tests.helpers.patterns import made, random_strain

A = 3.16
MOST_FALSE = 4.0
"""In standard errors: a twist farther from the truth is a false answer."""


@dataclass(frozen=True)
class Tally:
    """Of many patterns: deviations of the twists in their sigma, and the reasons of those refused."""

    deviations: np.ndarray[tuple[int], np.dtype[np.float64]]
    refused: list[str]
    strains: np.ndarray[tuple[int], np.dtype[np.float64]]

    @property
    def false(self) -> int:
        return int((np.abs(self.deviations) > MOST_FALSE).sum())


def tally(
    rng: np.random.Generator,
    count: int,
    *,
    twists: tuple[float, float] = (0.5, 30.0),
    constants: tuple[float, float] = (A, A),
    known: bool = True,
    **options: Any,
) -> Tally:
    """Index patterns of random twists, strains and rotations."""
    deviations, refused, strains = [], [], []
    for _ in range(count):
        pattern = made(rng, twist_deg=rng.uniform(*twists), constants=constants, **options)
        peaks = pattern.peaks if known else replace(pattern.peaks, sigma_radial=np.full(len(pattern.peaks), np.nan))
        found = index_pattern(peaks, constants)
        if found.twist_deg is None or found.sigma_deg is None:
            refused.append(str(found.reason))
            continue
        truth = abs(signed_twist_deg(np.array(pattern.matrices[:2])))
        deviations.append((found.twist_deg - truth) / found.sigma_deg)
        for layer in found.layers:
            true = min(
                (m for m in pattern.matrices[:2]), key=lambda m: min(np.abs(t - layer.matrix).max() for t in turns(m))
            )
            apart = layer.strain - strain_of(true, layer.nominal_angstrom)
            strains += list((apart / layer.strain_error)[np.triu_indices(2)])
    return Tally(np.array(deviations), refused, np.array(strains))


HARD = {"strain": 0.03, "missing": 0.3, "spurious": 20, "weak": 0.1}


@pytest.mark.parametrize(
    ("options", "fewest"),
    [
        ({}, 1.0),
        ({**HARD, "satellites": 0.02}, 0.97),
        ({**HARD, "satellites": 0.02, "known": False}, 0.97),
        ({**HARD, "spurious": 80, "weak": 0.3}, 0.97),
        ({**HARD, "friedel": True}, 0.97),
        ({**HARD, "noise": 0.01, "weak": 0.3}, 0.9),
        ({"strain": 0.01, "twists": (0.3, 2.0), "width": 0.05, "weak": 0.3, "missing": 0.3, "spurious": 10}, 0.75),
        ({**HARD, "constants": (3.16, 3.29)}, 0.97),
        ({**HARD, "constants": (3.16, 2.46), "weak": 0.3}, 0.97),
        ({**HARD, "rings": 13, "satellites": 0.03}, 0.9),
    ],
    ids=["plain", "hard", "no-errors", "spurious", "friedel", "noise", "small-twists", "near", "graphene", "far"],
)
def test_errors_are_what_sigma_says(rng: np.random.Generator, options: dict[str, Any], fewest: float) -> None:
    """Twists of 0.5 to 30 degrees: 68 % within sigma, 95 % within two, none beyond four; strains likewise."""
    count = 25
    counts = tally(rng, count, **options)
    assert counts.false == 0
    assert len(counts.deviations) >= fewest * count
    assert 0.6 < counts.deviations.std() < 1.4
    assert (np.abs(counts.deviations) < 2.0).mean() > 0.8
    assert (np.abs(counts.strains) < 2.0).mean() > 0.85


def test_chance_shows_no_bilayer(rng: np.random.Generator) -> None:
    """Random peaks, also in pairs of q and -q, and peaks on the rings of a powder, are refused."""
    for count in (10, 30, 100):
        angle, length = rng.uniform(0, 2 * math.pi, count), rng.uniform(2.0, 5.0, count)
        q = np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
        rings = first_ring(A) * np.sqrt(rng.choice([1.0, 3.0, 4.0], count)) * (1 + rng.normal(0, 0.002, count))
        powder = np.stack([rings * np.cos(angle), rings * np.sin(angle)], axis=1)
        for places in (q, np.concatenate([q, -q + rng.normal(0, 0.003, q.shape)]), powder):
            found = index_pattern(peaks_of(places, sigma=0.003), (A, A))
            assert found.twist_deg is None
            assert found.reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weak": 1e-4}, "only one hexagonal lattice"),
        ({"twist_deg": 0.0, "strain": 0.0}, "only one hexagonal lattice"),
        ({"further": ((12.0, 0.9),)}, "several domains"),
        ({"constants": (3.6, 3.6)}, "no hexagonal lattice"),
        ({"constants": (3.16, 2.46), "further": ((12.0, 0.9),)}, "domains of about the same brightness"),
    ],
)
def test_ambiguous_layers_are_refused(rng: np.random.Generator, options: dict[str, Any], words: str) -> None:
    """One layer too faint, no twist, two domains of a layer, another material."""
    nominal = (3.16, 2.46) if options.get("constants", (0, 0))[1] == 2.46 else (A, A)
    for _ in range(5):
        pattern = made(rng, **{"twist_deg": 8.0, "strain": 0.005, "spurious": 10, **options})
        found = index_pattern(pattern.peaks, nominal)
        assert found.twist_deg is None
        assert words in str(found.reason)


def images_of_one_lattice(rng: np.random.Generator, constant: float) -> Peaks:
    """Spots of one lattice in seven images, each turned by 0.1 degrees or so, listed one after the other."""
    matrix = strained(constant, 0.3, np.zeros((2, 2)))
    sites, places, heights = sites_within(13), [], []
    for _ in range(7):
        seen = sites[rng.random(len(sites)) < 0.45]
        turn = math.radians(rng.normal(0.0, 0.1))
        c, s = math.cos(turn), math.sin(turn)
        turned = seen @ matrix @ np.array([[c, -s], [s, c]])
        places.append(turned + rng.normal(0.0, 0.02, turned.shape))
        heights.append(np.exp(rng.normal(0.0, 0.8, len(seen)) + rng.normal(0.0, 0.8)))
    return peaks_of(np.concatenate(places), np.concatenate(heights))


@pytest.mark.parametrize("seed", [14, 24, 46])
def test_spots_of_several_images_are_no_bilayer(seed: int) -> None:
    """As RHEED at several azimuths lists them: found with a real series of Si(111)-r3xr3-Ag, whose twist came to 0.2
    degrees when the constant of the substrate was given.
    """
    peaks = images_of_one_lattice(np.random.default_rng(seed), 3.84 * math.sqrt(3.0))
    found = index_pattern(peaks, (3.84, 3.84))
    assert found.twist_deg is None
    assert found.reason


def test_few_peaks_are_refused() -> None:
    """With the number that would do."""
    assert "at least 6" in str(index_pattern(peaks_of(np.ones((3, 2))), (A, A)).reason)


def test_nothing_depends_on_the_rotation_of_the_sample(rng: np.random.Generator) -> None:
    """The same peaks turned: the same twist and lattice constants, to rounding."""
    pattern = made(rng, twist_deg=7.3, strain=0.01, spurious=10, satellites=0.05)
    still = index_pattern(pattern.peaks, (A, A))
    for turn_deg in (11.0, 77.7, 200.0):
        c, s = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
        turned = index_pattern(replace(pattern.peaks, q=pattern.peaks.q @ np.array([[c, s], [-s, c]])), (A, A))
        assert turned.twist_deg == pytest.approx(still.twist_deg, abs=1e-6)
        assert turned.layers[0].lattice_angstrom == pytest.approx(still.layers[0].lattice_angstrom, abs=1e-7)
        assert len(turned.satellites) == len(still.satellites)


def test_satellites_and_domains_are_named(rng: np.random.Generator) -> None:
    """Satellites with their brightness over their spots', a faint domain with its direction, the rest unexplained."""
    for _ in range(5):
        pattern = made(rng, twist_deg=9.43, satellites=0.08, further=((20.0, 0.15),), spurious=6, rotation_deg=0.0)
        found = index_pattern(pattern.peaks, (A, A))
        assert found.twist_deg == pytest.approx(9.43, abs=0.1)
        assert len(found.satellites) > 20
        assert found.satellite_share == pytest.approx(0.08, rel=0.4)
        assert [round(domain.direction_deg) for domain in found.domains] == [20]
        assert found.domains[0].brightness == pytest.approx(0.15, rel=0.5)
        assert len(found.unexplained) <= 9
        assert found.moire_angstrom == pytest.approx(A / (2 * math.sin(math.radians(9.43) / 2)), rel=0.01)
        assert found.moire_error_angstrom is not None
        assert found.moire_error_angstrom < 0.3


def test_mosaic_spread_is_the_width_across(rng: np.random.Generator) -> None:
    """Peaks as wide across q as an instrument and a spread of 0.8 degrees make them."""
    pattern = made(rng, twist_deg=12.0, noise=0.001)
    peaks = pattern.peaks
    instrument = 0.02 * np.exp(rng.normal(0, 0.03, len(peaks)))
    across = np.hypot(instrument, peaks.lengths * math.radians(0.8)) * np.exp(rng.normal(0, 0.03, len(peaks)))
    found = index_pattern(replace(peaks, width_radial=instrument, width_azimuthal=across), (A, A))
    for layer in found.layers:
        assert layer.mosaic_deg == pytest.approx(0.8, abs=0.1)
        assert layer.mosaic_error_deg is not None
        assert layer.mosaic_error_deg < 0.1
    assert index_pattern(peaks, (A, A)).layers[0].mosaic_deg is None


def test_a_wrong_centre_within_its_error_does_no_harm(rng: np.random.Generator) -> None:
    """The direct beam 0.02 inverse angstrom away, stated with that error, and half of the pattern hidden."""
    deviations = []
    for _ in range(30):
        pattern = made(rng, twist_deg=rng.uniform(2, 30), strain=0.02, missing=0.3)
        off = rng.normal(0, 0.02, 2)
        peaks = replace(pattern.peaks, q=pattern.peaks.q + off, centre_error=0.02)
        found = index_pattern(peaks, (A, A))
        if found.twist_deg is not None and found.sigma_deg is not None:
            truth = abs(signed_twist_deg(np.array(pattern.matrices)))
            deviations.append((found.twist_deg - truth) / found.sigma_deg)
    assert len(deviations) >= 27
    assert np.std(deviations) < 1.35
    assert np.abs(deviations).max() < MOST_FALSE


def test_layers_of_two_materials_are_separated(rng: np.random.Generator) -> None:
    """By their constants, whichever is brighter; the sign of the twist is then the second's relative to the first."""
    for weak in (0.2, 1.0, 4.0):
        found = index_pattern(made(rng, twist_deg=-9.0, constants=(3.16, 3.32), weak=weak).peaks, (3.16, 3.32))
        assert found.layers_known
        assert found.layers[0].lattice_angstrom == pytest.approx(3.16, abs=0.01)
        assert found.signed_deg == pytest.approx(-9.0, abs=0.1)
    assert not index_pattern(made(rng, twist_deg=9.0).peaks, (A, A)).layers_known


def bilayer(twist_deg: float, turn_rad: float = 0.0, lower: Floats | None = None) -> Floats:
    strain = np.zeros((2, 2)) if lower is None else lower
    return np.array([strained(A, turn_rad, strain), strained(A, turn_rad + math.radians(twist_deg), np.zeros((2, 2)))])


def apart(one: Floats, other: Floats) -> float:
    return float(pattern_distance(one, other[None])[0])


def test_the_distance_is_zero_for_itself_and_grows(rng: np.random.Generator) -> None:
    """Whatever the rotation, the sense of the twist and the choice of vectors; with twist and with strain it grows."""
    one = bilayer(8.0, 0.3)
    for other in (one, bilayer(8.0, 2.0), bilayer(-8.0, 0.1), bilayer(52.0), bilayer(68.0, 1.0)):
        assert apart(one, other) < 1e-7
    assert apart(one, np.array([turns(one[0])[2], turns(one[1])[5]])) < 1e-7
    by_twist = [apart(one, bilayer(8.0 + step)) for step in (0.1, 0.5, 1.0, 4.0, 15.0)]
    by_strain = [apart(one, bilayer(8.0, 0.3, e * np.diag([1.0, -0.5]))) for e in (0.001, 0.005, 0.02, 0.04)]
    assert by_twist == sorted(by_twist)
    assert by_strain == sorted(by_strain)
    assert by_twist[2] == pytest.approx(first_ring(A) / 2 * math.radians(1.0), rel=1e-3)


def test_the_distance_is_a_distance(rng: np.random.Generator) -> None:
    """The same both ways, never longer than over a third, and the least that turning by trial finds."""
    patterns = [
        np.array([strained(A, rng.uniform(0, 6), random_strain(0.03, rng)) for _ in range(2)]) for _ in range(12)
    ]
    lengths = np.array([[apart(one, other) for other in patterns] for one in patterns])
    assert lengths == pytest.approx(lengths.T, abs=1e-9)
    assert np.diag(lengths) == pytest.approx(0.0, abs=1e-7)
    assert (lengths[:, :, None] + lengths[None] + 1e-9 >= lengths[:, None, :]).all()
    ring, least = sites_within(1), math.inf
    mirror = np.diag([1.0, -1.0])
    for flipped in (np.eye(2), mirror):
        for pair in (patterns[1], patterns[1][::-1]):
            for angle in np.radians(np.arange(0, 360, 0.5)):
                turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
                moved = ring @ pair @ flipped @ turn
                to = ring @ patterns[0]
                squares = ((moved[:, :, None] - to[:, None]) ** 2).sum(axis=-1)
                least = min(least, math.sqrt(squares.min(axis=2).sum() / 12))
    assert lengths[0, 1] == pytest.approx(least, rel=5e-3)


def test_lattices_of_results_become_reciprocal() -> None:
    """Any two vectors some 60 or 120 degrees apart, of either hand: the same lattice in `strained`'s form."""
    strain = np.array([[0.01, 0.004], [0.004, -0.02]])
    matrix = strained(A, 0.4, strain)
    a, b = (2 * math.pi * np.linalg.inv(matrix)).T
    for rows in ([a, b], [b, a], [a, b - a], [-a, -b], [b - a, a]):
        found = reciprocal_of(np.array(rows))
        assert min(np.abs(found - turn).max() for turn in turns(matrix)) < 1e-9
        assert strain_of(found, A) == pytest.approx(strain, abs=1e-9)
        assert constant_of(found) == pytest.approx(A * math.sqrt(np.linalg.det(np.eye(2) + strain)))
    assert sorted(stretches(matrix, A)) == pytest.approx(sorted(np.linalg.eigvalsh(strain) + 1.0))
    assert math.degrees(float(rotation_rad(matrix))) == pytest.approx(math.degrees(0.4))
    assert norms(sites_within(4)).tolist() == [1] * 6 + [3] * 6 + [4] * 6


def test_stated_errors_that_are_too_small_are_widened(rng: np.random.Generator) -> None:
    """By chi^2 over the degrees of freedom, where peaks are still found within them."""
    pattern = made(rng, twist_deg=10.0, noise=0.003)
    small = replace(
        pattern.peaks, sigma_radial=pattern.peaks.sigma_radial / 2, sigma_azimuthal=pattern.peaks.sigma_azimuthal / 2
    )
    honest, bold = index_pattern(pattern.peaks, (A, A)), index_pattern(small, (A, A))
    assert honest.sigma_deg is not None
    assert bold.sigma_deg is not None
    assert bold.sigma_deg > 0.6 * honest.sigma_deg
    assert pytest.approx(2 * math.sqrt(2 * math.log(2))) == FWHM_OF_SIGMA


def test_arrays_that_do_not_fit_are_refused() -> None:
    """By name."""
    with pytest.raises(ValueError, match="shape"):
        peaks_of(np.ones(4))
    with pytest.raises(ValueError, match="finite"):
        peaks_of(np.array([[np.nan, 1.0]]))
    assert isinstance(peaks_of(np.ones((1, 2))), Peaks)
