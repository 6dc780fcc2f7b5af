"""Lattice indices of the atoms of a layer that hang together by good bonds (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from moireloop_analyzer.neighbours import Floats, Ints, Pairs

FEWEST_RINGS: Final = 3
CROSSING_COST: Final = 0.02
"""Extra cost in spacings of a bond through the boundary: a perfect layer is not followed round in one long row."""


@dataclass(frozen=True)
class Grain:
    """The largest set of atoms joined by good bonds.

    `atoms` (M,) are indices into the layer; `indices` (M, 2) their lattice indices, counted along bonds from one of
    them, and `cells` (M, 2) the cell vectors to add to each position so that positions follow the same way.
    `crossings` (B, 2) and `sums` (B, 2) belong to the bonds that close a ring through the periodic boundary: how often
    the ring goes round each direction, and the lattice indices by which its end differs from its start.
    """

    atoms: Ints
    indices: Floats
    cells: Floats
    crossings: Floats
    sums: Floats

    def rings(self, axis: int) -> npt.NDArray[np.bool_]:
        """Which closing bonds tell of one direction: those of rings round it alone, or round both if those are few."""
        around: npt.NDArray[np.bool_] = self.crossings[:, axis] != 0
        alone: npt.NDArray[np.bool_] = around & (self.crossings[:, 1 - axis] == 0)
        return alone if np.count_nonzero(alone) >= FEWEST_RINGS else around


def largest_grain(bonds: Pairs, steps: Floats, misfit: Floats, atoms: int) -> Grain:
    """Follow the bonds with the least misfit first (a minimum spanning tree) and count lattice steps.

    Args:
        bonds: good bonds of a layer of this many atoms.
        steps: (P, 2) lattice indices of each bond.
        misfit: (P,) how far each bond is from its lattice vector, in spacings.
    """
    tree, chosen, keys = _tree(bonds, misfit, atoms)
    parent, members = _largest_component(tree, atoms)
    walk: Floats = np.zeros((atoms, 4))
    child = np.flatnonzero(parent != np.arange(atoms))
    low, high = np.minimum(child, parent[child]), np.maximum(child, parent[child])
    bond = chosen[np.searchsorted(keys, low * atoms + high)]
    sign = np.where(bonds.first[bond] == child, -1.0, 1.0)[:, None]
    walk[child] = sign * np.column_stack([steps[bond], bonds.shifts[bond]])
    walk = _summed_to_root(walk, parent)
    closing = walk[bonds.first] + np.column_stack([steps, bonds.shifts]) - walk[bonds.second]
    inside = np.isin(bonds.first, members) & np.any(closing[:, 2:] != 0, axis=1)
    return Grain(
        atoms=members,
        indices=walk[members, :2],
        cells=walk[members, 2:],
        crossings=closing[inside, 2:],
        sums=closing[inside, :2],
    )


def _tree(bonds: Pairs, misfit: Floats, atoms: int) -> tuple[csr_matrix, Ints, Ints]:
    """Spanning tree, and the best bond of each pair of atoms with its sorted key first * atoms + second."""
    keys = bonds.first * atoms + bonds.second
    order = np.lexsort((misfit, keys))
    fresh = np.append(True, np.diff(keys[order]) > 0)[: len(order)]
    chosen = order[fresh & (bonds.first[order] != bonds.second[order])]
    ends = (bonds.first[chosen], bonds.second[chosen])
    costs = misfit[chosen] + 1e-3 + CROSSING_COST * np.any(bonds.shifts[chosen] != 0, axis=1)
    graph = csr_matrix((costs, ends), shape=(atoms, atoms))
    return minimum_spanning_tree(graph), chosen, keys[chosen]


def _largest_component(tree: csr_matrix, atoms: int) -> tuple[Ints, Ints]:
    """Parent of each atom of the largest component (of itself elsewhere), and the atoms of that component."""
    labels = connected_components(tree, directed=False)[1]
    biggest = int(np.bincount(labels).argmax())
    members = np.flatnonzero(labels == biggest)
    _, before = breadth_first_order(tree, members[0], directed=False)
    parent = np.arange(atoms)
    parent[members[1:]] = before[members[1:]]
    return parent, members


def _summed_to_root(walk: Floats, parent: Ints) -> Floats:
    """Sum of the steps from the root to each atom, by doubling the distance looked back."""
    for _ in range(len(parent).bit_length()):
        walk = walk + walk[parent]
        before, parent = parent, parent[parent]
        if np.array_equal(before, parent):
            break
    return walk
