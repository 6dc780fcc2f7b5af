"""Frames without a twist: disordered layers, missing layers, other lattices, broken numbers and cells."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from tests.helpers.bilayers import Floats, rotation
from tests.helpers.corpus.build import Case, undirected
from tests.helpers.corpus.layers import APART_ANGSTROM, MELT_ANGSTROM, MOLTEN, Flags, Layer
from tests.helpers.corpus.others import OTHERS, other
from tests.helpers.corpus.plan import Plan, Rng, start

Scramble = Callable[[Floats, Rng], Floats]
Kind = Callable[[Rng, Plan], Case]
FEWEST_OF_A_LAYER = 7
GRAINS = 9


def refusal_cases(count: int, seed: int = 0) -> Iterator[Case]:
    """So many frames without a twist, one kind after the other; their `signed_deg` is NaN."""
    names = list(REFUSALS)
    for place in range(count):
        yield refusal_of(names[place % len(names)], 1_000_000 * seed + place // len(names))


def refusal_of(family: str, number: int) -> Case:
    """The frame of this number; every other one is small, where atoms stand in order by chance most easily."""
    rng = np.random.default_rng([zlib.crc32(family.encode()), number])
    plan = start(rng)
    small = int(np.exp(rng.uniform(np.log(25), np.log(200))))
    atoms = small if rng.random() < 0.5 else plan.atoms
    plan = replace(plan, atoms=atoms, noise=float(rng.uniform(0.0, 0.1)), most_clamped=0.05)
    return replace(REFUSALS[family](rng, plan), family=family, number=number)


def scrambled(which: tuple[int, ...], scramble: Scramble) -> Kind:
    """A kind of frame whose layers of these numbers (lower 0, upper 1) have their metal atoms scrambled."""

    def change(layer: Layer, rng: Rng) -> Layer:
        points = layer.points.copy()
        points[:, :2] += 2.0 * rng.normal(size=(len(points), 2))
        points[layer.metal, :2] = scramble(layer.points[layer.metal, :2], rng)
        points[:, 2] += rng.normal(0.0, 0.3, len(points))
        return Layer(points, layer.metal, np.full(len(points), MOLTEN))

    def kind(rng: Rng, plan: Plan) -> Case:
        return undirected(plan, rng, lambda layer, number: change(layer, rng) if number in which else layer)

    return kind


def molten(points: Floats, rng: Rng) -> Floats:
    """Every atom displaced by half a spacing in a random direction, and pushed from its neighbours."""
    return _apart(points + MELT_ANGSTROM * rng.normal(size=points.shape), APART_ANGSTROM)


def glass(points: Floats, rng: Rng) -> Floats:
    """Random places, hardly two of them closer than 2.6 angstrom: its first neighbours are as far as a crystal's."""
    return _apart(points + 5.0 * rng.normal(size=points.shape), 2.6)


def gas(points: Floats, rng: Rng) -> Floats:
    """Random places without any distance kept."""
    places: Floats = points + 8.0 * rng.normal(size=points.shape)
    return places


def powder(points: Floats, rng: Rng) -> Floats:
    """Nine grains, turned against each other by 5.7 degrees or more, none of them with a quarter of the atoms."""
    while True:
        middles = points[rng.choice(len(points), GRAINS, replace=False)]
        nearest = np.linalg.norm(points[:, None] - middles, axis=2).argmin(axis=1)
        if np.bincount(nearest).max() < 0.25 * len(points):
            break
    turns = rng.permutation(GRAINS) * 60.0 / GRAINS + rng.uniform(-0.5, 0.5, GRAINS)
    places = points.copy()
    for grain, turn in enumerate(turns):
        here = nearest == grain
        middle = points[here].mean(axis=0)
        places[here] = (points[here] - middle) @ rotation(turn).T + middle
    return _apart(places, APART_ANGSTROM)


def _apart(points: Floats, closest: float) -> Floats:
    points = points.copy()
    for _ in range(25):
        pairs = cKDTree(points).query_pairs(closest, output_type="ndarray")
        away = points[pairs[:, 1]] - points[pairs[:, 0]]
        length = np.linalg.norm(away, axis=1, keepdims=True) + 1e-9
        push = 0.35 * (closest - length) * away / length
        np.add.at(points, pairs[:, 1], push)
        np.add.at(points, pairs[:, 0], -push)
    return points


def _kept(case: Case, kept: Flags) -> Case:
    bilayer = replace(case.bilayer, positions=case.bilayer.positions[kept], types=case.bilayer.types[kept])
    return replace(case, bilayer=bilayer, upper=case.upper[kept], majority=case.majority[kept])


def _one_layer(rng: Rng, plan: Plan) -> Case:
    case = undirected(plan, rng)
    return _kept(case, case.upper == (rng.random() < 0.5))


def _no_atoms(rng: Rng, plan: Plan) -> Case:
    case = undirected(plan, rng)
    return _kept(case, np.zeros(len(case.upper), dtype=bool))


def _few_atoms(rng: Rng, plan: Plan) -> Case:
    """Fewer than seven neighbouring lattice atoms in one layer or in both."""
    case = undirected(plan, rng)
    kept = np.ones(len(case.upper), dtype=bool)
    for upper in rng.permutation([False, True])[: rng.integers(1, 3)]:
        atoms = np.flatnonzero((case.upper == upper) & np.isin(case.bilayer.types, case.metal_types))
        middle = case.bilayer.positions[atoms].mean(axis=0)
        near = atoms[np.linalg.norm(case.bilayer.positions[atoms] - middle, axis=1).argsort()]
        kept[case.upper == upper] = False
        kept[near[: rng.integers(0, FEWEST_OF_A_LAYER)]] = True
    return _kept(case, kept)


def _broken_positions(rng: Rng, plan: Plan) -> Case:
    case = undirected(plan, rng)
    positions = case.bilayer.positions.copy()
    rows = rng.integers(0, len(positions), rng.integers(1, 20))
    positions[rows, rng.integers(0, 3, len(rows))] = rng.choice([np.nan, np.inf, -np.inf])
    return replace(case, bilayer=replace(case.bilayer, positions=positions))


def _degenerate_cell(rng: Rng, plan: Plan) -> Case:
    case = undirected(plan, rng)
    cell = case.bilayer.cell.copy()
    way = rng.integers(5)
    if way == 0:
        cell[1] = cell[0] * rng.uniform(-2, 2)
    elif way == 1:
        cell[rng.integers(2)] = 0.0
    elif way == 2:
        cell[rng.integers(2), rng.integers(3)] = np.nan
    elif way == 3:
        cell[:] = 0.0
    else:
        cell[:2] *= 1e-6
    return replace(case, bilayer=replace(case.bilayer, cell=cell, pbc=(True, True, case.bilayer.pbc[2])))


REFUSALS: dict[str, Kind] = {
    **{
        f"{scramble.__name__}-{name}": scrambled(which, scramble)
        for scramble in (molten, glass, gas, powder)
        for name, which in (("lower", (0,)), ("upper", (1,)), ("both", (0, 1)))
    },
    "one-layer": _one_layer,
    "no-atoms": _no_atoms,
    "few-atoms": _few_atoms,
    "broken-positions": _broken_positions,
    "degenerate-cell": _degenerate_cell,
    **{name: other(draw) for name, (draw, _) in OTHERS.items()},
}
