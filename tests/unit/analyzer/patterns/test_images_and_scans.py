"""Peaks out of images and of X-ray scans, by synthetic ones whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from moireloop_analyzer.patterns.image import NoScreen, Screen, spots_in_image
from moireloop_analyzer.patterns.indexing import index_pattern
from moireloop_analyzer.patterns.layer_values import signed_twist_deg
from moireloop_analyzer.patterns.peaks import FWHM_OF_SIGMA, Floats, Peaks
from moireloop_analyzer.patterns.scans import ScanPoints, peaks_of_scans
from tests.helpers.patterns import made

A = 3.16
SIGMA_PX = 2.5


def picture(peaks: Peaks, screen: Screen, rng: np.random.Generator, size: int = 900) -> Floats:
    """A noisy image with a bright middle, as counts; distortion is undone by searching the pixel of each spot."""
    y, x = np.mgrid[:size, :size]
    image = 100 + 60 * np.exp(-((x - screen.centre[0]) ** 2 + (y - screen.centre[1]) ** 2) / (2 * 150.0**2))
    for q, intensity in zip(peaks.q, peaks.intensity, strict=True):
        place = np.array(screen.centre) + q / screen.per_pixel * [1, -1]
        for _ in range(30):
            place = place + (q - screen.q(place[None])[0]) / screen.per_pixel * [1, -1]
        if (np.abs(place - size / 2) < size / 2 - 10).all():
            image += intensity / 15 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * SIGMA_PX**2))
    return np.asarray(rng.poisson(image), dtype=float)


@pytest.mark.parametrize(
    "screen",
    [
        Screen(per_pixel=0.012, centre=(451.3, 440.1), centre_error=1.0),
        Screen(per_pixel=0.012, centre=(451.3, 440.1), ellipticity=0.06, angle_deg=25.0, radial=2e-7),
    ],
    ids=["flat", "distorted"],
)
def test_an_image_gives_the_twist(screen: Screen, rng: np.random.Generator) -> None:
    """Of spots on a noisy background, with the direct beam wrong by its error, and through a known distortion."""
    for twist_deg in (4.0, 11.0, 23.5):
        pattern = made(rng, twist_deg=twist_deg, strain=0.01, noise=0.0, weak=0.3, missing=0.2)
        image = picture(pattern.peaks, screen, rng)
        stated = replace(screen, centre=(screen.centre[0] + 0.4, screen.centre[1] - 0.3))
        peaks = spots_in_image(image, stated)
        found = index_pattern(peaks, (A, A))
        assert found.twist_deg is not None, found.reason
        assert found.sigma_deg is not None
        truth = abs(signed_twist_deg(np.array(pattern.matrices)))
        assert abs(found.twist_deg - truth) < max(4 * found.sigma_deg, 0.05)
        assert found.sigma_deg < 0.05
        assert np.median(peaks.width_radial) == pytest.approx(FWHM_OF_SIGMA * SIGMA_PX * 0.012, rel=0.1)
        undistorted = index_pattern(spots_in_image(image, replace(stated, ellipticity=0.0, radial=0.0)), (A, A))
        if screen.ellipticity:
            assert undistorted.twist_deg is None or abs(undistorted.layers[0].strain).max() > 0.02


def test_an_image_of_noise_has_no_lattice(rng: np.random.Generator) -> None:
    """Noise, a plain grey, and a picture without a finite pixel."""
    screen = Screen(per_pixel=0.012, centre=(150.0, 150.0))
    for image in (rng.poisson(100, (300, 300)).astype(float), np.full((300, 300), 7.0), np.full((300, 300), np.nan)):
        assert index_pattern(spots_in_image(image, screen), (A, A)).twist_deg is None


def test_screens_that_make_no_picture_are_refused() -> None:
    """By what was expected."""
    with pytest.raises(NoScreen, match="calibration"):
        Screen(per_pixel=0.0, centre=(1.0, 1.0))
    with pytest.raises(NoScreen, match="finite"):
        Screen(per_pixel=math.nan, centre=(1.0, 1.0))
    with pytest.raises(NoScreen, match="centre near"):
        spots_in_image(np.zeros((50, 50)), Screen(per_pixel=0.01, centre=(5000.0, 0.0)))


def rocking(
    number: int, q: Floats, intensity: float, mosaic_deg: float, rng: np.random.Generator
) -> tuple[Floats, ...]:
    """A rocking scan over one reflection, 4 degrees wide."""
    middle = math.atan2(q[1], q[0])
    azimuth = middle + math.radians(rng.uniform(-0.8, 0.8)) + np.radians(np.arange(-2, 2, 0.05))
    sigma = math.radians(mosaic_deg) / FWHM_OF_SIGMA
    counts = rng.poisson(20 + intensity * np.exp(-0.5 * ((azimuth - middle) / sigma) ** 2))
    return np.full(len(azimuth), number), np.full(len(azimuth), np.linalg.norm(q)), azimuth, counts.astype(float)


def radial(number: int, q: Floats, intensity: float, rng: np.random.Generator) -> tuple[Floats, ...]:
    length = np.linalg.norm(q) + np.arange(-0.1, 0.1, 0.003)
    counts = rng.poisson(20 + intensity * np.exp(-0.5 * ((length - np.linalg.norm(q)) / 0.012) ** 2))
    return np.full(len(length), number), length, np.full(len(length), math.atan2(q[1], q[0])), counts.astype(float)


def test_scans_give_twist_strain_and_mosaic_spread(rng: np.random.Generator) -> None:
    """A rocking and a radial scan over each of the reflections of one half, background and counting noise."""
    pattern = made(rng, twist_deg=9.4, strain=0.01, noise=0.0, weak=0.4)
    some = pattern.peaks.q[:, 1] > -0.6
    scans = []
    for number, (q, intensity) in enumerate(zip(pattern.peaks.q[some], pattern.peaks.intensity[some], strict=True)):
        scans.append(rocking(2 * number, q, 0.3 * intensity, 0.6, rng))
        scans.append(radial(2 * number + 1, q, 0.3 * intensity, rng))
    peaks = peaks_of_scans(ScanPoints(*(np.concatenate(parts) for parts in zip(*scans, strict=True))))
    found = index_pattern(peaks, (A, A))
    assert found.twist_deg is not None, found.reason
    assert found.sigma_deg is not None
    truth = abs(signed_twist_deg(np.array(pattern.matrices)))
    assert abs(found.twist_deg - truth) < 4 * found.sigma_deg < 0.1
    assert abs(len(peaks) - some.sum()) <= 3
    expected = math.sqrt(max(0.6**2 - math.degrees(0.012 * FWHM_OF_SIGMA / 3.6) ** 2, 0.0))
    assert found.layers[0].mosaic_deg == pytest.approx(expected, abs=0.25)


def test_scans_without_peaks_have_none(rng: np.random.Generator) -> None:
    """A flat background, too few points, no point."""
    flat = ScanPoints(
        np.ones(80), np.full(80, 2.3), np.radians(np.arange(80) * 0.05), rng.poisson(50, 80).astype(float)
    )
    short = ScanPoints(*(values[:4] for values in (flat.scan, flat.q, flat.azimuth, flat.counts)))
    empty = ScanPoints(*(values[:0] for values in (flat.scan, flat.q, flat.azimuth, flat.counts)))
    for points in (flat, short, empty):
        assert len(peaks_of_scans(points)) == 0
