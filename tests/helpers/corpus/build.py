"""From the plan of a bilayer to its atoms and its truth."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from moireloop_analyzer.twist import TwistEstimate, measure_twist
from tests.helpers.bilayers import BASIS, SPACING, Bilayer, Floats, rotation
from tests.helpers.corpus import layers as made
from tests.helpers.corpus.layers import Area, Flags, Ints, Layer, Ripple
from tests.helpers.corpus.plan import FAMILIES, Plan, Rng, start

FAIR_DEG = 0.1
GAP_ANGSTROM = 6.15
MAX_ATTEMPTS = 200
STEEPEST = 0.55
UNSURE_OF_STACKING_DEG = 0.5
METAL, CHALCOGEN = 1, 2


@dataclass(frozen=True)
class Case:
    """One bilayer of the corpus and what is true of it.

    `signed_deg`, in [-30, 30], is the rotation part of the polar decomposition of the upper layer's lattice (of its
    majority grain) minus the lower one's. `stacking` is None without chalcogens, and within half a degree of 30
    where R and H meet. `upper` (N,) marks the atoms of the upper layer, `majority` (N,) the metal atoms that stand on
    the lattice of their layer's majority grain. `corner` (2,) is where in the cell its seams cross, in fractions of a
    and b. `bound_deg` is the Cramer-Rao bound of the twist under its noise. A type is a lattice type if it is
    one of `metal_types`: in a bead bilayer both are.
    """

    family: str
    number: int
    plan: Plan
    bilayer: Bilayer
    metal_types: tuple[int, ...]
    chalcogen_types: tuple[int, ...]
    signed_deg: float
    stacking: Literal["R", "H"] | None
    upper: Flags
    majority: Flags
    corner: Floats
    bound_deg: float

    @property
    def name(self) -> str:
        """How the case is called for, as in `python -m bench twist-accuracy --case NAME`."""
        return f"{self.family}:{self.number}"

    @property
    def twist_deg(self) -> float:
        """The twist folded to [0, 30]."""
        return abs(self.signed_deg)

    def measured(self) -> TwistEstimate:
        """What the analyzer says of it."""
        return measure_twist(
            self.bilayer.positions,
            self.bilayer.types,
            self.bilayer.cell,
            self.bilayer.pbc,
            metal_types=self.metal_types,
            chalcogen_types=self.chalcogen_types,
        )

    def error_deg(self, signed_deg: float) -> float:
        """How far a signed twist is from the true one; turns by 60 degrees are none."""
        return folded(signed_deg - self.signed_deg)


class Unfair(Exception):
    """A draw that is not what its plan asks for, or whose twist its noise leaves undetermined."""


def folded(turn_deg: float) -> float:
    """A turn without its whole sixths of a full turn, in [-30, 30]."""
    return turn_deg - 60.0 * round(turn_deg / 60.0)


def disturbed_cases(count: int, seed: int = 0, families: tuple[str, ...] | None = None) -> Iterator[Case]:
    """So many cases, of one family after the other, the same ones for the same seed; without the large ones by default.

    Every case is fair: three times the Cramer-Rao bound of its twist stays below 0.1 degrees, and what waves, ripples
    and relaxed gaps turn a layer by that does not close over the boundary counts beside it; their scatter counts as
    noise there. Where a draw would not keep that, the bilayer is drawn again, larger; the ranges of the disturbances
    are never narrowed.
    """
    chosen = families or tuple(name for name in FAMILIES if name != "large")
    for place in range(count):
        yield case_of(chosen[place % len(chosen)], 1_000_000 * seed + place // len(chosen))


def case_of(family: str, number: int) -> Case:
    """The case of this number."""
    rng = np.random.default_rng([zlib.crc32(family.encode()), number])
    plan = FAMILIES[family](start(rng), rng)
    for _ in range(MAX_ATTEMPTS):
        try:
            case = _built(plan, rng)
        except Unfair:
            plan = replace(plan, atoms=round(plan.atoms * 1.05) + 1)
            continue
        return replace(case, family=family, number=number)
    raise Unfair(f"{family}:{number} was not fair in {MAX_ATTEMPTS} draws")


def _built(plan: Plan, rng: Rng) -> Case:
    area, lower, upper, ripple = _frame_of(plan, rng)
    if plan.small:
        plan = replace(plan, noise=_bearable_noise(lower, area, rng, plan.honeycombs[0]))
    layers = _both_layers(plan, area, (lower, upper), ripple, rng)
    bounds = [made.least_error_deg(layer.crystal, math.hypot(plan.noise, layer.unrest)) for layer in layers]
    bound = math.hypot(*bounds)
    if not 3.0 * bound + sum(abs(layer.drift_deg) for layer in layers) <= FAIR_DEG:
        raise Unfair
    turned = made.turn_of(upper) - made.turn_of(lower)
    case = _assembled(plan, layers, area, rng)
    return replace(case, signed_deg=folded(turned), stacking=_stacking(plan, turned), bound_deg=bound)


def undirected(plan: Plan, rng: Rng, change: Callable[[Layer, int], Layer] | None = None) -> Case:
    """A bilayer without bounds and truth, its layers (lower 0, upper 1) changed before they are put together."""
    for _ in range(MAX_ATTEMPTS):
        try:
            area, lower, upper, ripple = _frame_of(plan, rng)
        except Unfair:
            plan = replace(plan, atoms=round(plan.atoms * 1.05) + 1)
            continue
        layers = _both_layers(plan, area, (lower, upper), ripple, rng)
        changed = [layer if change is None else change(layer, which) for which, layer in enumerate(layers)]
        return _assembled(plan, changed, area, rng)
    raise Unfair(f"no closed cell for {plan}")


def _both_layers(
    plan: Plan, area: Area, lattices: tuple[Floats, Floats], ripple: Ripple | None, rng: Rng
) -> list[Layer]:
    outline = _outline(plan, area, rng)
    grown = ((_grown(plan, which, lattice, area, outline, rng)) for which, lattice in enumerate(lattices))
    return [_shaken(plan, layer, area, ripple, rng) for layer in grown]


def _stacking(plan: Plan, turned_deg: float) -> Literal["R", "H"] | None:
    """R where the triangles of metal and chalcogen point the same way in both layers up to 30 degrees."""
    apart = abs(turned_deg - 120.0 * round(turned_deg / 120.0))
    if not plan.chalcogens or abs(apart - 30.0) < UNSURE_OF_STACKING_DEG:
        return None
    return "R" if apart < 30.0 else "H"


def _deformation(strain: tuple[float, float], shear: float) -> Floats:
    return np.array([[1.0 + strain[0], shear], [0.0, 1.0 + strain[1]]])


def _frame_of(plan: Plan, rng: Rng) -> tuple[Area, Floats, Floats, Ripple | None]:
    """The area, the lattices (columns) of the lower and the upper layer, and the ripple of both."""
    whole = _deformation(plan.strain, plan.shear) @ rotation(plan.turn_deg)
    turn = plan.twist_deg + (60.0 if plan.antiparallel else 0.0)
    lower: Floats = whole @ BASIS * plan.spacings[0] / SPACING
    own = _deformation(plan.upper_strain, plan.upper_shear)
    upper: Floats = whole @ own @ rotation(turn) @ BASIS * plan.spacings[1] / SPACING
    side = math.sqrt(plan.atoms)
    aspect = math.exp(rng.uniform(-0.3, 0.3))
    if plan.boundary == "closed":
        area, upper = _closed(plan, lower, upper, side * aspect, side / aspect, rng)
    else:
        area = _open(plan, lower, aspect, rng)
    ripple = Ripple.of(area, plan.amplitude, plan.wavelength, rng) if plan.amplitude else None
    if ripple is not None and ripple.slope > STEEPEST:
        raise Unfair
    if ripple is not None and plan.boundary != "closed":
        lower, upper = ripple.shortening @ lower, ripple.shortening @ upper
    return area, lower, upper, ripple


def _closed(plan: Plan, lower: Floats, upper: Floats, long: float, wide: float, rng: Rng) -> tuple[Area, Floats]:
    """A cell of whole steps of the lower lattice, and the upper lattice strained so that it closes in it."""
    for _ in range(60):
        if plan.rows is not None:
            cells = np.diag(plan.rows)
        else:
            cells = _compact(plan.atoms, rng) if plan.small else _oblong(long, wide, rng)
        plane: Floats = lower @ cells
        steps = np.rint(np.linalg.inv(upper) @ plane)
        if abs(np.linalg.det(steps)) < 1:
            continue
        clamped = plane @ np.linalg.inv(steps)
        stretch = np.linalg.svd(clamped @ np.linalg.inv(upper), compute_uv=False)
        if np.abs(stretch - 1.0).max() <= plan.most_clamped:
            return Area(plane, True), np.asarray(clamped)
    raise Unfair


def _oblong(long: float, wide: float, rng: Rng) -> Ints:
    """Steps (2, 2) of a cell with about this many rows each way, skewed or not."""
    n, m = max(1, round(long * rng.uniform(0.8, 1.25))), max(1, round(wide * rng.uniform(0.8, 1.25)))
    return np.array([[n, int(rng.integers(-n // 2, n // 2 + 1)) if rng.random() < 0.5 else 0], [0, m]])


def _compact(atoms: int, rng: Rng) -> Ints:
    """Steps (2, 2) of a rhombic cell with about this many sites, seven or more."""
    cells = [(p, q) for p in range(1, 13) for q in range(13) if p * p + p * q + q * q >= 7]
    off = np.abs([math.log((p * p + p * q + q * q) / atoms) for p, q in cells])
    near = np.argsort(off, kind="stable")[:6]
    p, q = cells[int(rng.choice(near))]
    return np.array([[p, -q], [q, p + q]])


def _open(plan: Plan, lower: Floats, aspect: float, rng: Rng) -> Area:
    """A cell that has nothing to do with the lattices; its shape is random."""
    size = math.sqrt(plan.atoms * abs(float(np.linalg.det(lower))) * (1.0 if plan.boundary == "seam" else 1.3))
    corner = math.radians(rng.choice([90.0, 60.0, rng.uniform(60, 120)]))
    shape = np.array([[1.0, math.cos(corner)], [0.0, math.sin(corner)]])
    shape = shape @ np.diag([aspect, 1.0 / aspect]) / math.sqrt(math.sin(corner))
    return Area(size * rotation(rng.uniform(0, 360)) @ shape, plan.boundary == "seam")


def _outline(plan: Plan, area: Area, rng: Rng) -> Floats | None:
    """Centre and normals (K, 2) of the edges of a flake, as one array with the centre first."""
    if plan.boundary not in ("flake", "island"):
        return None
    size = math.sqrt(abs(float(np.linalg.det(area.plane))))
    angles = rng.uniform(0, 2 * math.pi) + np.linspace(0, 2 * math.pi, int(rng.integers(4, 9)), endpoint=False)
    radii = size * rng.uniform(0.45, 0.6, len(angles))
    normals = np.column_stack([np.cos(angles), np.sin(angles)]) / radii[:, None]
    return np.vstack([area.plane @ [0.5, 0.5], normals])


def _grown(plan: Plan, which: int, lattice: Floats, area: Area, outline: Floats | None, rng: Rng) -> Layer:
    """The layer on its sites: its grains, cut to its outline, without atoms that overlap."""
    lattices = [lattice]
    if plan.grains[which] > 1:
        about = made.turn_of(lattice)
        constant = math.sqrt(abs(float(np.linalg.det(lattice)) / float(np.linalg.det(BASIS))))
        lattices += [rotation(about + turn) @ BASIS * constant for turn in plan.misorientations_deg]
    centres = area.anywhere(len(lattices) - 1, rng)
    reach = _reach_of_minority(area, centres, plan.minority, rng)
    places, grains = [], []
    for grain, vectors in enumerate(lattices):
        found = made.sites(vectors, area, rng, plan.gap, honeycomb=plan.honeycombs[which])
        here = _grain_at(found, area, centres, reach) == grain
        places.append(found[here])
        grains.append(np.full(int(here.sum()), grain))
    metals, grain_of = np.concatenate(places), np.concatenate(grains)
    if outline is not None:
        inside = ((metals - outline[0]) @ outline[1:].T <= 1.0).all(axis=1)
        metals, grain_of = metals[inside], grain_of[inside]
    if plan.boundary != "closed" or len(lattices) > 1:
        stays = made.without_overlaps(metals, area, plan.overlap * _bond_of(plan, which), grain_of)
        metals, grain_of = metals[stays], grain_of[stays]
    if len(lattices) > 1:
        piece = made.largest_piece(metals[grain_of == 0], area, 1.3 * plan.spacings[which])
        if not 0.55 <= piece / len(metals) <= 0.85 or piece < np.count_nonzero(grain_of == 0):
            raise Unfair
    layer = made.grown(metals, grain_of, lattices, chalcogens=plan.chalcogens)
    if plan.molten[which]:
        layer = made.melted(layer, area, plan.molten[which], rng)
    return layer.where(rng.random(len(layer.points)) >= plan.vacancies)


def _bond_of(plan: Plan, which: int) -> float:
    """Distance of neighbours in a layer."""
    return plan.spacings[which] / (math.sqrt(3.0) if plan.honeycombs[which] else 1.0)


def _reach_of_minority(area: Area, centres: Floats, share: float, rng: Rng) -> float:
    """Radius in angstrom of the discs about the centres that together fill this share of the area."""
    if not len(centres):
        return 0.0
    anywhere = area.anywhere(2000, rng)
    return float(np.quantile(np.min([area.distances(anywhere, centre) for centre in centres], axis=0), share))


def _grain_at(points: Floats, area: Area, centres: Floats, reach: float) -> Ints:
    """0 outside the discs, else one more than the index of the nearest centre."""
    if not len(centres):
        return np.zeros(len(points), dtype=np.int64)
    away = np.array([area.distances(points, centre) for centre in centres])
    grain: Ints = np.where(away.min(axis=0) <= reach, away.argmin(axis=0) + 1, 0)
    return grain


def _shaken(plan: Plan, layer: Layer, area: Area, ripple: Ripple | None, rng: Rng) -> Layer:
    """The layer with its waves, relaxation, ripple and noise."""
    before = layer.crystal
    if plan.waves:
        layer = layer.moved(made.waves(layer.points[:, :2], area, plan.waves, rng))
    if plan.relaxed:
        reach = min(plan.spacings)
        layer = layer.moved(made.relaxation(layer.points[:, :2], area, layer.missing, plan.relaxed, reach))
    if ripple is not None:
        layer = replace(layer, points=ripple.bend(layer.points))
    whole = plan.boundary == "closed" and plan.grains == (1, 1) and plan.molten == (0.0, 0.0)
    if not whole:
        drift, unrest = made.drift_of(before, layer.crystal - before)
        layer = replace(layer, drift_deg=drift, unrest=unrest)
    return layer.moved(plan.noise * rng.normal(size=layer.points.shape))


def _bearable_noise(lattice: Floats, area: Area, rng: Rng, honeycomb: bool) -> float:
    """Noise for a small cell: up to what the bound allows."""
    per_angstrom = math.sqrt(2.0) * made.least_error_deg(made.sites(lattice, area, rng, honeycomb=honeycomb), 1.0)
    return float(rng.uniform(0.0, 0.9)) * FAIR_DEG / (3.0 * per_angstrom)


def _assembled(plan: Plan, layers: list[Layer], area: Area, rng: Rng) -> Case:
    """Both layers in one cell, at any place of it, in any order; truths are still missing."""
    heights = np.repeat([0.0, GAP_ANGSTROM + rng.uniform(-0.1, 0.1)], [len(layer.points) for layer in layers])
    positions = np.concatenate([layer.points for layer in layers]) + np.outer(heights, [0.0, 0.0, 1.0])
    upper = heights > 0
    metal = np.concatenate([layer.metal for layer in layers])
    majority = metal & (np.concatenate([layer.grain for layer in layers]) == 0)
    types = np.where(metal, METAL, CHALCOGEN) if plan.chalcogens else upper + 1
    if plan.two_species:
        types = rng.integers(1, 3, len(metal))
    types = np.where(rng.random(len(types)) < plan.antisites, 3 - types, types)
    pbc = (*((plan.boundary not in ("flake",),) * 2), plan.stacked_periodically)
    bilayer = Bilayer(positions, types, _cell(plan, area, rng), pbc)
    bilayer, corner, swapped = _placed(plan, bilayer, rng)
    order = rng.permutation(len(types))
    return Case(
        family="",
        number=0,
        plan=plan,
        bilayer=replace(bilayer, positions=bilayer.positions[order], types=bilayer.types[order]),
        metal_types=(METAL,) if plan.chalcogens else (1, 2),
        chalcogen_types=(CHALCOGEN,) if plan.chalcogens else (),
        signed_deg=math.nan,
        stacking=None,
        upper=(upper ^ swapped)[order],
        majority=majority[order],
        corner=corner,
        bound_deg=math.nan,
    )


def _cell(plan: Plan, area: Area, rng: Rng) -> Floats:
    """Rows a, b, c; with vacuum beside an island, and c tilted or not where it repeats."""
    plane = area.plane * (rng.uniform(1.4, 1.6) if plan.boundary == "island" else 1.0)
    cell = np.zeros((3, 3))
    cell[:2, :2] = plane.T
    tilt = rng.uniform(-8, 8, 2) if plan.stacked_periodically and rng.random() < 0.6 else np.zeros(2)
    cell[2] = [*tilt, GAP_ANGSTROM + 2.0 * plan.amplitude + rng.uniform(14.0, 30.0)]
    return cell


def _placed(plan: Plan, bilayer: Bilayer, rng: Rng) -> tuple[Bilayer, Floats, bool]:
    """The bilayer anywhere, in any image and orientation; its corner, and whether c points from upper to lower now."""
    anywhere = rng.random(3) if plan.stacked_periodically else np.append(rng.random(2), rng.uniform(-0.2, 0.6))
    bilayer = bilayer.moved(anywhere @ bilayer.cell)
    if plan.unwrapped:
        images = rng.integers(-2, 3, bilayer.positions.shape) * np.array(bilayer.pbc)
        bilayer = replace(bilayer, positions=bilayer.positions + images @ bilayer.cell)
    cell, corner, swapped = bilayer.cell, anywhere[:2], False
    if plan.left_handed:
        change = int(rng.integers(3))
        cell = [cell[[1, 0, 2]], cell * [[-1], [1], [1]], cell * [[1], [1], [-1]]][change]
        corner = [corner[::-1], corner * [-1, 1], corner][change]
        swapped = change == 2
    if plan.turned_in_space:
        axes = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
        bilayer, cell = bilayer.deformed(axes), cell @ axes.T
    return replace(bilayer, cell=cell), corner, swapped
