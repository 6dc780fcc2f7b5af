"""The triangular lattice of one layer: its bonds, its order and the lattice that fits its atoms best (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.box import Box
from moireloop_analyzer.grain import Grain, largest_grain
from moireloop_analyzer.neighbours import Floats, Pairs, pairs_within, why_unsearchable
from moireloop_analyzer.refusal import Refusal

IDEAL: Final[Floats] = np.array([[1.0, 0.5], [0.0, math.sqrt(3.0) / 2.0]])
"""Columns: the lattice vectors of the triangular lattice of constant 1 with a row along x."""

FIRST_SHELL: Final = (1.0 + math.sqrt(3.0)) / 2.0
"""Bonds end half way between the first and the second shell, in units of the spacing."""

RAYLEIGH_MEDIAN: Final = math.sqrt(2.0 * math.log(2.0))
"""Median length of a plane vector with normal components of standard deviation 1."""

TUKEY: Final = 4.685
"""Tuning constant of Tukey's biweight (95 % efficiency for normal residuals)."""

MAX_STRETCH: Final = 0.35
"""A bond or an atom further than this from its lattice site, in spacings, is not of this lattice."""

MIN_GRAIN_ATOMS: Final = 4
MIN_CLOSING_BONDS: Final = 3
MIN_CLOSING_SHARE: Final = 0.9
CLOSING_SIGMAS: Final = 4.0
CLOSING_GAP: Final = 0.01
MAX_CLOSING_GAP: Final = 0.3
PATCHES: Final = 4
LONG_WAVES: Final = 8.0
BY_CHANCE: Final = 1.25


@dataclass(frozen=True)
class LatticeFit:
    """The lattice of one layer.

    `vectors` (2, 2) has the two lattice vectors as columns, 60 degrees apart before strain. `rotation_rad` is the
    rotation part R of the polar decomposition vectors = R U IDEAL, counter-clockwise and defined modulo 60 degrees;
    `sigma_rad` is its standard error. `constant_angstrom` is the geometric mean of the principal stretches, `strain`
    (2, 2) what distorts the lattice beyond that: V / constant - 1, with vectors = V R IDEAL. `members` (N,) marks the
    atoms of the grain that was fitted, `closed` the periodic directions over which it closes.
    """

    vectors: Floats
    rotation_rad: float
    sigma_rad: float
    constant_angstrom: float
    strain: Floats
    members: npt.NDArray[np.bool_]
    closed: tuple[bool, bool]


def bonds_of(points: Floats, box: Box) -> Pairs | Refusal:
    """Bonds of a layer at `points` (N, 2), N > 1: pairs no longer than 1.37 times its typical spacing."""
    area = box.area if all(box.periodic) else float(np.prod(np.ptp(points, axis=0)))
    reach = 1.6 * math.sqrt(2.0 * max(area, 1e-6) / (math.sqrt(3.0) * len(points)))
    reason = why_unsearchable(points, box.plane, box.periodic, reach)
    if reason is not None:
        return Refusal(reason)
    near = pairs_within(points, box.plane, box.periodic, reach)
    lengths = np.linalg.norm(near.vectors, axis=1)
    spacing = _spacing(near, lengths, len(points))
    return near.where((lengths <= FIRST_SHELL * spacing) & (lengths > 0.2 * spacing))


def fit_lattice(points: Floats, bonds: Pairs, box: Box) -> LatticeFit | Refusal:
    """The lattice of a layer at `points` (N, 2) in angstrom with these bonds.

    First the bonds are assigned to six directions and fitted robustly, then every atom that hangs together by good
    bonds gets lattice indices, and the lattice is fitted to positions over indices, so that thermal noise averages
    over the whole layer and vacancies do no harm. Where a grain closes over a periodic direction, the cell vector is
    a whole number of lattice vectors, and the fit is held to that.
    """
    vectors = _fit_to_bonds(bonds)
    if isinstance(vectors, Refusal):
        return vectors
    steps, misfit = _assigned(vectors, bonds.vectors)
    scale = _scale(misfit[_is_unit(steps)])
    spacing = _constant(vectors)
    good = _is_unit(steps) & (misfit <= min(MAX_STRETCH * spacing, max(6.0 * scale, 0.1 * spacing)))
    grain = largest_grain(bonds.where(good), steps[good], misfit[good] / spacing, len(points))
    return _fit_to_positions(points, grain, vectors, box)


