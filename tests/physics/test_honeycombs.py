"""Honeycombs are measured by their own lattice, whose vectors lead to second neighbours; what only looks so is not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from ase.build import graphene, mx2

from moireloop_analyzer.geometry.moire import moire_corner, moire_vectors, sixty, turned_to
from moireloop_analyzer.twist import TwistEstimate, measure_twist
from tests.helpers import tilings
from tests.helpers.bilayers import Bilayer, Floats, commensurate_twist_deg, rotation, twist_of
from tests.helpers.corpus.layers import turn_of
from tests.helpers.tilings import Tiling, honeycomb, stacked_blocks, stacked_flakes, triangular

GRAPHENE = 2.46


def commensurate(m: int, n: int, constant: float = GRAPHENE) -> tuple[Bilayer, Floats]:
    """A honeycomb on a honeycomb in the cell (m, n), and which sublattice each atom (N,) is of.

    Sites are found by counting whole lattice steps; no angle and no neighbour is used.
    """
    basis = constant * np.array([[1.0, 0.5], [0.0, math.sqrt(3.0) / 2.0]])
    positions, sublattices = [], []
    for (p, q), height in (((n, m), 3.0), ((m, n), 6.35)):
        reach = np.arange(-2 * (p * p + p * q + q * q), 2 * (p * p + p * q + q * q) + 1)
        i, j = (index.ravel() for index in np.meshgrid(reach, reach))
        for sublattice in (0, 1):
            steps = np.column_stack([i, j]) + sublattice / 3.0
            fractions = steps @ np.linalg.inv(np.array([[p, -q], [q, p + q]])).T
            inside = fractions[((fractions > -1e-9) & (fractions < 1 - 1e-9)).all(axis=1)]
            flat = inside @ (basis @ np.array([[n, -m], [m, n + m]])).T
            positions.append(np.column_stack([flat, np.full(len(flat), height)]))
            sublattices.append(np.full(len(flat), sublattice))
    cell = np.zeros((3, 3))
    cell[:2, :2], cell[2, 2] = (basis @ np.array([[n, -m], [m, n + m]])).T, 20.0
    atoms = np.concatenate(positions)
    return Bilayer(atoms, np.where(atoms[:, 2] < 4.0, 1, 2), cell), np.concatenate(sublattices)


@pytest.mark.parametrize(("m", "n"), [(2, 1), (3, 1), (3, 2), (4, 3), (7, 6)])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_graphene_on_graphene_in_its_smallest_cells(m: int, n: int, noise: float, rng: np.random.Generator) -> None:
    """From 14 atoms a layer: the twist, 2.46 angstrom, and the moire wavelength, 6.51 angstrom at 21.787 degrees."""
    bilayer, _ = commensurate(m, n)
    found, twist_deg = twist_of(bilayer.shaken(noise, rng)), commensurate_twist_deg(m, n)
    assert found.twist_deg == pytest.approx(twist_deg, abs=1e-9)
    assert (found.lattice_lower_angstrom, found.lattice_upper_angstrom) == pytest.approx((GRAPHENE, GRAPHENE), abs=1e-9)
    wavelength = GRAPHENE / (2.0 * math.sin(math.radians(twist_deg) / 2.0))
    assert found.moire_angstrom == pytest.approx(wavelength, abs=1e-6)
    assert (m, n) != (2, 1) or wavelength == pytest.approx(6.51, abs=0.005)


def test_the_two_species_of_boron_nitride_are_one_honeycomb(rng: np.random.Generator) -> None:
    """B on one sublattice and N on the other, both lattice types, with noise and 5 % of the atoms missing."""
    bilayer, sublattices = commensurate(7, 6, 2.50)
    kept = rng.random(len(sublattices)) > 0.05
    positions = bilayer.positions + 0.05 * rng.normal(size=bilayer.positions.shape)
    found = measure_twist(
        positions[kept], 5 + 2 * sublattices[kept], bilayer.cell, metal_types=(5, 7), chalcogen_types=()
    )
    assert found.twist_deg == pytest.approx(commensurate_twist_deg(7, 6), abs=1e-9)
    assert found.lattice_lower_angstrom == pytest.approx(2.50, abs=1e-9)
    assert found.stacking is None


@pytest.mark.parametrize("twist_deg", [0.0, 5.0, 15.0, 28.0])
@pytest.mark.parametrize("estimator", ["lattice", "row"])
def test_graphene_on_molybdenum_disulfide(twist_deg: float, estimator: str) -> None:
    """Layers of ASE's making, one a honeycomb and one a triangular lattice, by lattices and by rows of atoms."""
    sheet = graphene(a=GRAPHENE, vacuum=10.0)  # type: ignore[no-untyped-call]
    mos2 = mx2("MoS2", a=3.16, thickness=3.13, vacuum=10.0)  # type: ignore[no-untyped-call]
    positions, types = [], []
    for layer, turn_deg, height in ((sheet, 3.0, 0.0), (mos2, 3.0 + twist_deg, 5.0)):
        big = layer.repeat((30, 30, 1))
        about = big.positions - big.positions.mean(axis=0)
        about[:, :2] = about[:, :2] @ rotation(turn_deg).T
        inside = np.hypot(about[:, 0], about[:, 1]) < 25.0
        positions.append(about[inside] + np.array([0.0, 0.0, height]))
        types.append(big.numbers[inside])
    found = measure_twist(
        np.concatenate(positions), np.concatenate(types), np.diag([99.0, 99.0, 60.0]), (False,) * 3,
        metal_types=(6, 42), chalcogen_types=(16,), estimator=estimator,  # type: ignore[arg-type]
    )  # fmt: skip
    assert found.twist_deg == pytest.approx(twist_deg, abs=1e-6)
    assert (found.lattice_lower_angstrom, found.lattice_upper_angstrom) == pytest.approx((GRAPHENE, 3.16), abs=1e-6)
    assert found.confidence == 1.0
    assert found.stacking is None


