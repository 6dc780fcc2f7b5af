"""Which targets a campaign's cell admits over its search space, and which other cells would do (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop.cells.admitted import LARGEST_STRAIN, AdmittedTwist, admitted_twists, nearest_twists
from moireloop_broker.contract.search import SearchSpace, Target
from moireloop_worker.models.crystal import Crystal

SHEARED: Final = "shear_strain"

LEVELS: Final = 49
"""Shears over the search space at which layers are looked for."""

MOST_COUNTED: Final = 40.0
"""Length of a cell's vectors, in lattice constants, up to which its twists are counted."""

LARGEST_CELL: Final = 30

MOST_CELLS: Final = 3


@dataclass(frozen=True)
class Reach:
    """What a cell has for one target.

    Attributes:
        inside: the cheapest admitted twist within the tolerance; None where there is none.
        nearest: the admitted twists below and above the target.
        other: smallest cells, alike along both vectors, that admit it, each with its cheapest twist; empty where the
            campaign's own does.
    """

    target: Target
    inside: AdmittedTwist | None
    nearest: tuple[AdmittedTwist, ...]
    other: tuple[tuple[int, AdmittedTwist], ...] = ()


def space_twists(
    crystal: Crystal, space: SearchSpace, largest_strain: float = LARGEST_STRAIN
) -> tuple[AdmittedTwist, ...]:
    """The twists that the cell of a crystal admits at one shear or another of a search space.

    `place` of each is the number of the shear, see `shears`. The strain of a layer is counted beyond the lattice strain
    that a candidate asks for, so that it does not depend on it. Empty for a cell that `is_too_large`.
    """
    if is_too_large(crystal, space):
        return ()
    cells = _sheared(crystal, shears(space))
    sites = crystal.cells[0] * crystal.cells[1]
    return admitted_twists(cells, crystal.lattice_angstrom, lower_sites=sites, largest_strain=largest_strain)


def is_too_large(crystal: Crystal, space: SearchSpace) -> bool:
    """Whether the layers of a cell are too many to be counted; a cell as large admits nearly any twist."""
    lengths = np.linalg.norm(_sheared(crystal, shears(space)), axis=2)
    return float(lengths.max()) > MOST_COUNTED * crystal.lattice_angstrom


def shears(space: SearchSpace) -> npt.NDArray[np.float64]:
    """(S,) evenly spaced shears of a search space; only 0 where it has none."""
    ranges = space.root
    if SHEARED not in ranges:
        return np.zeros(1)
    low, high = ranges[SHEARED]
    return np.linspace(low, high, LEVELS)


def reach_of(
    crystal: Crystal, space: SearchSpace, targets: Sequence[Target], largest_strain: float = LARGEST_STRAIN
) -> list[Reach]:
    """What the cell has for each target, and the smallest cells that would do where it has nothing."""
    admitted = space_twists(crystal, space, largest_strain)
    reaches = [
        Reach(target, _inside(admitted, target), nearest_twists(admitted, target.twist_deg)) for target in targets
    ]
    missing = [each.target for each in reaches if each.inside is None]
    others = _smallest_cells(crystal, space, missing, largest_strain) if missing else {}
    return [replace(each, other=tuple(others.get(each.target, ()))) for each in reaches]


def _smallest_cells(
    crystal: Crystal, space: SearchSpace, targets: Sequence[Target], largest_strain: float
) -> Mapping[Target, list[tuple[int, AdmittedTwist]]]:
    found: dict[Target, list[tuple[int, AdmittedTwist]]] = {target: [] for target in targets}
    for size in range(2, LARGEST_CELL + 1):
        if all(len(cells) >= MOST_CELLS for cells in found.values()):
            break
        admitted = space_twists(replace(crystal, cells=(size, size)), space, largest_strain)
        for target, cells in found.items():
            inside = _inside(admitted, target)
            if inside is not None and len(cells) < MOST_CELLS:
                cells.append((size, inside))
    return found


def _inside(admitted: Sequence[AdmittedTwist], target: Target) -> AdmittedTwist | None:
    within = [each for each in admitted if abs(each.twist_deg - target.twist_deg) <= target.tolerance_deg]
    return min(within, key=lambda each: each.strain, default=None)


def _sheared(crystal: Crystal, shear_strain: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.array([crystal.cell_angstrom({SHEARED: float(shear)}) for shear in shear_strain])
