"""Nearest neighbours: how many an atom has, and the paper's order parameter that counts them (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_analyzer.geometry.arguments import checked_arrays
from moireloop_analyzer.geometry.cell_list import Ints, cell_list, species_of
from moireloop_analyzer.refusal import Refusal

SEED_WINDOW_ANGSTROM: Final = (2.4, 2.6)

SEED_CUTOFF_ANGSTROM: Final = 3.0

BOND_CUTOFF_ANGSTROM: Final = 3.0
"""Between the bond of metal and chalcogen (2.41 angstrom in MoS2) and their second shell (3.97)."""

METAL_CUTOFF_ANGSTROM: Final = 4.3
"""Between the first (3.16 angstrom in MoS2) and the second shell (5.47) of the metals of a layer."""


@dataclass(frozen=True)
class Coordination:
    """Neighbours of each atom, and quantities derived from them.

    `around_metals` (M,) are the chalcogens within 3.0 angstrom of each metal atom, six in the crystal, and
    `around_chalcogens` (X,) the metals around each chalcogen, three in the crystal. `in_plane` (M,) are the metals
    within 4.3 angstrom of each metal, six in the crystal; the other layer's are farther away. Means and shares are None
    where there are no such atoms.
    """

    around_metals: Ints
    around_chalcogens: Ints
    in_plane: Ints

    @property
    def mean_around_metals(self) -> float | None:
        """Mean number of chalcogens around a metal atom."""
        return _mean(self.around_metals)

    @property
    def mean_around_chalcogens(self) -> float | None:
        """Mean number of metal atoms around a chalcogen."""
        return _mean(self.around_chalcogens)

    @property
    def mean_in_plane(self) -> float | None:
        """Mean number of metal atoms around a metal atom."""
        return _mean(self.in_plane)

    @property
    def six_fold_share(self) -> float | None:
        """Share of the metal atoms, in [0, 1], that have exactly six chalcogens."""
        return _mean(self.around_metals == 6)


def neighbour_counts(
    positions: npt.ArrayLike,
    types: npt.ArrayLike,
    cell: npt.ArrayLike,
    pbc: Sequence[bool],
    *,
    cutoff_angstrom: float,
) -> dict[int, Ints] | Refusal:
    """Of each type how many atoms lie within the cutoff of each atom, (N,), images included.

    Positions (N, 3) and the rows of the cell are in angstrom. Raises ValueError for arrays of a wrong shape.
    """
    places, kinds, vectors = checked_arrays(positions, types, cell)
    atoms = cell_list(places, vectors, pbc, cutoff_angstrom)
    if isinstance(atoms, Refusal):
        return atoms
    names, species = species_of(kinds)
    _, around = atoms.counted(species, len(names), cutoff_angstrom, 1)
    return {int(name): around[:, column] for column, name in enumerate(names)}


def coordination(
    positions: npt.ArrayLike,
    types: npt.ArrayLike,
    cell: npt.ArrayLike,
    pbc: Sequence[bool] = (True, True, False),
    *,
    metal_types: Sequence[int] = (1,),
    chalcogen_types: Sequence[int] = (2,),
) -> Coordination | Refusal:
    """Coordination numbers of a bilayer MX2; atoms of other types do not count.

    Positions (N, 3) and the rows of the cell are in angstrom. Raises ValueError for arrays of a wrong shape.
    """
    kinds = np.asarray(types)
    role = np.where(np.isin(kinds, list(metal_types)), 1, np.where(np.isin(kinds, list(chalcogen_types)), 2, 0))
    bonded = neighbour_counts(positions, role, cell, pbc, cutoff_angstrom=BOND_CUTOFF_ANGSTROM)
    near = neighbour_counts(positions, role, cell, pbc, cutoff_angstrom=METAL_CUTOFF_ANGSTROM)
    if isinstance(bonded, Refusal):
        return bonded
    if isinstance(near, Refusal):
        return near
    none = np.zeros(len(role), dtype=np.int64)
    return Coordination(
        around_metals=bonded.get(2, none)[role == 1],
        around_chalcogens=bonded.get(1, none)[role == 2],
        in_plane=near.get(1, none)[role == 1],
    )


def first_peak_share(
    positions: npt.ArrayLike,
    cell: npt.ArrayLike,
    pbc: Sequence[bool],
    *,
    window_angstrom: tuple[float, float] = SEED_WINDOW_ANGSTROM,
    cutoff_angstrom: float = SEED_CUTOFF_ANGSTROM,
) -> float | Refusal:
    """The paper's order parameter as a share in [0, 1]: pairs inside the window over pairs inside the cutoff.

    Positions (N, 3) and cell (3, 3) are in angstrom. The paper counts the pairs in 2.4 to 2.6 angstrom, where the
    Mo-S bond of pristine MoS2 lies, of the pair correlation up to 3 angstrom; the share does not grow with N. It
    is 0 without pairs. Raises ValueError for a window that does not lie within the cutoff.
    """
    low, high = window_angstrom
    if not 0.0 < low < high <= cutoff_angstrom:
        raise ValueError(f"expected a window above 0 and within the cutoff {cutoff_angstrom}, got {window_angstrom}")
    ends = []
    for radius in (math.nextafter(low, 0.0), high, cutoff_angstrom):
        counts = neighbour_counts(positions, np.ones(len(np.asarray(positions))), cell, pbc, cutoff_angstrom=radius)
        if isinstance(counts, Refusal):
            return counts
        ends.append(sum(int(around.sum()) for around in counts.values()))
    below, inside, everything = ends
    return (inside - below) / everything if everything else 0.0


def _mean(values: npt.NDArray[np.bool_] | Ints) -> float | None:
    return float(np.mean(values)) if len(values) else None
