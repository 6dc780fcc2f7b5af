"""Rods and moire satellites beside other people's: diffsims, and distortions that were published."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np
import pytest
from periodictable import elements
from scipy.optimize import brentq

from moireloop_analyzer.scattering.atoms import Atoms
from moireloop_analyzer.scattering.debye_waller import Heat, debye_displacement
from moireloop_analyzer.scattering.rods import Rods, rods_along, rods_at
from tests.helpers.bilayers import Floats
from tests.physics.diffsims_reference import DEBYE_WALLER, FILE, HEIGHT, structures

COLD: Final = Heat(0.0, debye_temperature_k={"Mo": 1e6, "S": 1e6})

WARM_K: Final = 300.0


@pytest.fixture(scope="module")
def reference() -> Any:
    return json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def made() -> dict[str, Atoms]:
    return structures()


def intensities(rods: Rods, indices: list[list[int]], atoms: Atoms) -> Floats:
    """|F|^2 of the cell, in square angstrom, at some rods."""
    places = {tuple(one): place for place, one in enumerate(rods.indices.tolist())}
    return np.array([rods.intensity[places[tuple(one)]] for one in indices]) * len(atoms.points)


@pytest.mark.parametrize("name", ["layer", "bilayer"])
@pytest.mark.parametrize(
    ("factors", "tolerance"), [("international_tables", 0.015), ("lobato", 0.025)], ids=["tables", "lobato"]
)
def test_rods_are_those_of_diffsims(
    reference: Any, made: dict[str, Atoms], name: str, factors: str, tolerance: float
) -> None:
    """Of one MoS2 layer and of a twisted, distorted bilayer with its satellites, at four heights along the rods: as
    bright as with diffsims' own electron factors, not only in proportion.
    """
    atoms = made[name]
    for level, seen in reference[name].items():
        normal = 2.0 * math.pi * int(level) / HEIGHT
        rods = rods_at(atoms, 5.2, normal, "electron", COLD)
        theirs = np.array(seen[factors])
        assert intensities(rods, seen["indices"], atoms) == pytest.approx(
            theirs, rel=tolerance, abs=1e-4 * theirs.max()
        )
        along = rods_along(atoms, np.array(seen["indices"]), np.array([normal]), "electron", COLD)
        assert along.intensity[0] * len(atoms.points) == pytest.approx(theirs, rel=tolerance, abs=1e-4 * theirs.max())


def test_satellites_are_among_the_rods_compared(reference: Any, made: dict[str, Atoms]) -> None:
    """24 of the 60 brightest rods are no spots of either layer; the brightest of them is 0.4 as bright as any spot."""
    seen = reference["bilayer"]["0"]
    rods = rods_at(made["bilayer"], 5.2, 0.0, "electron", COLD)
    undistorted = {tuple(one) for one in rods.indices[_spots(rods)].tolist()}
    satellites = [number for number, one in enumerate(seen["indices"]) if tuple(one) not in undistorted]
    assert (len(seen["indices"]), len(satellites)) == (60, 24)
    assert max(seen["lobato"][number] for number in satellites) == pytest.approx(0.40 * max(seen["lobato"]), rel=0.02)


def _spots(rods: Rods) -> Any:
    """Rods at spots of either layer, 19 cells to a side of 13.17 degrees: q * a / 2 pi is whole in either lattice."""
    from tests.helpers.mx2 import lattices_of

    turned = rods.vectors @ _turn().T
    whole = [np.abs(turned @ basis / (2.0 * math.pi) - np.round(turned @ basis / (2.0 * math.pi))).max(axis=1) < 1e-3
             for basis in lattices_of(3, 2)]  # fmt: skip
    return whole[0] | whole[1]


def _turn() -> Floats:
    """From the axes of `Atoms`, with the first cell vector along x, to those of the helper's lattices."""
    from tests.helpers.mx2 import mx2

    first = mx2(3, 2).cell[0, :2]
    c, s = first / np.linalg.norm(first)
    return np.array([[c, -s], [s, c]])


def test_heat_is_that_of_diffsims(reference: Any, made: dict[str, Atoms]) -> None:
    """B of Mo 0.5 and of S 0.6 square angstrom: the mean square displacements are B / 8 pi^2."""
    debye = {
        symbol: brentq(_off(symbol, value / (8.0 * math.pi**2)), 50.0, 3000.0) for symbol, value in DEBYE_WALLER.items()
    }
    heat = Heat(WARM_K, debye_temperature_k=debye)
    for name, atoms in made.items():
        seen = reference[name]["0"]
        theirs = np.array(seen["warm"])
        ours = intensities(rods_at(atoms, 5.2, 0.0, "electron", heat), seen["indices"], atoms)
        assert ours == pytest.approx(theirs, rel=0.025, abs=1e-4 * theirs.max())


def _off(symbol: str, wanted: float) -> Any:
    return lambda debye_k: debye_displacement(elements.symbol(symbol).mass, WARM_K, debye_k) - wanted


def test_the_largest_distortion_is_that_of_domains() -> None:
    """22.6 pm in each layer of twisted graphene (Sung et al. 2022), where all atoms have moved into AB or BA domains.

    By the stacking alone: each layer moves half of the way to the nearest AB or BA; the amplitude is the first Fourier
    coefficient along the wave, which the moire pattern turns by 90 degrees.
    """
    basis = 2.46 * np.array([[1.0, 0.5], [0.0, math.sqrt(3.0) / 2.0]])
    cells = np.stack(np.meshgrid(*[(np.arange(300) + 0.5) / 300] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    stacking = cells @ basis.T
    domains = np.array([(i + part, j + part) for i in (-1, 0, 1) for j in (-1, 0, 1) for part in (1 / 3, 2 / 3)])
    away = stacking[:, None] - domains @ basis.T
    nearest = np.linalg.norm(away, axis=-1).argmin(axis=1)
    moved = -0.5 * away[np.arange(len(cells)), nearest]
    wave = 2.0 * math.pi * np.linalg.inv(basis)[0]
    along = moved @ wave / np.linalg.norm(wave)
    assert 2.0 * np.mean(along * np.sin(stacking @ wave)) == pytest.approx(0.226, abs=5e-4)
