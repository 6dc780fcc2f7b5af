"""Over which directions of its cell a layer closes, and where it has a seam instead (pure)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from moireloop_analyzer.geometry.box import Floats
from moireloop_analyzer.lattice.grain_fit import GrainFit, cut_anew, refitted
from moireloop_analyzer.lattice.jump import EITHER, JUMP_ODDS, Coordinate, Jump, jumps_of
from moireloop_analyzer.lattice.position_fit import fitted_with
from moireloop_analyzer.layers.neighbours import Bonds

MIN_CLOSING_BONDS: Final = 3

MIN_CLOSING_SHARE: Final = 0.9

SURELY_CLOSED_SIGMAS: Final = 2.5

CLOSING_SIGMAS: Final = 10.0

FEW_ATOMS: Final = 20.0
"""Errors of layers of some dozen atoms, with their strains and gaps, are larger than their scatter says."""

CLOSING_GAP: Final = 0.01

MAX_CLOSING_GAP: Final = 0.3

SEAM_SHARE: Final = 0.4
"""Share of what a layer lacks to close from which it is a seam where it is found at the cut, and not a strain."""

SOUGHT_GAP: Final = 0.04
"""Where what a layer lacks to close may be more than this share of the spacing, a seam is sought away from the cut."""

TOGETHER: Final = 1.0
"""Excess of the misfits of patches over the misfits of atoms from which it is sought where all else is well."""

LEAST_ATOMS: Final = 100
"""In layers of fewer atoms a jump and the waves beside it fit anything."""

ALONG: Final[tuple[Coordinate, Coordinate]] = ((1, 0), (0, 1))

SURE_ODDS: Final = 60.0
"""Odds of a jump from which the seam there is beyond doubt."""

VACUUM: Final = 1.5
"""Distance of the rows of atoms on both sides of a line, in spacings, from which there is vacuum between them."""

SAME_GAP: Final = (0.6, 1.6)
"""The gap of a seam is the same within these factors with the longest waves beside it and without."""


@dataclass(frozen=True)
class Closure:
    """Whether a layer closes over one direction of its cell, and whether that may as well be the other way round.

    `sought` says whether a seam that is not at the cut may still be found.
    """

    closed: bool
    doubtful: bool
    sought: bool = False


def held_to(grain: GrainFit, closed: tuple[bool, bool]) -> Floats:
    """Lattice and origin (3, 2) with the fit held to the cell over the directions that are closed."""
    if not any(closed):
        return grain.free.solution
    if all(closed):
        return fitted_with(grain.free, grain.laps, grain.grains.plane)
    held = list(closed)
    return fitted_with(grain.free, grain.laps[held], grain.grains.plane[held])


def closed_or_cut(grain: GrainFit, bonds: Bonds) -> tuple[GrainFit, tuple[Closure, Closure]]:
    """Over which rows of the grains' plane the layer closes, and the grain cut open where a seam was found.

    It closes where the rings round the direction agree on a lattice vector, and this vector is the cell's up to the
    error of the free fit, or up to a strain that is spread over the layer. Where what is left over is found in the
    bonds through the cut, the layer has a seam there instead; and where the atoms jump along another line, a seam
    there, which is only sought in layers that fill their cell.
    """
    closures = _closures(grain, bonds.spacing)
    sought = tuple(axis for axis in ALONG if closures[axis.index(1)].sought)
    if not sought or len(grain.atoms) < LEAST_ATOMS or not _fills_its_cell(grain, bonds):
        return grain, closures
    vectors = held_to(grain, (closures[0].closed, closures[1].closed))[:2]
    loose = [closures[axis].sought or not closures[axis].closed for axis in (0, 1)]
    drifts = tuple(axis for axis in ALONG if not closures[axis.index(1)].closed)
    coordinates = EITHER if all(loose) else sought
    jumps = jumps_of(grain.indices, grain.places, vectors, grain.laps, coordinates, drifts, bonds.spacing)
    seams = {jump.across: jump for jump in jumps if _is_seam(jump, bonds.spacing)}
    if not seams:
        slipped = {jump.across for jump in jumps if jump.returns}
        one, other = (
            replace(closure, closed=closure.closed or (closure.doubtful and axis in slipped))
            for axis, closure in zip(ALONG, closures, strict=True)
        )
        return grain, (one, other)
    rows = _rows(seams, drifts)
    at = (seams[rows[0]].at if rows[0] in seams else math.nan, seams[rows[1]].at if rows[1] in seams else math.nan)
    grain = refitted(cut_anew(grain, bonds.points, np.array(rows), at), bonds.spacing)
    left = _closures(grain, bonds.spacing)
    one, other = (
        Closure(closed=False, doubtful=seams[row].odds < SURE_ODDS)
        if row in seams
        else Closure(closed=False, doubtful=False)
        if row in drifts
        else closure
        for row, closure in zip(rows, left, strict=True)
    )
    return grain, (one, other)


def _fills_its_cell(grain: GrainFit, bonds: Bonds) -> bool:
    """Whether the layer is periodic in both directions, and no line along them or a diagonal goes through vacuum.

    Across vacuum there are no bonds that a seam could break, and no number of lattice steps.
    """
    if not bonds.bins.grid[6:].all():
        return False
    inverse = np.linalg.inv(grain.grains.plane)
    for across in EITHER:
        dual = inverse @ np.array(across)
        height = 1.0 / math.hypot(*dual)
        along = np.sort(bonds.points @ dual % 1.0)
        if max(float(np.diff(along).max()), along[0] + 1.0 - along[-1]) * height > VACUUM * bonds.spacing:
            return False
    return True


def _rows(seams: dict[Coordinate, Jump], drifts: Collection[Coordinate]) -> tuple[Coordinate, Coordinate]:
    """The two coordinates along whose lines the cell is cut: at the seams, and at the cut that is to stay."""
    stays = [drift for drift in drifts if drift not in seams]
    if len(seams) == 2 and not stays:
        one, other = seams
        return one, other
    seam = max(seams, key=lambda across: seams[across].odds)
    stay = stays[0] if stays else ALONG[0] if seam == ALONG[1] else ALONG[1]
    return (stay, seam) if seam == ALONG[1] else (seam, stay)


def _is_seam(jump: Jump, spacing: float) -> bool:
    gap, alone = math.hypot(*jump.gap), float(jump.alone @ jump.gap)
    same = SAME_GAP[0] * gap * gap <= alone <= SAME_GAP[1] * gap * gap
    return jump.odds >= JUMP_ODDS and gap >= SOUGHT_GAP * spacing and same and not jump.returns


def _closures(grain: GrainFit, spacing: float) -> tuple[Closure, Closure]:
    """Over which rows of the grains' plane the layer closes, as far as the rings, the free fit and the cut show."""
    (xx, yx), (xy, yy) = grain.free.solution[:2].tolist()
    errors = grain.free.errors.tolist()
    mm, mn, nn = errors[0][0] + errors[2][2], errors[0][1] + errors[2][3], errors[1][1] + errors[3][3]
    closures = []
    for (m, n), (x, y), (count, agreed, off_x, off_y) in zip(
        grain.laps.tolist(), grain.grains.plane.tolist(), grain.rings.tolist(), strict=True
    ):
        if agreed < max(MIN_CLOSING_BONDS, MIN_CLOSING_SHARE * count):
            closures.append(Closure(closed=False, doubtful=False))
            continue
        gap = (x - xx * m - xy * n, y - yx * m - yy * n)
        error2 = m * m * mm + 2.0 * m * n * mn + n * n * nn
        error = math.sqrt(max(0.0, error2)) * (1.0 + FEW_ATOMS / len(grain.atoms))
        closure = _closure(gap, error, (off_x, off_y), spacing)
        together = closure.doubtful or grain.free.excess > TOGETHER
        lacks = math.hypot(*gap) + SURELY_CLOSED_SIGMAS * error
        sought = closure.closed and together and lacks > SOUGHT_GAP * spacing
        closures.append(replace(closure, sought=sought))
    return closures[0], closures[1]


def _closure(gap: tuple[float, float], error: float, at_cut: tuple[float, float], spacing: float) -> Closure:
    """Whether what a layer lacks to close, a vector, is the error of its fit or a strain, and not a seam."""
    left = math.hypot(*gap)
    if left <= SURELY_CLOSED_SIGMAS * error + CLOSING_GAP * spacing:
        return Closure(closed=True, doubtful=left > SURELY_CLOSED_SIGMAS * error)
    is_at_cut = at_cut[0] * gap[0] + at_cut[1] * gap[1] >= SEAM_SHARE * left**2
    may_close = left <= min(CLOSING_SIGMAS * error, MAX_CLOSING_GAP * spacing)
    return Closure(closed=may_close and not is_at_cut, doubtful=may_close)
