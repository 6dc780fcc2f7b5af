"""Layers with a seam through which their lattice indices go on, so that they look as if they closed over the cell."""

from __future__ import annotations

import numpy as np
import pytest

from bench.twist_accuracy import outcome_of
from moireloop_analyzer import TwistEstimate, measure_twist
from moireloop_analyzer.lattice.jump import EITHER, Jump, jumps_of
from tests.helpers.corpus import case_of

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@pytest.mark.parametrize(
    ("family", "number"),
    [
        ("seams", 60),
        ("seams", 61),
        ("relaxed", 1_000_019),
        ("noise", 1_000_086),
        ("buckled", 1_000_082),
    ],
)
def test_the_twist_of_such_layers_is_right(family: str, number: int) -> None:
    """Within a tenth of a degree, where the lattice that closes is off by three tenths and more."""
    assert abs(outcome_of(case_of(family, number)).error_deg) < 0.1


def displaced(gap: tuple[float, float], at: float, across: tuple[int, int], wave: float) -> tuple[Jump, ...]:
    """The jumps found in a layer of 20 x 20 atoms, 3.2 angstrom apart, with one across this coordinate and a wave."""
    rng = np.random.default_rng(0)
    indices = np.array([(i, j) for i in range(20) for j in range(20)], dtype=np.float64)
    vectors, laps = 3.2 * np.array([[1.0, 0.0], [0.5, 0.75**0.5]]), 20.0 * np.eye(2)
    fractions = indices / 20.0
    moved = np.outer((fractions @ across - at) % 1.0, gap)
    moved[:, 0] += wave * np.sin(2.0 * np.pi * fractions[:, 0])
    places = indices @ vectors + moved + rng.normal(scale=0.15, size=indices.shape)
    return jumps_of(indices, places, vectors, laps, EITHER, (), 3.2)


@pytest.mark.parametrize("across", EITHER)
def test_a_jump_is_found_where_it_is(across: tuple[int, int]) -> None:
    """Its line, its direction and its gap, beside a long wave; a second jump may take some of it."""
    jump = max(displaced((0.4, -0.3), 0.35, across, 0.3), key=lambda jump: jump.odds)
    assert jump.across == across
    assert jump.at == pytest.approx(0.35, abs=0.051)
    assert jump.gap == pytest.approx([0.4, -0.3], abs=0.15)
    assert jump.odds > 60.0


def test_a_wave_is_not_a_jump() -> None:
    """However large, and with the noise of the atoms."""
    assert max(jump.odds for jump in displaced((0.0, 0.0), 0.0, (1, 0), 0.5)) < 25.0


A, ROW = 3.2, 3.2 * 0.75**0.5
COLUMNS, ROWS = 30, 24


def layer(slip: float, wave: float, seed: int) -> Floats:
    """A layer (N, 2) with noise and waves whose upper half is shifted along the rows; it is not turned."""
    rng = np.random.default_rng(seed)
    i, j = np.mgrid[:COLUMNS, :ROWS].reshape(2, -1)
    places = np.column_stack([i * A + (j % 2) * A / 2.0, j * ROW])
    fractions = places / [COLUMNS * A, ROWS * ROW]
    for wave_vector in ([1, 0], [1, 1], [2, 0], [1, -1], [0, 1]):
        phase, size = rng.uniform(0.0, 2.0 * np.pi), rng.normal(size=2) * wave
        places = places + size * np.sin(2.0 * np.pi * (fractions @ wave_vector) + phase)[:, None]
    places[:, 0] += slip * (fractions[:, 1] > 0.5)
    noisy: Floats = places + rng.normal(scale=0.1, size=places.shape)
    return noisy


def measured(slip: float, wave: float, seed: int, across_angstrom: float, *, periodic: bool) -> TwistEstimate:
    """The twist of a layer with a slip on one without, periodic along the rows, and across them with this length."""
    lower, upper = layer(slip, wave, seed), layer(0.0, 0.0, seed + 1000)
    positions = np.concatenate([np.pad(lower, ((0, 0), (0, 1))), np.pad(upper, ((0, 0), (0, 1)), constant_values=6.0)])
    positions[: len(lower), 2] = 0.0
    positions[len(lower) :, :2] = upper
    cell = np.diag([COLUMNS * A, across_angstrom, 30.0])
    return measure_twist(positions, np.ones(len(positions), dtype=int), cell, (True, periodic, False))


@pytest.mark.parametrize(("slip", "wave"), [(0.3, 0.1), (0.5, 0.0), (0.5, 0.1)])
def test_a_slipped_band_is_not_a_seam(slip: float, wave: float) -> None:
    """It jumps there and back, and the layer closes: most such layers have no twist, none a wrong one."""
    errors = []
    for seed in range(8):
        found = measured(slip, wave, seed, ROWS * ROW, periodic=True)
        assert found.signed_deg is not None
        assert found.sigma_deg is not None
        assert abs(found.signed_deg) < max(0.1, 3.0 * found.sigma_deg)
        errors.append(abs(found.signed_deg))
    assert np.median(errors) < 1e-6


@pytest.mark.parametrize("length", [1.0, 80.0, 85.0, 200.0])
def test_a_ribbon_does_not_depend_on_the_vector_that_it_does_not_repeat_along(length: float) -> None:
    """Nor has it a seam across that one."""
    found = [measured(0.4, 0.1, 5, across, periodic=False).signed_deg for across in (120.0, length)]
    assert found[0] is not None
    assert found[1] == pytest.approx(found[0], abs=1e-9)


def test_a_ribbon_in_vacuum_is_the_ribbon() -> None:
    """Whether the empty direction counts as periodic or not, and however wide it is."""
    ribbon = measured(0.4, 0.1, 5, 120.0, periodic=False).signed_deg
    for vacuum in (15.0, 20.0):
        assert measured(0.4, 0.1, 5, ROWS * ROW + vacuum, periodic=True).signed_deg == pytest.approx(ribbon, abs=1e-3)