def test_lattice_vectors_lead_from_atom_to_atom_thirty_degrees_from_the_bonds() -> None:
    """Each atom inside moved by a vector is an atom; the origin is one; no vector is along a bond."""
    bilayer = stacked_flakes(honeycomb(), honeycomb(), 9.0, turn_deg=7.0)
    found = twist_of(bilayer)
    assert found.vectors_lower is not None
    assert found.origin_lower is not None
    below = bilayer.positions[bilayer.types == 1]
    inner = below[np.hypot(below[:, 0], below[:, 1]) < 20.0]
    for moved in (*(inner + vector for vector in found.vectors_lower), found.origin_lower[None]):
        nearest = np.linalg.norm(moved[:, None, :2] - below[None, :, :2], axis=2).min(axis=1)
        assert nearest.max() < 1e-6
    direction_deg = math.degrees(math.atan2(found.vectors_lower[0][1], found.vectors_lower[0][0]))
    assert (direction_deg - 7.0) % 60.0 == pytest.approx(0.0, abs=1e-6) or (direction_deg - 7.0) % 60.0 > 60 - 1e-6


def test_the_moire_cell_is_that_of_the_honeycombs() -> None:
    """Both lattices come into step over vectors of 6.51 angstrom, and are in step at a corner."""
    found = twist_of(commensurate(2, 1)[0])
    lower, upper = (np.asarray(rows)[:, :2].T for rows in (found.vectors_lower, found.vectors_upper))
    vectors = moire_vectors(lower, upper)
    assert vectors is not None
    assert np.linalg.norm(vectors, axis=0) == pytest.approx([6.5085, 6.5085], abs=1e-3)
    origins = [np.asarray(origin)[:2] for origin in (found.origin_lower, found.origin_upper)]
    corner = moire_corner(lower, origins[0], upper, origins[1], np.zeros(2))
    assert corner is not None
    bases = sixty(lower), turned_to(lower, upper)
    steps = [np.linalg.solve(basis, corner - origin) for basis, origin in zip(bases, origins, strict=True)]
    assert steps[1] - steps[0] == pytest.approx(np.rint(steps[1] - steps[0]), abs=1e-6)


