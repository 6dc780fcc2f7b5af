"""What is wanted of one bilayer of the corpus, and the disturbances that a family adds to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tests.helpers.bilayers import SPACING

Rng = np.random.Generator


@dataclass(frozen=True)
class Plan:
    """Parameters of one bilayer; lengths in angstrom, pairs are (lower layer, upper layer).

    `twist_deg` is what the upper lattice is turned by before it is clamped to a cell in which it closes. A `boundary`
    that is closed repeats both lattices, strained by no more than `most_clamped`; one with a seam repeats a cell that
    they do not close in; a flake ends; an island ends within a cell that repeats. `strain` and `shear` are of the whole
    cell, `upper_strain` and `upper_shear` of the upper layer alone. `relaxed` is how far neighbours are drawn to a
    missing atom. `rows` asks for a closed cell of exactly this many steps along the vectors of the lower lattice.
    `honeycombs` says which layers are honeycombs, with two atoms a cell, and `two_species` that types are mixed.
    """

    atoms: int
    twist_deg: float
    turn_deg: float
    chalcogens: bool
    antiparallel: bool
    boundary: Literal["closed", "seam", "flake", "island"] = "closed"
    spacings: tuple[float, float] = (SPACING, SPACING)
    noise: float = 0.0
    waves: float = 0.0
    vacancies: float = 0.0
    relaxed: float = 0.0
    antisites: float = 0.0
    molten: tuple[float, float] = (0.0, 0.0)
    grains: tuple[int, int] = (1, 1)
    minority: float = 0.0
    misorientations_deg: tuple[float, ...] = ()
    gap: float = 0.0
    overlap: float = 0.6
    amplitude: float = 0.0
    wavelength: float = 40.0
    strain: tuple[float, float] = (0.0, 0.0)
    shear: float = 0.0
    upper_strain: tuple[float, float] = (0.0, 0.0)
    upper_shear: float = 0.0
    most_clamped: float = 0.02
    small: bool = False
    rows: tuple[int, int] | None = None
    stacked_periodically: bool = False
    turned_in_space: bool = False
    left_handed: bool = False
    unwrapped: bool = False
    honeycombs: tuple[bool, bool] = (False, False)
    two_species: bool = False


Disturbance = Callable[[Plan, Rng], Plan]


def start(rng: Rng) -> Plan:
    """A bilayer without disturbance, of 200 to 900 metal atoms a layer; three in five close over their boundary."""
    boundary = rng.random()
    return Plan(
        atoms=int(np.exp(rng.uniform(np.log(200), np.log(900)))),
        twist_deg=float(rng.uniform(-30, 30)),
        turn_deg=float(rng.uniform(0, 360)),
        chalcogens=bool(rng.random() < 0.5),
        antiparallel=bool(rng.random() < 0.5),
        boundary="closed" if boundary < 0.6 else "flake" if boundary < 0.8 else "seam",
    )


def perfect(plan: Plan, rng: Rng) -> Plan:
    """Nothing."""
    return plan


def small(plan: Plan, rng: Rng) -> Plan:
    """Closed cells of 7 to 120 metal atoms a layer, with as little noise as leaves them a direction."""
    atoms = int(np.exp(rng.uniform(np.log(7), np.log(120))))
    return replace(plan, boundary="closed", atoms=atoms, small=True, most_clamped=0.05)


def large(plan: Plan, rng: Rng) -> Plan:
    """10 000 to 100 000 atoms in all."""
    wanted = np.exp(rng.uniform(np.log(10_000), np.log(100_000)))
    return replace(plan, atoms=int(wanted / (6 if plan.chalcogens else 2)))


def noise(plan: Plan, rng: Rng) -> Plan:
    """Independent normal noise of 0.02 to 0.2 angstrom."""
    return replace(plan, noise=float(rng.uniform(0.02, 0.2)))


def warm(plan: Plan, rng: Rng) -> Plan:
    """Some noise, or none."""
    return replace(plan, noise=max(plan.noise, float(rng.uniform(0.0, 0.1)) if rng.random() < 0.7 else 0.0))


def phonons(plan: Plan, rng: Rng) -> Plan:
    """Noise that neighbours share, of long waves, 0.02 to 0.2 angstrom in closed layers, and less in flakes."""
    most = 0.2 if plan.boundary == "closed" else 0.05
    return replace(plan, waves=float(rng.uniform(0.1 * most, most)))


def vacancies(plan: Plan, rng: Rng) -> Plan:
    """Up to a tenth of all atoms missing."""
    return replace(plan, vacancies=float(rng.uniform(0.0, 0.1)))


def relaxed(plan: Plan, rng: Rng) -> Plan:
    """Up to a tenth of all atoms missing, and the others drawn to or from the gaps by up to 0.35 angstrom.

    Half of them are as small as the cells in which growth is simulated, where a few gaps strain all there is.
    """
    small = int(rng.integers(36, 150))
    return replace(
        vacancies(plan, rng),
        relaxed=float(rng.uniform(-0.35, 0.35)),
        atoms=small if plan.boundary == "closed" and rng.random() < 0.7 else plan.atoms,
    )


def antisites(plan: Plan, rng: Rng) -> Plan:
    """Up to 3 % of the atoms with the wrong type."""
    return replace(plan, antisites=float(rng.uniform(0.0, 0.03)))


def amorphous(plan: Plan, rng: Rng) -> Plan:
    """A patch of 5 to 35 % of one layer or of both molten."""
    shares = rng.uniform(0.05, 0.35, 2) * [(1, 0), (0, 1), (1, 1)][rng.integers(3)]
    return replace(plan, molten=(float(shares[0]), float(shares[1])))


def seams(plan: Plan, rng: Rng) -> Plan:
    """A periodic cell in which neither layer closes, with gaps to 1.5 angstrom or overlaps at the boundary."""
    return replace(
        plan, boundary="seam", gap=float(rng.choice([0.0, rng.uniform(0, 1.5)])), overlap=float(rng.uniform(0.3, 0.85))
    )


def ripples(plan: Plan, rng: Rng) -> Plan:
    """Both layers bent by 0.2 to 2 angstrom with wavelengths of 25 to 60."""
    return replace(plan, amplitude=float(rng.uniform(0.2, 2.0)), wavelength=float(rng.uniform(25, 60)))


def buckled(plan: Plan, rng: Rng) -> Plan:
    """Both layers bent by so much, 3 to 4.5 angstrom, that no height parts them."""
    return replace(
        plan, amplitude=float(rng.uniform(3.0, 4.5)), wavelength=float(rng.uniform(55, 80)), atoms=max(plan.atoms, 600)
    )


def wrapped(plan: Plan, rng: Rng) -> Plan:
    """The cell repeats along c too, upright or tilted, and the layers lie anywhere along it."""
    return replace(plan, stacked_periodically=True)


def hetero(plan: Plan, rng: Rng) -> Plan:
    """Two materials, with lattice constants that differ by up to 13 %."""
    pairs = [(3.16, 3.30), (3.16, 3.56), (3.16, 3.28), (3.32, 3.16), (3.56, 3.30), (3.16, 3.18)]
    return replace(plan, spacings=pairs[rng.integers(len(pairs))])


def strained(plan: Plan, rng: Rng) -> Plan:
    """Strain to 5 % and shear to 6 % of the whole cell."""
    e = rng.uniform(-0.05, 0.05, 2)
    return replace(plan, strain=(float(e[0]), float(e[1])), shear=float(rng.uniform(-0.06, 0.06)))


def upper_strained(plan: Plan, rng: Rng) -> Plan:
    """Strain to 5 % and shear to 6 % of the upper layer alone."""
    e = rng.uniform(-0.05, 0.05, 2)
    return replace(plan, upper_strain=(float(e[0]), float(e[1])), upper_shear=float(rng.uniform(-0.06, 0.06)))


def turned(plan: Plan, rng: Rng) -> Plan:
    """Any orientation in space, cells of either hand, atoms in any image."""
    hand, wraps = rng.random(2)
    return replace(plan, turned_in_space=True, left_handed=bool(hand < 0.5), unwrapped=bool(wraps < 0.5))


def flake(plan: Plan, rng: Rng) -> Plan:
    """No periodicity."""
    return replace(plan, boundary="flake")


def island(plan: Plan, rng: Rng) -> Plan:
    """A flake with vacuum around it in a periodic cell."""
    return replace(plan, boundary="island")


def bicrystal(plan: Plan, rng: Rng) -> Plan:
    """A second grain, of 15 to 45 %, in one layer or in both, turned by 4 to 30 degrees."""
    return _with_grains(plan, 2, rng)


def polycrystal(plan: Plan, rng: Rng) -> Plan:
    """Three to five grains in one layer or in both, one of them with 55 to 85 %."""
    return _with_grains(plan, int(rng.integers(3, 6)), rng)


def _with_grains(plan: Plan, count: int, rng: Rng) -> Plan:
    grains = [(count, 1), (1, count), (count, count)][rng.integers(3)]
    turns = rng.uniform(4.0, 30.0, count - 1) * rng.choice([-1.0, 1.0], count - 1)
    return replace(
        plan,
        grains=grains,
        minority=float(rng.uniform(0.15, 0.45)),
        misorientations_deg=tuple(float(turn) for turn in turns),
        atoms=max(plan.atoms, 350),
    )


def near_folds(plan: Plan, rng: Rng) -> Plan:
    """Twists within half a degree of 0 or 30, where the sign and the fold are decided."""
    near = float(rng.choice([0.0, 30.0]) + rng.uniform(-0.5, 0.5))
    return replace(plan, twist_deg=near, boundary="flake" if rng.random() < 0.5 else "seam")


GRAPHENE, NITRIDE, IODIDE = 2.46, 2.50, 6.87
"""Lattice constants of graphene, hBN and the Cr of CrI3."""


def _honeycomb(plan: Plan, spacings: tuple[float, float], honeycombs: tuple[bool, bool], rng: Rng) -> Plan:
    """Layers of which some are honeycombs, of beads, with noise and vacancies to 5 % in half of them each."""
    bond = min(spacing / (3**0.5 if has else 1.0) for spacing, has in zip(spacings, honeycombs, strict=True))
    return replace(
        plan,
        chalcogens=False,
        spacings=spacings,
        honeycombs=honeycombs,
        two_species=all(honeycombs) and bool(rng.random() < 0.5),
        noise=float(rng.uniform(0.0, 0.045)) * bond if rng.random() < 0.5 else 0.0,
        vacancies=float(rng.uniform(0.0, 0.05)) if rng.random() < 0.5 else 0.0,
        most_clamped=0.03,
    )


def honeycomb(plan: Plan, rng: Rng) -> Plan:
    """Two honeycombs: graphene, hBN, one on the other, or the Cr of CrI3; any boundary, any twist."""
    pairs = [(GRAPHENE, GRAPHENE), (NITRIDE, NITRIDE), (GRAPHENE, NITRIDE), (IODIDE, IODIDE)]
    return _honeycomb(plan, pairs[rng.integers(len(pairs))], (True, True), rng)


def mixed(plan: Plan, rng: Rng) -> Plan:
    """A honeycomb below or above a triangular lattice: graphene or CrI3 and MoS2."""
    one, other = [(GRAPHENE, SPACING), (IODIDE, SPACING)][rng.integers(2)]
    below = bool(rng.random() < 0.5)
    return _honeycomb(plan, (one, other) if below else (other, one), (below, not below), rng)


def small_honeycomb(plan: Plan, rng: Rng) -> Plan:
    """Closed cells of 7 to 60 cells of a honeycomb a layer."""
    plan = replace(small(plan, rng), chalcogens=False, atoms=int(np.exp(rng.uniform(np.log(7), np.log(60)))))
    return replace(plan, spacings=(GRAPHENE, GRAPHENE), honeycombs=(True, True), two_species=bool(rng.random() < 0.5))


def strained_honeycomb(plan: Plan, rng: Rng) -> Plan:
    """Honeycombs under strain to 5 % and shear to 6 % of the whole cell, or of the upper layer alone."""
    plan = honeycomb(plan, rng)
    return (strained if rng.random() < 0.5 else upper_strained)(plan, rng)


EVERYWHERE: tuple[Disturbance, ...] = (noise, phonons, vacancies, antisites, ripples, wrapped, hetero, strained, turned)
BOUNDARIES: tuple[Disturbance, ...] = (seams, flake, near_folds)
DAMAGES: tuple[Disturbance, ...] = (amorphous, bicrystal, polycrystal, upper_strained, buckled, relaxed)


def combined(plan: Plan, rng: Rng) -> Plan:
    """Two or three of the disturbances at once, no two of them of the boundary and no two of the damages."""
    one_of_each = [BOUNDARIES[rng.integers(len(BOUNDARIES))], DAMAGES[rng.integers(len(DAMAGES))]]
    picked = rng.choice(len(EVERYWHERE), int(rng.integers(1, 3)), replace=False)
    chosen = one_of_each[rng.integers(2) :][: rng.integers(1, 3)]
    for disturb in [*chosen, *(EVERYWHERE[number] for number in picked)][:3]:
        plan = disturb(plan, rng)
    return plan


def _then(*steps: Disturbance) -> Disturbance:
    def disturbed(plan: Plan, rng: Rng) -> Plan:
        for step in steps:
            plan = step(plan, rng)
        return plan

    return disturbed


FAMILIES: dict[str, Disturbance] = {
    "perfect": perfect,
    "small": small,
    "noise": noise,
    "phonons": phonons,
    "vacancies": _then(vacancies, warm),
    "relaxed": _then(relaxed, warm),
    "antisites": _then(antisites, warm),
    "amorphous": _then(amorphous, warm),
    "seams": _then(seams, noise),
    "ripples": _then(ripples, warm),
    "buckled": _then(buckled, warm),
    "wrapped": _then(wrapped, warm),
    "hetero": _then(hetero, warm),
    "strained": _then(strained, warm),
    "upper-strained": _then(upper_strained, warm),
    "turned": _then(turned, warm),
    "flakes": _then(flake, noise),
    "islands": _then(island, warm),
    "bicrystals": _then(bicrystal, warm),
    "polycrystals": _then(polycrystal, warm),
    "near-folds": _then(near_folds, warm),
    "honeycombs": honeycomb,
    "small-honeycombs": small_honeycomb,
    "strained-honeycombs": strained_honeycomb,
    "graphene-on-MoS2": mixed,
    "combined": combined,
    "large": _then(large, noise, combined),
}
