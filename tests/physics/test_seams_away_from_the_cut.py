"""Layers with a seam through which their lattice indices go on, so that they look as if they closed over the cell."""

from __future__ import annotations

import numpy as np
import pytest

from bench.twist_accuracy import outcome_of
from moireloop_analyzer.jump import EITHER, Jump, jumps_of
from tests.physics.corpus import case_of

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


def test_a_wave_is_no_jump() -> None:
    """However large, and with the noise of the atoms."""
    assert max(jump.odds for jump in displaced((0.0, 0.0), 0.0, (1, 0), 0.5)) < 25.0