@pytest.mark.parametrize(
    ("layer", "constant"),
    [
        (honeycomb(3.96), 6.859),
        (honeycomb(2.23, 0.45), 3.862),
        (honeycomb(2.6, 1.65), 4.503),
        (tilings.with_ordered_gaps(3.16, ((1, 1), (-1, 2))), 5.473),
        (tilings.doubled(triangular(4.0), 1.5, np.array([2.0, 2.0 / math.sqrt(3.0)])), 4.0),
        (tilings.planes(3, 3.2, 1.2), 3.2),
    ],
    ids=["CrI3", "silicene", "bismuthene", "ordered third of vacancies", "two planes, A and B", "A, B and C"],
)
def test_layers_whose_lattice_is_larger_than_that_of_their_bonds(layer: Tiling, constant: float) -> None:
    """Flat and buckled honeycombs, with noise and vacancies, and planes that only together look denser."""
    for noise, vacancies in ((0.0, 0.0), (0.08, 0.03)):
        found = twist_of(stacked_flakes(layer, layer, 5.0, turn_deg=3.0, noise=noise, vacancies=vacancies, seed=1))
        assert found.twist_deg == pytest.approx(5.0, abs=0.1)
        assert found.lattice_lower_angstrom == pytest.approx(constant, abs=0.005)
        found = twist_of(stacked_blocks(layer, (6, 5), noise=noise, vacancies=vacancies))
        assert found.twist_deg == pytest.approx(0.0, abs=1e-6)
        assert found.lattice_upper_angstrom == pytest.approx(constant, abs=0.001)


@pytest.mark.parametrize("strain", [0.03, 0.08, 0.15, -0.08])
def test_strained_honeycombs_turn_as_their_lattices_do(strain: float) -> None:
    """The rotation of the polar decomposition of the strained lattice vectors, the strain itself, and the constant."""
    matrix = np.array([[1.0 + strain, 0.04], [0.0, 1.0]])
    upper = honeycomb().deformed(rotation(6.0)).deformed(matrix)
    found = twist_of(stacked_flakes(honeycomb(), upper, 0.0))
    assert found.signed_deg == pytest.approx(turn_of(upper.vectors), abs=1e-6)
    assert found.lattice_upper_angstrom == pytest.approx(GRAPHENE * math.sqrt(np.linalg.det(matrix)), rel=1e-3)


@pytest.mark.parametrize("vacancies", [0.1, 0.2, 1.0 / 3.0])
def test_random_vacancies_make_no_honeycomb(vacancies: float) -> None:
    """A triangular lattice keeps its constant and its direction, even without a third of its atoms."""
    for seed in range(6):
        bilayer = stacked_flakes(
            triangular(), triangular(), 7.0, radius=25.0, vacancies=vacancies, noise=0.05, seed=seed
        )
        found = twist_of(bilayer)
        assert found.twist_deg is None or found.twist_deg == pytest.approx(7.0, abs=0.25)
        assert found.lattice_lower_angstrom is None or found.lattice_lower_angstrom == pytest.approx(3.16, abs=0.02)


def test_the_standard_error_of_honeycombs_is_that_of_their_errors() -> None:
    """Over 60 flakes of graphene with 0.05 angstrom of noise and 3 % of their atoms missing."""
    ratios = []
    for seed in range(60):
        bilayer = stacked_flakes(
            honeycomb(), honeycomb(), 4.0, radius=14.0, turn_deg=seed, noise=0.05, vacancies=0.03, seed=seed
        )
        found = twist_of(bilayer)
        assert found.signed_deg is not None
        assert found.sigma_deg is not None
        ratios.append((found.signed_deg - 4.0) / found.sigma_deg)
    assert 0.7 < float(np.sqrt(np.mean(np.square(ratios)))) < 1.3


@pytest.mark.parametrize("radius", [3.0, 4.2, 6.0])
def test_flakes_of_few_rings_are_honeycombs_too(radius: float) -> None:
    """From ten atoms a layer, which are a ring or two; or they are refused, but never measured by their bonds."""
    for seed in range(12):
        found = twist_of(stacked_flakes(honeycomb(), honeycomb(), 11.0, radius=radius, gap=3.35, noise=0.01, seed=seed))
        for constant in (found.lattice_lower_angstrom, found.lattice_upper_angstrom):
            assert constant is None or constant == pytest.approx(GRAPHENE, abs=0.06)


def test_grains_of_graphene_have_the_directions_of_its_lattice(rng: np.random.Generator) -> None:
    """Of two grains the larger has the twist; both are listed by the direction of the honeycomb, not of its bonds."""
    lower = honeycomb().flake(30.0, rng)
    pieces = [honeycomb().deformed(rotation(turn)).flake(30.0, rng) for turn in (4.0, 22.0)]
    upper = np.concatenate([pieces[0][pieces[0][:, 0] > -8.5], pieces[1][pieces[1][:, 0] < -9.5]])
    positions = np.concatenate([lower, upper + np.array([0.0, 0.0, 3.35])])
    types = np.repeat([1, 2], [len(lower), len(upper)])
    found = twist_of(Bilayer(positions, types, np.diag([120.0, 120.0, 60.0]), (False, False, False)))
    assert found.twist_deg == pytest.approx(4.0, abs=0.05)
    directions = [grain.direction_deg for grain in found.grains if grain.layer == "upper"]
    assert directions[:2] == pytest.approx([4.0, 22.0], abs=0.3)