def rotation_of(deformation: Floats) -> float:
    """Angle in radians of the rotation part of the polar decomposition of a (2, 2) matrix of positive determinant."""
    (xx, xy), (yx, yy) = deformation
    return math.atan2(yx - xy, xx + yy)


def _spacing(near: Pairs, lengths: Floats, count: int) -> float:
    """Typical bond length: the median over the pairs not much longer than the typical nearest neighbour."""
    if not len(near):
        return 0.0
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, near.first, lengths)
    np.minimum.at(nearest, near.second, lengths)
    typical = _median(nearest[np.isfinite(nearest)])
    return _median(lengths[lengths <= 1.45 * typical])


def _fit_to_bonds(bonds: Pairs) -> Floats | Refusal:
    """Lattice vectors (columns) that map the six unit steps to the bonds, by reweighted least squares."""
    if not len(bonds):
        return Refusal("no bonds between its atoms")
    spacing = _median(np.linalg.norm(bonds.vectors, axis=1))
    angle = _commonest_direction(bonds.vectors)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    vectors: Floats = spacing * turn @ IDEAL
    for _ in range(10):
        steps, misfit = _assigned(vectors, bonds.vectors)
        unit = _is_unit(steps) & (misfit <= MAX_STRETCH * spacing)
        weights = np.where(unit, _biweight(misfit, max(_scale(misfit[unit]), 1e-9 * spacing)), 0.0)
        weighted = steps * weights[:, None]
        moment = weighted.T @ steps
        if not np.linalg.det(moment) > 1e-6 * max(1.0, float(np.trace(moment))) ** 2:
            return Refusal("its bonds do not follow the directions of a triangular lattice")
        before, vectors = vectors, np.linalg.solve(moment, weighted.T @ bonds.vectors).T
        if np.abs(vectors - before).max() <= 1e-5 * spacing:
            break
    if not 0.3 * spacing**2 < float(np.linalg.det(vectors)) < 2.0 * spacing**2:
        return Refusal("its bonds do not follow the directions of a triangular lattice")
    return vectors


def _commonest_direction(vectors: Floats) -> float:
    """Mode of the bond directions modulo 60 degrees, in radians, smoothed over 4 degrees."""
    degrees = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 60.0
    counts = np.bincount(degrees.astype(np.int64) % 60, minlength=60)
    offsets = np.minimum(np.arange(60), 60 - np.arange(60))
    kernel = np.exp(-0.5 * (offsets / 4.0) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(counts) * np.fft.rfft(kernel), 60)
    return math.radians(float(smooth.argmax()) + 0.5)


def _assigned(vectors: Floats, bonds: Floats) -> tuple[Floats, Floats]:
    """Lattice indices (P, 2) nearest to each bond, and the distances (P,) left over."""
    steps = np.rint(bonds @ np.linalg.inv(vectors).T)
    return steps, np.linalg.norm(bonds - steps @ vectors.T, axis=1)


def _is_unit(steps: Floats) -> npt.NDArray[np.bool_]:
    m, n = steps.T
    return np.asarray(m * m + m * n + n * n == 1.0)


