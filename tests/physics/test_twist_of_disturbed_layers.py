"""Noise, vacancies, ripples, seams and grains: the twist stays right, and its error is stated."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.bilayers import (
    BASIS,
    SPACING,
    Bilayer,
    commensurate,
    commensurate_twist_deg,
    crystal,
    rotation,
    square,
    stacked,
    twist_of,
)
from tests.physics.structure_factor import diffraction_direction_deg


@pytest.mark.parametrize("twist", [2.0, 8.2, 17.0, 27.5])
def test_noisy_layers_with_vacancies_agree_with_their_structure_factor(twist: float, rng: np.random.Generator) -> None:
    """Peak directions of |S(q)|^2, found by brute force, differ by the twist that the lattice fit finds."""
    bilayer = square(twist, turn_deg=7.0, length=45.0).thinned(0.05, rng).shaken(0.1, rng)
    peaks = [diffraction_direction_deg(bilayer.positions[bilayer.types == kind, :2], SPACING) for kind in (1, 2)]
    signed = twist_of(bilayer).signed_deg
    assert signed is not None
    assert (peaks[1] - peaks[0] - signed + 30.0) % 60.0 - 30.0 == pytest.approx(0.0, abs=0.1)


def test_thermal_noise_in_a_closed_cell_is_averaged_away(rng: np.random.Generator) -> None:
    """Layers that close over the boundary keep the direction that the cell gives them, up to 0.3 angstrom."""
    for noise in (0.02, 0.1, 0.2, 0.3):
        estimate = twist_of(commensurate(3, 2, repeats=3).shaken(noise, rng))
        assert estimate.twist_deg == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-6), noise


@pytest.mark.parametrize("noise", [0.05, 0.15])
def test_the_standard_error_is_that_of_repeated_measurements(noise: float, rng: np.random.Generator) -> None:
    """Over 80 flakes with known independent noise, errors over sigma scatter by about one."""
    flake = square(8.2, length=35.0)
    errors, sigmas = [], []
    for _ in range(80):
        estimate = twist_of(flake.shaken(noise, rng))
        assert estimate.signed_deg is not None
        assert estimate.sigma_deg is not None
        errors.append(estimate.signed_deg - 8.2)
        sigmas.append(estimate.sigma_deg)
    spread = math.sqrt(np.mean(np.square(np.divide(errors, sigmas))))
    assert 0.7 < spread < 1.2
    assert abs(np.mean(errors)) < 3.0 * np.mean(sigmas) / math.sqrt(len(errors))


def test_noise_that_neighbours_share_raises_the_standard_error(rng: np.random.Generator) -> None:
    """Displacements that vary slowly over the layer deceive a fit more than independent ones of the same size."""
    flake = square(8.2, length=60.0)
    waves = rng.normal(size=(12, 2)) * 0.15
    phases = rng.uniform(0, 2 * math.pi, (2, 12))
    slow = np.cos(flake.positions[:, :2] @ waves.T + phases[flake.types - 1]) @ rng.normal(size=(12, 2))
    slow *= 0.1 / slow.std()
    together = replace(flake, positions=flake.positions + np.column_stack([slow, np.zeros(len(slow))]))
    alone, shared = twist_of(flake.shaken(0.1, rng)), twist_of(together)
    assert alone.sigma_deg is not None
    assert shared.sigma_deg is not None
    assert shared.sigma_deg > 3.0 * alone.sigma_deg


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
def test_vacancies_do_no_harm(share: float, rng: np.random.Generator) -> None:
    """Up to a tenth of the atoms missing: right to machine precision without noise."""
    bilayer = commensurate(3, 2, repeats=3).thinned(share, rng)
    assert twist_of(bilayer).twist_deg == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-9)


@pytest.mark.parametrize("twist", np.linspace(0.5, 29.5, 9))
def test_a_periodic_cell_that_the_lattices_do_not_close_in_has_seams(twist: float, rng: np.random.Generator) -> None:
    """Seams at the boundary, wherever the boundary is, shift the twist by less than 0.15 degrees."""
    bilayer = square(twist, turn_deg=11.0, periodic=True, seed=3).moved(np.array([17.0, 29.0, 0.0])).shaken(0.05, rng)
    assert twist_of(bilayer).twist_deg == pytest.approx(twist, abs=0.15)


@pytest.mark.parametrize("height", [1.0, 2.0, 3.5])
def test_rippled_layers_are_separated(height: float) -> None:
    """Both layers ripple together, by more than the gap between them: the layers and the twist are found."""
    bilayer = commensurate(3, 2, repeats=3)
    positions = bilayer.positions.copy()
    phase = 2.0 * math.pi * (positions @ np.linalg.inv(bilayer.cell))[:, 0]
    positions[:, 2] += height * np.sin(phase)
    estimate = twist_of(Bilayer(positions, bilayer.types, bilayer.cell))
    assert np.array_equal(bilayer.types[estimate.lower_atoms], np.full(int((bilayer.types == 1).sum()), 1))
    assert estimate.twist_deg == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-9)


def test_stray_atoms_between_and_above_the_layers_are_left_out(rng: np.random.Generator) -> None:
    """A few atoms half way between the layers and far above them belong to neither."""
    bilayer = commensurate(3, 2, repeats=3)
    stray = np.column_stack([rng.uniform(0, 30, (8, 2)), [7.1, 7.2, 7.0, 7.3, 15.0, 15.5, 16.0, 17.0]])
    mixed = Bilayer(np.concatenate([bilayer.positions, stray]), np.append(bilayer.types, np.full(8, 1)), bilayer.cell)
    estimate = twist_of(mixed)
    assert estimate.twist_deg == pytest.approx(commensurate_twist_deg(3, 2), abs=1e-9)
    assert len(estimate.lower_atoms) + len(estimate.upper_atoms) == len(bilayer.positions)


def test_the_twist_of_a_layer_with_a_second_grain_is_that_of_its_majority(rng: np.random.Generator) -> None:
    """Four fifths of the upper layer at 8 degrees, the rest at 20: 8 degrees, and the grain that it is measured of."""
    length = 80.0
    most = crystal(rotation(8.0) @ BASIS, length, rng.random(2))
    rest = crystal(rotation(20.0) @ BASIS, length, rng.random(2))
    upper = np.concatenate([most[most[:, 0] < 0.8 * length], rest[rest[:, 0] > 0.8 * length + 1.0]])
    bilayer = stacked(crystal(BASIS, length, rng.random(2)), upper, length, periodic=True).shaken(0.05, rng)
    estimate = twist_of(bilayer)
    assert estimate.twist_deg == pytest.approx(8.0, abs=0.1)
    assert 0.75 < len(estimate.upper_grain) / len(estimate.upper_atoms) < 0.9


def test_strain_and_shear_and_noise_together(rng: np.random.Generator) -> None:
    """A cell as growth runs have it, 4 % strained, 5.5 % sheared and hot."""
    matrix = np.eye(3)
    matrix[:2, :2] = 1.04 * np.array([[1.0, 0.055], [0.0, 1.0]])
    bilayer = commensurate(5, 4).deformed(matrix).thinned(0.02, rng).shaken(0.15, rng)
    assert twist_of(bilayer).twist_deg == pytest.approx(commensurate_twist_deg(5, 4), abs=1e-6)


@pytest.mark.parametrize(
    "cells", [((1, 0), (0, 1)), ((1, 0), (1, 1)), ((1, 0), (-1, 1)), ((1, -1), (0, 1)), ((1, 0), (2, 1))]
)
def test_a_seam_is_found_for_any_choice_of_cell_vectors(cells: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """Layers with seams along the sides of a square, the square given by other vectors that span the same lattice."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        bilayer = square(3.0 + 2.5 * seed, length=50.0, periodic=True, seed=seed).shaken(0.1, rng)
        cell = bilayer.cell.copy()
        cell[:2] = np.array(cells) @ bilayer.cell[:2]
        moved = replace(bilayer, cell=cell).moved(np.append(rng.uniform(0, 50, 2), 0.0))
        estimate = twist_of(moved)
        assert estimate.signed_deg == pytest.approx(3.0 + 2.5 * seed, abs=0.25), (seed, estimate.sigma_deg)