@pytest.mark.parametrize("apart", [2.1, 2.4, 2.8, 3.1])
@pytest.mark.parametrize("layer", [triangular(4.0), honeycomb(2.9)], ids=["InSe", "AA honeycombs"])
def test_two_planes_of_one_layer_are_not_two_layers(apart: float, layer: Tiling, rng: np.random.Generator) -> None:
    """Planes nearer than layers ever are: alone they have no twist, and with another layer they are named."""
    planes = tilings.doubled(layer, apart)
    alone = planes.flake(25.0, rng)
    found = twist_of(
        Bilayer(alone, np.ones(len(alone), dtype=np.int64), np.diag([99.0, 99.0, 60.0]), (False, False, False))
    )
    assert found.twist_deg is None
    whole = f"the lattice atoms form one layer with 2 planes of atoms, {apart:.1f} angstrom apart"
    assert found.reason == f"no clear gap between layers: {whole}"
    for lower, upper, name in ((planes, triangular(), "lower"), (triangular(), planes, "upper")):
        found = twist_of(stacked_flakes(lower, upper, 8.0, radius=25.0))
        assert found.twist_deg is None
        assert found.reason is not None
        assert found.reason.startswith(f"{name} layer: it has 2 planes of atoms, {apart:.1f} angstrom apart")


@pytest.mark.parametrize("long", [4.1, 5.6, 6.7])
def test_a_centred_rectangular_lattice_near_to_triangular_is_a_strained_one(long: float) -> None:
    """It is one and the same: strained by what layers bear, it has its twist, and the estimate says the strain."""
    found = twist_of(stacked_flakes(triangular(), tilings.centred_rectangular(3.0, long), 6.0))
    assert found.twist_deg == pytest.approx(6.0, abs=0.05)
    assert found.strain_upper is not None
    most, least = np.linalg.eigvalsh(found.strain_upper + np.eye(2))[::-1]
    assert most / least == pytest.approx(max(long / (3.0 * tilings.ROOT_3), 3.0 * tilings.ROOT_3 / long), rel=2e-3)


def refused(layer: Tiling) -> list[TwistEstimate]:
    """What is found where the lower, the upper, or both layers are of this lattice."""
    good = triangular()
    return [twist_of(stacked_flakes(*pair, 6.0)) for pair in ((layer, good), (good, layer), (layer, layer))]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (tilings.kagome, "its atoms form a kagome lattice; a triangular lattice or a honeycomb is expected"),
        (tilings.square, "its atoms form a square lattice; a triangular lattice or a honeycomb is expected"),
        (lambda: tilings.rectangular(3.0, 1.5), "its atoms form a rectangular lattice;"),
        (
            lambda: tilings.centred_rectangular(3.0, 7.2),
            "its atoms form a centred rectangular lattice of 3.00 by 7.20 angstrom;",
        ),
        (
            lambda: tilings.centred_rectangular(3.0, 3.7),
            "its atoms form a centred rectangular lattice of 3.00 by 3.70 angstrom;",
        ),
        (tilings.snub_square, "its atoms form a square lattice with 4 atoms in its cell;"),
        (lambda: tilings.dimerised(3.18, 5.72, 0.295), "its rows are drawn together in pairs, as in the 1T' phase"),
        (
            lambda: tilings.with_ordered_gaps(3.16, ((2, 1), (-1, 3))),
            "of the sites of one are empty, in a regular order",
        ),
    ],
    ids=["kagome", "square", "rectangular", "long", "wide", "snub square", "1T'", "a seventh"],
)
def test_other_lattices_are_refused_by_name(make: Callable[[], Tiling], words: str) -> None:
    """In either layer or in both, the layer and its lattice are named."""
    for found, layer in zip(refused(make()), ("lower", "upper", "lower"), strict=True):
        assert found.twist_deg is None
        assert found.reason is not None
        assert found.reason.startswith(f"{layer} layer: ")
        assert words in found.reason
