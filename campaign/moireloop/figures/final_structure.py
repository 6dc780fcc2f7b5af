"""The structure that a run ended with, read back from its folder (adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from moireloop.figures.bilayer import FittedLattice, Lattices
from moireloop.structure_files import NoStructure, read_data_file
from moireloop_analyzer.settings import AnalyzerSettings

if TYPE_CHECKING:
    from moireloop_analyzer.estimate import TwistEstimate

Floats = npt.NDArray[np.floating[Any]]

Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class FinalStructure:
    """All atoms of a final frame seen along the normal of its layers, and what is measured of it.

    `points` (N, 2) are in angstrom, in the axes in which `plane` (2, 2) has the cell vectors a and b as rows, a along
    x; `heights` (N,) are along the normal. `axes` (3, 3) has these axes as rows, the normal last. `types` (N,) are the
    atom types, `lattice` marks those whose lattice carries the twist.
    """

    points: Floats
    heights: Floats
    types: Ints
    axes: Floats
    plane: Floats
    periodic: tuple[bool, bool]
    lattice: npt.NDArray[np.bool_]
    estimate: TwistEstimate


def read_structure(
    data_file: Path, lattice_types: Sequence[int], periodic: Sequence[bool], settings: AnalyzerSettings
) -> FinalStructure:
    """The atoms in a LAMMPS data file, measured as the analyzers of the campaign do it.

    Raises:
        NoStructure: there is no such file, it cannot be read, or its cell is degenerate.
    """
    # This takes half a second to import, which most commands need not wait.
    from moireloop_analyzer.geometry.box import box_of
    from moireloop_analyzer.refusal import Refusal
    from moireloop_analyzer.twist import measure_twist

    atoms = read_data_file(data_file)
    cell, types = atoms.cell, atoms.types
    box = box_of(cell, periodic)
    if isinstance(box, Refusal):
        raise NoStructure(f"{data_file}: {box.reason}")
    others = sorted({int(kind) for kind in types} - set(lattice_types))
    estimate = measure_twist(
        atoms.positions, types, cell, periodic,
        metal_types=tuple(lattice_types), chalcogen_types=tuple(others),
        estimator=settings.estimator, min_order=settings.min_order,
    )  # fmt: skip
    return FinalStructure(
        points=atoms.positions @ box.axes[:2].T,
        heights=atoms.positions @ box.axes[2],
        types=types,
        axes=box.axes,
        plane=box.plane,
        periodic=box.periodic,
        lattice=np.isin(types, lattice_types),
        estimate=estimate,
    )


def lattices_of(structure: FinalStructure) -> Lattices:
    """What the picture of a bilayer shows of a structure: layers, grains, fitted lattices."""
    estimate = structure.estimate
    lower, upper = estimate.lower_atoms, estimate.upper_atoms
    elsewhere = structure.lattice.copy()
    elsewhere[lower] = elsewhere[upper] = False
    return Lattices(
        lower=structure.points[lower],
        upper=structure.points[upper],
        cell=structure.plane,
        lower_fit=_fit(structure, estimate.vectors_lower, estimate.origin_lower),
        upper_fit=_fit(structure, estimate.vectors_upper, estimate.origin_upper),
        lower_grain=_grains(lower, [grain.atoms for grain in estimate.grains if grain.layer == "lower"]),
        upper_grain=_grains(upper, [grain.atoms for grain in estimate.grains if grain.layer == "upper"]),
        others=structure.points[elsewhere],
        periodic=structure.periodic,
    )


def _fit(structure: FinalStructure, vectors: Floats | None, origin: Floats | None) -> FittedLattice | None:
    """A lattice with rows (2, 3) and a site (3,) in the axes of the positions, seen along the normal."""
    if vectors is None or origin is None:
        return None
    return FittedLattice(structure.axes[:2] @ vectors.T, structure.axes[:2] @ origin)


def _grains(layer: Ints, grains: Sequence[Ints]) -> Ints | None:
    """Grain of each atom of a layer, 0 for the largest and -1 for none; None where no grains are known."""
    if not grains:
        return None
    number = np.full(len(layer), -1)
    for index, atoms in enumerate(grains):
        number[np.isin(layer, atoms)] = index
    return number
