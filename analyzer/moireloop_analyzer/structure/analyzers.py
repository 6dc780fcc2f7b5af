"""Two analyzers besides the twist: pair correlation with order, and diffraction (pure).

They are registered as `pair_correlation` and `diffraction`. docs/science.md says what the names in their results mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.analysis import Analysis, Snapshot
from moireloop_analyzer.geometry.box import box_of
from moireloop_analyzer.refusal import Refusal
from moireloop_analyzer.structure.coordination import Coordination, coordination, first_peak_share
from moireloop_analyzer.structure.diffraction import Diffraction, Spots, diffract
from moireloop_analyzer.structure.pair_correlation import first_peak, pair_correlation

ROLES: Final = {(1, 1): "metal_metal", (1, 2): "metal_chalcogen", (2, 2): "chalcogen_chalcogen"}


def pair_correlation_analysis(snapshot: Snapshot) -> Analysis:
    """g(r) to 8 angstrom, its first peak, the paper's order parameter and coordination numbers.

    Numbers: `first_peak_angstrom`, `first_peak_height`, `seed_order`, `thickness_angstrom`, `chalcogens_around_metal`,
    `metals_around_chalcogen`, `metals_around_metal`, `six_fold_share`. Arrays (120,): `radius_angstrom`, `g`, and of
    each pair of roles that there is `g_metal_metal`, `g_metal_chalcogen`, `g_chalcogen_chalcogen`.
    """
    roles = np.where(np.isin(snapshot.types, list(snapshot.metal_types)), 1, 2)
    g = pair_correlation(snapshot.positions, roles, snapshot.cell, snapshot.pbc)
    order = first_peak_share(snapshot.positions, snapshot.cell, snapshot.pbc)
    around = coordination(
        snapshot.positions, roles, snapshot.cell, snapshot.pbc, metal_types=(1,), chalcogen_types=(2,)
    )
    if isinstance(g, Refusal):
        return Analysis(reasons={"g": g.reason})
    if isinstance(order, Refusal):
        return Analysis(reasons={"seed_order": order.reason})
    if isinstance(around, Refusal):
        return Analysis(reasons={"metals_around_metal": around.reason})
    numbers: dict[str, float | None] = {
        "seed_order": order if (roles == 2).any() else None,
        "thickness_angstrom": g.thickness_angstrom,
    }
    peak = first_peak(g)
    numbers |= {"first_peak_angstrom": peak and peak[0], "first_peak_height": peak and peak[1]} | _coordinated(around)
    arrays = {"radius_angstrom": g.radius_angstrom, "g": g.total}
    arrays |= {f"g_{ROLES[pair]}": values for pair, values in g.partial.items()}
    return Analysis(_present_numbers(numbers), arrays, _why_missing(numbers))


def diffraction_analysis(snapshot: Snapshot) -> Analysis:
    """Intensities of the first rings of both lattices and of the moire satellites, for X-rays and for electrons.

    Numbers: the mean of each ring as `lower_10_xray`, `upper_11_electron` and so on; `satellite_xray` and
    `satellite_electron`, the brightest satellites; `moire_per_angstrom`, the mean length of the moire vectors;
    `peak_width_per_angstrom`; `unknown_element_share`, the share of the atoms that scatter as points. Arrays with rows
    (q_x, q_y, X-rays, electrons), in the axes of the cell with a along x: `lower_spots` and `upper_spots` (18, 4), the
    rings {10}, {11} and {20} one after the other, and `satellites` (M, 4).
    """
    rows = snapshot.twist.vectors_lower, snapshot.twist.vectors_upper
    box = box_of(snapshot.cell, snapshot.pbc)
    if rows[0] is None or rows[1] is None or isinstance(box, Refusal):
        return Analysis(reasons={"lower_spots": snapshot.twist.reason or "no lattices were fitted"})
    points = in_one_cell(snapshot.positions @ box.axes[:2].T, box.plane, box.periodic)
    area = box.area if all(box.periodic) else max(float(np.prod(np.ptp(points, axis=0))), 1e-6)
    lower, upper = (box.axes[:2] @ vectors.T for vectors in (rows[0], rows[1]))
    diffraction = diffract(points, snapshot.types, lower, upper, snapshot.elements, area)
    numbers: dict[str, float | None] = {
        "moire_per_angstrom": float(np.linalg.norm(diffraction.moire, axis=1).mean()),
        "peak_width_per_angstrom": diffraction.peak_width,
        "unknown_element_share": float(np.isin(snapshot.types, diffraction.point_types).mean()),
    }
    numbers |= _rings("lower", diffraction.lower) | _rings("upper", diffraction.upper) | _brightest(diffraction)
    arrays = {
        "lower_spots": np.concatenate([_rows(spots) for spots in diffraction.lower.values()]),
        "upper_spots": np.concatenate([_rows(spots) for spots in diffraction.upper.values()]),
        "satellites": _rows(diffraction.satellites),
    }
    dark = {"satellite_xray": "the moire satellites are nearer to the spots of a lattice than a spot is wide"}
    return Analysis(_present_numbers(numbers), arrays, {} if len(diffraction.satellites.xray) else dark)


def in_one_cell(
    points: npt.NDArray[np.float64], plane: npt.NDArray[np.floating[Any]], periodic: tuple[bool, bool]
) -> npt.NDArray[np.float64]:
    """Points (N, 2) wrapped into the cell with rows a and b, along its periodic directions only."""
    laps = np.where(periodic, np.floor(points @ np.linalg.inv(plane)), 0.0)
    inside: npt.NDArray[np.float64] = points - laps @ plane
    return inside


def _coordinated(around: Coordination) -> dict[str, float | None]:
    has_bonds = len(around.around_metals) > 0 and len(around.around_chalcogens) > 0
    return {
        "chalcogens_around_metal": around.mean_around_metals if has_bonds else None,
        "metals_around_chalcogen": around.mean_around_chalcogens if has_bonds else None,
        "metals_around_metal": around.mean_in_plane,
        "six_fold_share": around.six_fold_share if has_bonds else None,
    }


def _rings(layer: str, rings: Mapping[str, Spots]) -> dict[str, float]:
    return {
        f"{layer}_{ring}_{by}": float(getattr(spots, by).mean())
        for ring, spots in rings.items()
        for by in ("xray", "electron")
    }


def _brightest(found: Diffraction) -> dict[str, float | None]:
    if not len(found.satellites.xray):
        return {}
    return {
        "satellite_xray": float(found.satellites.xray.max()),
        "satellite_electron": float(found.satellites.electron.max()),
    }


def _rows(spots: Spots) -> npt.NDArray[np.float64]:
    return np.column_stack([spots.vectors, spots.xray, spots.electron])


def _present_numbers(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if value is not None}


def _why_missing(numbers: Mapping[str, float | None]) -> dict[str, str]:
    return {name: "the frame has nothing to take it from" for name, value in numbers.items() if value is None}