def _fit_to_positions(points: Floats, grain: Grain, start: Floats, box: Box) -> LatticeFit | Refusal:
    """Least squares of positions over lattice indices, with outliers weighed down and closures held."""
    places = points[grain.atoms] + grain.cells @ box.plane
    design = np.column_stack([grain.indices - np.rint(grain.indices.mean(axis=0)), np.ones(len(places))])
    spread = np.cov(design[:, :2].T) if len(places) > MIN_GRAIN_ATOMS else np.zeros((2, 2))
    if not np.linalg.det(spread) > 1e-6 * np.trace(spread) ** 2:
        return Refusal("too few of its atoms form one lattice")
    solution, weights = _reweighted(design, places, start)
    errors = _errors(design, places - design @ solution, weights)
    laps, closed = _closures(grain, box, solution[:2].T, errors)
    if any(closed):
        solution = _weighted(design, places, weights, laps[closed], box.plane[closed])
    vectors = np.ascontiguousarray(solution[:2].T)
    if not np.linalg.det(vectors) > 0:
        return Refusal("its atoms form no triangular lattice")
    members = np.zeros(len(points), dtype=bool)
    members[grain.atoms[weights > 0]] = True
    return LatticeFit(
        vectors=vectors,
        rotation_rad=rotation_of(vectors @ np.linalg.inv(IDEAL)),
        sigma_rad=_rotation_sigma(vectors, errors),
        constant_angstrom=_constant(vectors),
        strain=_strain(vectors),
        members=members,
        closed=(closed[0], closed[1]),
    )


