"""Two or more lattices and the place of the direct beam, fitted together to the peaks that are theirs (pure).

The model is linear, q = (h, k) @ matrix + centre, so the covariance follows from linear least squares. It is
multiplied by chi^2 over its degrees of freedom where that is above 1: where the stated errors are too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.patterns.lattices.search import NEAR, Metric, matched
from moireloop_analyzer.patterns.peaks import Floats, Ints, Peaks
from moireloop_analyzer.patterns.reciprocal import first_ring

BLEND: Final = 0.06
"""For the first ring: a spot without its own peak may lie under the peak of another spot this near."""

FULL_WIDTHS: Final = 1.2
"""Two spots closer than this many full widths at half maximum may appear as one peak."""


@dataclass(frozen=True, eq=False)
class JointFit:
    """Lattices and what they explain.

    Attributes:
        matrices: (L, 2, 2) reciprocal lattices.
        covariance: (4 L, 4 L) of their elements, row by row, one lattice after the other.
        owner: (N,) number of the lattice of each peak, -1 of those that no lattice explains.
        indices: (N, 2) which spot of that lattice it is.
        used: (N,) whether the peak was fitted: those that may be spots of two lattices in one were not.
        reduced: chi^2 over its degrees of freedom.
        freedom: degrees of freedom.
    """

    matrices: Floats
    covariance: Floats
    owner: Ints
    indices: Ints
    used: npt.NDArray[np.bool_]
    reduced: float
    freedom: int


def fit_together(peaks: Peaks, start: Sequence[Floats], sites: Ints, constant: float) -> JointFit | None:
    """Fit lattices to the peaks, each the nearest lattice's; None where a lattice has too few of them.

    Args:
        peaks: with errors.
        start: lattices to begin with, right to a few errors.
        sites: (M, 2) indices of the spots that may be seen.
        constant: of the lattices, in angstrom, to say what is near.
    """
    matrices = np.stack(list(start))
    blend = np.maximum(BLEND * first_ring(constant), 0.0)
    fitted = None
    for _ in range(4):
        owner, indices, blended = _assigned(peaks, matrices, sites, blend)
        used = (owner >= 0) & ~blended
        fitted = _solved(peaks, len(matrices), owner, indices, used)
        if fitted is None:
            return None
        if np.abs(fitted.matrices - matrices).max() < 1e-9:
            break
        matrices = fitted.matrices
    return fitted


def _assigned(peaks: Peaks, matrices: Floats, sites: Ints, blend: float) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    metric = Metric.of(peaks)
    seen, peak = matched(matrices, sites, metric, NEAR)
    apart = metric.distance2(sites @ matrices)
    owner, which = np.full(len(peaks), -1), np.zeros(len(peaks), dtype=int)
    best = np.full(len(peaks), np.inf)
    for lattice, site in zip(*np.nonzero(seen), strict=True):
        number = peak[lattice, site]
        if apart[lattice, site, number] < best[number]:
            best[number], owner[number], which[number] = apart[lattice, site, number], lattice, site
    taken = np.zeros((len(matrices), len(sites)), dtype=np.bool_)
    own = owner >= 0
    taken[owner[own], which[own]] = True
    return owner, sites[which], _blended(peaks, sites @ matrices, owner, taken, blend)


def _blended(
    peaks: Peaks, spots: Floats, owner: Ints, taken: npt.NDArray[np.bool_], blend: float
) -> npt.NDArray[np.bool_]:
    """(N,) peaks near a spot of another lattice without its own peak: that peak may lie under this one."""
    width = np.maximum(peaks.width_radial, peaks.width_azimuthal)
    reach = np.maximum(np.where(np.isfinite(width), FULL_WIDTHS * width, blend), peaks.joined_within)
    is_found = np.zeros(len(peaks), dtype=np.bool_)
    for lattice in range(len(spots)):
        alone = spots[lattice][~taken[lattice]]
        if len(alone):
            apart = np.linalg.norm(peaks.q[:, None] - alone, axis=-1).min(axis=1)
            is_found |= (owner >= 0) & (owner != lattice) & (apart < reach)
    return is_found


def _solved(peaks: Peaks, lattices: int, owner: Ints, indices: Ints, used: npt.NDArray[np.bool_]) -> JointFit | None:
    chosen = np.flatnonzero(used)
    white = peaks.whitening()[chosen]
    free_centre = peaks.centre_error > 0
    columns = 4 * lattices + 2 * free_centre
    rows = np.zeros((len(chosen), 2, columns))
    for place in (0, 1):
        for part in (0, 1):
            rows[np.arange(len(chosen)), :, 4 * owner[chosen] + 2 * part + place] = (
                white[:, :, place] * indices[chosen, part, None]
            )
        if free_centre:
            rows[:, :, 4 * lattices + place] = white[:, :, place]
    design = rows.reshape(-1, columns)
    aims = np.einsum("nab,nb->na", white, peaks.q[chosen]).ravel()
    if free_centre:
        design = np.concatenate([design, np.eye(columns)[-2:] / peaks.centre_error])
        aims = np.concatenate([aims, np.zeros(2)])
    freedom = 2 * len(chosen) - 4 * lattices
    scale = np.linalg.norm(design, axis=0)
    if freedom < 1 or (scale == 0).any():
        return None
    normal = (design / scale).T @ (design / scale)
    if np.linalg.cond(normal) > 1e10:
        return None
    inverse = np.linalg.inv(normal) / np.outer(scale, scale)
    values = inverse @ (design.T @ aims)
    reduced = float(((design @ values - aims) ** 2).sum()) / freedom
    count = 4 * lattices
    covariance = inverse[:count, :count] * max(reduced, 1.0)
    return JointFit(values[:count].reshape(-1, 2, 2), covariance, owner, indices, used, reduced, freedom)
