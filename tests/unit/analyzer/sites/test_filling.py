"""What the empty sites of a lattice are taken for: an order, or vacancies at random."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.sites.filling import Filling, filling_of
from moireloop_analyzer.sites.occupancy import SiteEvidence

SIZE = 6
LAPS = np.diag([float(SIZE)] * 2)
SITES = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0), indexing="ij"), axis=-1).reshape(-1, 2)
KAGOME = SITES[(SITES % 2).any(axis=1)]
HONEYCOMB = SITES[(SITES[:, 0] - SITES[:, 1]) % 3 != 0]
GAPS_OF_ONE_CLASS = (1558, 1680, 2265, 3622, 4131, 4221, 4429)
"""Draws, of 5000, all of whose gaps (empty sites with five filled neighbours) are of one of the four classes."""


def filling(indices: Floats) -> Filling:
    """Of a cell of 6 x 6 sites, flat and undisturbed, whose atoms have four or five bonds."""
    return filling_of(indices, LAPS, (True, True), SiteEvidence(len(indices), 0.1, 0.3, (0.0,) * 5), 1.0)


def drawn(sites: Floats, empty: int, seed: int) -> Floats:
    """The sites without `empty` of them, drawn at random."""
    return sites[np.sort(np.random.default_rng(seed).permutation(len(sites))[: len(sites) - empty])]


@pytest.mark.parametrize("seed", [*GAPS_OF_ONE_CLASS, *range(100)])
def test_third_of_the_sites_empty_at_random_is_not_a_kagome_lattice(seed: int) -> None:
    """13 of 36: in the other classes there are as many empty sites, though these are no gaps."""
    assert filling(drawn(SITES, 13, seed)) == Filling()


@pytest.mark.parametrize("vacancies", range(4))
def test_kagome_lattice_is_recognized_with_its_vacancies(vacancies: int) -> None:
    """Up to 3 of 27 atoms missing, whichever they are."""
    for seed in range(50):
        assert "kagome" in str(filling(drawn(KAGOME, vacancies, seed)).why)


@pytest.mark.parametrize("vacancies", range(4))
def test_honeycomb_is_recognized_with_its_vacancies(vacancies: int) -> None:
    """Up to 3 of 24 atoms missing, whichever they are."""
    assert all(filling(drawn(HONEYCOMB, vacancies, seed)).larger for seed in range(50))