def _reweighted(design: Floats, places: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Robust solution (3, 2) of places = design @ solution, and the weights (N,) of the atoms."""
    spacing = _constant(start)
    offset = np.median(places - design[:, :2] @ start.T, axis=0)
    solution = np.vstack([start.T, offset])
    weights: Floats = np.ones(len(places))
    for _ in range(10):
        misfit = np.linalg.norm(places - design @ solution, axis=1)
        weights = _biweight(misfit, max(_scale(misfit), 1e-6 * spacing))
        before, solution = solution, _weighted(design, places, weights)
        if np.abs(solution - before).max() <= 1e-7 * spacing:
            break
    return solution, weights


def _weighted(
    design: Floats, places: Floats, weights: Floats, laps: Floats | None = None, cells: Floats | None = None
) -> Floats:
    """Weighted least squares (3, 2), under the constraints laps @ solution[:2] = cells where given."""
    weighted = design * weights[:, None]
    normal, right = weighted.T @ design, weighted.T @ places
    if laps is None or cells is None or not len(laps):
        solution: Floats = np.linalg.solve(normal, right)
        return solution
    held = len(laps)
    rows = np.column_stack([laps, np.zeros(held)])
    system = np.block([[normal / len(places), rows.T], [rows, np.zeros((held, held))]])
    held_to: Floats = np.linalg.solve(system, np.vstack([right / len(places), cells]))
    return held_to[:3]


def _errors(design: Floats, misfit: Floats, weights: Floats) -> Floats:
    """Covariance (4, 4) of the fitted lattice vectors, in the order x1, x2, y1, y2, from the scatter (M, 2) of atoms.

    What each atom's scatter adds to a lattice vector is summed over patches of neighbours before it is squared (the
    sandwich estimate for clusters), since neighbours in a crystal move together. Waves longer than a patch are not
    seen whole, so what the patches show beyond independent atoms (and BY_CHANCE) counts LONG_WAVES times; the factor
    is from the scatter of fits to layers of known rotation in molecular dynamics.
    """
    inverse = np.linalg.inv((design * weights[:, None]).T @ design)[:2]
    pull = weights * (inverse @ design.T)
    influence = np.stack(
        [pull[0] * misfit[:, 0], pull[1] * misfit[:, 0], pull[0] * misfit[:, 1], pull[1] * misfit[:, 1]]
    )
    corner, size = design[:, :2].min(axis=0), np.ptp(design[:, :2], axis=0) + 1.0
    across, along = (PATCHES * (design[:, :2] - corner) / size).astype(np.int64).T
    patches = np.stack([np.bincount(across * PATCHES + along, row, PATCHES**2) for row in influence])
    single, joint = influence @ influence.T, patches @ patches.T
    total = float(weights.sum())
    excess = max(0.0, float(np.trace(joint) / max(np.trace(single), 1e-300)) - BY_CHANCE)
    freedom = total / max(total - 3.0, 1.0)
    covariance: Floats = single * (1.0 + LONG_WAVES * excess) * freedom * _softness(weights) ** 2
    return covariance


def _softness(weights: Floats) -> float:
    """Mean weight over mean slope of the biweight: how much more than its weight a robust fit follows the scatter.

    For plane residuals the slope of w(r) r, averaged over directions, is w + r w' / 2 = s (3 s - 2) with s = sqrt(w).
    """
    roots = np.sqrt(weights)
    slope = float((roots * (3.0 * roots - 2.0)).sum())
    return min(2.0, float(weights.sum()) / slope) if slope > 0 else 2.0


def _closures(grain: Grain, box: Box, free: Floats, errors: Floats) -> tuple[Floats, list[bool]]:
    """Lattice indices (2, 2) of going once round each periodic direction, and over which of them the layer closes.

    It closes where the rings round the direction agree on a lattice vector, and this vector is the cell's but for the
    error of the free fit. A layer that does not fit its cell has a seam instead.
    """
    laps = np.rint(box.plane @ np.linalg.inv(free).T)
    agreed = (grain.sums == grain.crossings @ laps).all(axis=1)
    closed = []
    for axis, lap in enumerate(laps):
        rings = grain.rings(axis)
        votes = np.count_nonzero(agreed & rings)
        gap = float(np.linalg.norm(free @ lap - box.plane[axis]))
        error = math.sqrt(float(lap @ (errors[:2, :2] + errors[2:, 2:]) @ lap))
        allowed = min(CLOSING_SIGMAS * error + CLOSING_GAP * _constant(free), MAX_CLOSING_GAP * _constant(free))
        enough = votes >= max(MIN_CLOSING_BONDS, MIN_CLOSING_SHARE * np.count_nonzero(rings))
        closed.append(bool(enough and gap <= allowed))
    return laps, closed


def _rotation_sigma(vectors: Floats, errors: Floats) -> float:
    """Standard error in radians of the rotation, from the covariance (4, 4) of the lattice vectors.

    The rotation of F = vectors @ IDEAL^-1 is atan2(F21 - F12, F11 + F22). Where the layer closes over the boundary the
    rotation is surer than this.
    """
    to_ideal = np.linalg.inv(IDEAL)
    (xx, xy), (yx, yy) = vectors @ to_ideal
    sine, cosine = yx - xy, xx + yy
    slope = np.array([[-sine, -cosine], [cosine, -sine]]) / (sine**2 + cosine**2) @ to_ideal.T
    return math.sqrt(max(0.0, float(slope.ravel() @ errors @ slope.ravel())))


def _constant(vectors: Floats) -> float:
    return math.sqrt(abs(float(np.linalg.det(vectors))) / float(np.linalg.det(IDEAL)))


def _strain(vectors: Floats) -> Floats:
    deformation = vectors @ np.linalg.inv(IDEAL)
    angle = rotation_of(deformation)
    back = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    strain: Floats = deformation @ back / _constant(vectors) - np.eye(2)
    return strain


def _scale(misfit: Floats) -> float:
    """Robust standard deviation of one component, from the lengths of plane residuals."""
    return _median(misfit) / RAYLEIGH_MEDIAN if len(misfit) else 0.0


def _median(values: Floats) -> float:
    """Upper median; numpy's own takes longer than all else for small layers."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle])


def _biweight(misfit: Floats, scale: float) -> Floats:
    weights: Floats = np.clip(1.0 - (misfit / (TUKEY * scale)) ** 2, 0.0, None) ** 2
    return weights
