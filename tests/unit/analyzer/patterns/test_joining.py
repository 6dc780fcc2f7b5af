"""Lists that name spots several times, as from several images, and lists that name the direct beam."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from moireloop_analyzer.patterns.indexed import IndexedPattern
from moireloop_analyzer.patterns.indexing import index_pattern
from moireloop_analyzer.patterns.layer_values import signed_twist_deg
from moireloop_analyzer.patterns.peaks import COLUMNS, Peaks, peaks_of
from tests.helpers.patterns import Made, made

A = 3.16


def stacked(*some: Peaks) -> Peaks:
    """Lists one after the other."""
    columns = [np.concatenate([getattr(one, name) for one in some]) for name in COLUMNS]
    return Peaks(columns[0], columns[1], columns[2], columns[3], columns[4], columns[5])


def listed(
    peaks: Peaks, rng: np.random.Generator, images: int, *, turn_deg: float = 0.0, noise: float = 0.003
) -> Peaks:
    """Each image shows 70 % of the spots with errors of its own, and is turned by about so much."""
    places, heights = [], []
    for _ in range(images):
        seen = rng.random(len(peaks)) < 0.7
        turn = math.radians(rng.normal(0.0, turn_deg))
        c, s = math.cos(turn), math.sin(turn)
        exact = peaks.q[seen] @ np.array([[c, s], [-s, c]])
        places.append(exact + rng.normal(0.0, noise, exact.shape))
        heights.append(peaks.intensity[seen] * np.exp(rng.normal(0.0, 0.3, seen.sum())))
    return peaks_of(np.concatenate(places), np.concatenate(heights), noise)


def exact(rng: np.random.Generator, twist_deg: float, **options: float) -> Made:
    return made(rng, twist_deg=twist_deg, noise=1e-9, **options)  # type: ignore[arg-type]


def unknown(peaks: Peaks) -> Peaks:
    """The same peaks without errors."""
    return replace(peaks, sigma_radial=np.full(len(peaks), np.nan))


def indexed(peaks: Peaks) -> IndexedPattern:
    return index_pattern(peaks, (A, A))


@pytest.mark.parametrize("known", [True, False], ids=["errors", "no-errors"])
@pytest.mark.parametrize(("images", "turn_deg"), [(2, 0.0), (4, 0.05)])
def test_a_bilayer_in_several_images_has_its_twist(
    rng: np.random.Generator, images: int, turn_deg: float, known: bool
) -> None:
    """Also where one layer is fainter, strained, and where the images are turned a little; none is false."""
    deviations = []
    for _ in range(3):
        pattern = exact(rng, rng.uniform(3.0, 30.0), strain=0.01, weak=rng.uniform(0.3, 1.0))
        peaks = listed(pattern.peaks, rng, images, turn_deg=turn_deg)
        found = indexed(peaks if known else unknown(peaks))
        if found.twist_deg is not None and found.sigma_deg is not None:
            truth = abs(signed_twist_deg(np.array(pattern.matrices)))
            deviations.append((found.twist_deg - truth) / found.sigma_deg)
    assert len(deviations) >= 2
    assert np.abs(deviations).max() < 4.0


def test_numbers_of_peaks_are_those_of_the_list(rng: np.random.Generator) -> None:
    """Each measurement of a spot belongs to its layer; the number of spots is said."""
    pattern = exact(rng, 9.0)
    peaks = listed(pattern.peaks, rng, 4)
    found = indexed(peaks)
    assert found.spots is not None
    assert len(pattern.peaks) * 0.9 <= found.spots <= len(pattern.peaks) * 1.1
    assert sum(len(layer.peaks) for layer in found.layers) > 0.9 * len(peaks)
    for layer in found.layers:
        assert np.abs(layer.indices @ layer.matrix - peaks.q[layer.peaks]).max() < 0.02
    assert indexed(pattern.peaks).spots is None


def test_copies_gain_nothing(rng: np.random.Generator) -> None:
    """Rows that are copied three times have the error of one, independent measurements have less."""
    one = made(rng, twist_deg=9.0).peaks
    copies = stacked(one, one, one)
    once, thrice = indexed(one), indexed(copies)
    assert thrice.twist_deg == pytest.approx(once.twist_deg, abs=1e-6)
    assert thrice.sigma_deg == pytest.approx(once.sigma_deg, rel=0.05)
    several = indexed(listed(exact(rng, 9.0).peaks, rng, 12))
    assert several.sigma_deg is not None
    assert once.sigma_deg is not None
    assert several.sigma_deg < 0.7 * once.sigma_deg


def test_one_layer_in_several_images_is_one_layer(rng: np.random.Generator) -> None:
    """Refused, and a twist below what joining would have hidden is not excluded."""
    for known in (True, False):
        peaks = listed(exact(rng, 9.0, weak=1e-4).peaks, rng, 5, turn_deg=0.1, noise=0.01)
        found = indexed(peaks if known else unknown(peaks))
        assert found.twist_deg is None
        assert "only one hexagonal lattice" in str(found.reason)
        least = float(str(found.reason).rpartition("less than about ")[2].partition(" ")[0])
        assert least > 0.5


def test_one_layer_listed_twice_shows_no_small_twist(rng: np.random.Generator) -> None:
    """Two images of one layer are two lattices that nearly coincide: their spots are no farther apart than errors."""
    for number in range(12):
        peaks = listed(exact(rng, 9.0, weak=1e-4).peaks, rng, 2, noise=0.005)
        assert indexed(peaks if number % 2 else unknown(peaks)).twist_deg is None


def test_a_small_twist_keeps_its_value(rng: np.random.Generator) -> None:
    """Two layers at 0.6 degrees also make pairs of near peaks: farther apart than the peaks scatter."""
    for known in (True, False):
        pattern = made(rng, twist_deg=0.6, strain=0.003)
        found = indexed(pattern.peaks if known else unknown(pattern.peaks))
        assert found.twist_deg == pytest.approx(abs(signed_twist_deg(np.array(pattern.matrices))), abs=0.1)


def test_a_list_that_makes_sense_in_two_ways_is_refused(rng: np.random.Generator) -> None:
    """Two lattices at 0.4 degrees and a fainter third: a bilayer with a domain, or one layer twice and the other."""
    pattern = made(rng, twist_deg=0.4, further=((12.0, 0.3),), noise=0.003)
    found = indexed(pattern.peaks)
    assert found.twist_deg is None
    assert "list each spot once" in str(found.reason)


def test_the_direct_beam_in_a_list_does_no_harm(rng: np.random.Generator) -> None:
    """At the origin or near it, with and without errors; its number belongs to nothing."""
    pattern = made(rng, twist_deg=9.0)
    still = indexed(pattern.peaks)
    for place in (np.zeros(2), np.array([0.004, -0.003])):
        peaks = stacked(pattern.peaks.select(np.arange(1)), pattern.peaks)
        peaks.q[0] = place
        found = indexed(peaks)
        assert found.twist_deg == pytest.approx(still.twist_deg, abs=1e-9)
        assert [list(layer.peaks - 1) for layer in found.layers] == [list(layer.peaks) for layer in still.layers]
        assert 0 not in found.unexplained
        assert indexed(unknown(peaks)).twist_deg == pytest.approx(indexed(unknown(pattern.peaks)).twist_deg)


def test_scatter_beyond_the_errors_is_seen_whole(rng: np.random.Generator) -> None:
    """Peaks that scatter by half a degree, without errors or with far too small ones: none is false."""
    deviations = []
    for number in range(8):
        pattern = made(rng, twist_deg=rng.uniform(3.0, 30.0), strain=0.01, spurious=10, noise=0.02)
        error = np.full(len(pattern.peaks), 0.004)
        small = replace(pattern.peaks, sigma_radial=error, sigma_azimuthal=error)
        found = indexed(small if number % 2 else unknown(pattern.peaks))
        if found.twist_deg is not None and found.sigma_deg is not None:
            truth = abs(signed_twist_deg(np.array(pattern.matrices)))
            deviations.append((found.twist_deg - truth) / found.sigma_deg)
    assert len(deviations) >= 2
    assert np.abs(deviations).max() < 4.0
