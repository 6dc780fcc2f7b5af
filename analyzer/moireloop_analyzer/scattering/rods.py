"""The rods of a structure that repeats in the plane: one at each wave that fits into its cell (pure).

A frame that is repeated for ever scatters at the reciprocal vectors of its cell alone, and along the normal there
without a break. F(q) = sum_j f_j(|q|) exp(i q . r_j) over one cell says how much. Lattice spots, satellites and what
disorder scatters between them are all among these rods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from moireloop_analyzer.scattering.atoms import Atoms, Complex, Ints
from moireloop_analyzer.scattering.debye_waller import Heat
from moireloop_analyzer.structure.form_factors import Floats, Radiation

ATOMS_AT_ONCE: Final = 4096

RODS_AT_ONCE: Final = 512

MOST_RODS: Final = 2_000_000


@dataclass(frozen=True, eq=False)
class Rods:
    """Rods of one cell within a reach.

    Attributes:
        indices: (R, 2) of the cell's reciprocal vectors.
        vectors: (R, 2) in the plane, in inverse angstrom.
        intensity: (R,) or (Z, R) |F|^2 an atom, in square electrons (X-rays) or square angstrom (electrons).
        reciprocal: (2, 2) reciprocal vectors of the cell as rows.
    """

    indices: Ints
    vectors: Floats
    intensity: Floats
    reciprocal: Floats


class TooManyRods(ValueError):
    """The cell is too large for the reach; the text has both."""


def rods_at(
    atoms: Atoms, reach: float, normal: float, by: Radiation, heat: Heat, energy_kev: float | None = None
) -> Rods:
    """All rods up to `reach` at one component of q along the normal, both in inverse angstrom.

    Raises:
        TooManyRods: there are more than MOST_RODS.
    """
    reciprocal = 2.0 * math.pi * np.linalg.inv(atoms.period).T
    most = most_indices(atoms, reach)
    h, k = np.arange(-most[0], most[0] + 1), np.arange(-most[1], most[1] + 1)
    grid = np.stack(np.meshgrid(h, k, indexing="ij"), axis=-1)
    vectors = grid @ reciprocal
    inside = np.linalg.norm(vectors, axis=-1) <= reach
    lengths = np.hypot(np.linalg.norm(vectors[inside], axis=1), normal)
    factors = atoms.factors(lengths, by, heat, energy_kev)
    total = np.zeros(len(lengths), dtype=np.complex128)
    for row, kind in enumerate(atoms.kinds):
        total += factors[row] * _plane_sums(atoms, np.flatnonzero(atoms.types == kind), most, normal)[inside]
    intensity = np.abs(total) ** 2 / len(atoms.points) * atoms.filled
    return Rods(grid[inside], vectors[inside], intensity, reciprocal)


def rods_along(atoms: Atoms, indices: Ints, normals: Floats, by: Radiation, heat: Heat) -> Rods:
    """Some rods (R, 2), each at all components of q along the normal (Z,): `intensity` is (Z, R)."""
    reciprocal = 2.0 * math.pi * np.linalg.inv(atoms.period).T
    vectors = indices @ reciprocal
    lengths = np.hypot(np.linalg.norm(vectors, axis=1), normals[:, None])
    factors = atoms.factors(lengths.ravel(), by, heat).reshape(len(atoms.kinds), *lengths.shape)
    total, fractions = np.zeros(lengths.shape, dtype=np.complex128), atoms.points @ np.linalg.inv(atoms.period)
    most = np.abs(indices).max(axis=0)
    for row, kind in enumerate(atoms.kinds):
        chosen = np.flatnonzero(atoms.types == kind)
        upright = np.exp(1j * np.outer(normals, atoms.heights[chosen])).astype(np.complex64)
        first, second = (_powers(fractions[chosen, axis], most[axis]) for axis in (0, 1))
        for some in np.array_split(np.arange(len(indices)), 1 + len(indices) // RODS_AT_ONCE):
            flat = first[indices[some, 0] + most[0]] * second[indices[some, 1] + most[1]]
            total[:, some] += factors[row][:, some] * (upright @ flat.T)
    return Rods(indices, vectors, np.abs(total) ** 2 / len(atoms.points) * atoms.filled, reciprocal)


def most_indices(atoms: Atoms, reach: float) -> tuple[int, int]:
    """Largest index along each reciprocal vector of a rod within the reach. Raises TooManyRods."""
    first, second = (int(reach * float(np.linalg.norm(row)) / (2.0 * math.pi)) for row in atoms.period)
    if (2 * first + 1) * (2 * second + 1) > MOST_RODS:
        sides = " x ".join(f"{float(np.linalg.norm(row)):.1f}" for row in atoms.plane)
        raise TooManyRods(
            f"a cell of {sides} angstrom has more than {MOST_RODS} rods up to {reach:g} per angstrom; "
            "lower diffraction.reach_per_angstrom"
        )
    return first, second


def _plane_sums(atoms: Atoms, chosen: Ints, most: tuple[int, int], normal: float) -> Complex:
    """Sums of exp(i q . r) over some atoms by both indices; the wave is a product of one in each cell vector."""
    fractions = atoms.points @ np.linalg.inv(atoms.period)
    sums = np.zeros((2 * most[0] + 1, 2 * most[1] + 1), dtype=np.complex128)
    for some in np.array_split(chosen, 1 + len(chosen) // ATOMS_AT_ONCE):
        upright = np.exp(1j * normal * atoms.heights[some]).astype(np.complex64)
        sums += (_powers(fractions[some, 0], most[0]) * upright) @ _powers(fractions[some, 1], most[1]).T
    return sums


def _powers(fractions: Floats, most: int) -> Complex:
    """(2 H + 1, n) exp(2 pi i h s) for h from -H to H and fractions s of a cell vector."""
    rising = np.exp(2j * math.pi * np.outer(np.arange(most + 1), fractions))
    return np.asarray(np.concatenate([rising[:0:-1].conj(), rising]).astype(np.complex64))
