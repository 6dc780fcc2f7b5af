"""Writes what diffsims, a package of others, computes for MoS2 layers of these tests: diffsims_reference.json.

Run by hand in an environment that has diffsims as well: `python -m tests.physics.diffsims_reference`. The numbers are
|F|^2 in square angstrom, by electron factors of the International Tables C and by those of Lobato and Van Dyck.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from moireloop_analyzer.scattering.atoms import Atoms
from tests.helpers.bilayers import Bilayer, Floats
from tests.helpers.mx2 import MOS2, mx2
from tests.physics.distortions import torsional

FILE: Final = Path(__file__).with_suffix(".json")

HEIGHT: Final = 40.0
"""Of the cell along the normal, in angstrom: the third index counts steps of 2 pi / HEIGHT along a rod."""

AMPLITUDE: Final = 0.226
"""Of the distortion, in angstrom."""

FACTORS: Final = {"international_tables": "xtables", "lobato": "lobato"}

DEBYE_WALLER: Final = {"Mo": 0.5, "S": 0.6}
"""B = 8 pi^2 u^2 in square angstrom."""

LEVELS: Final = (0, 4, 8, 13)

KEPT: Final = 60
"""Brightest rods of the bilayer that the file keeps at each level."""


def structures() -> dict[str, Atoms]:
    """One layer, and a bilayer of 13.17 degrees whose layers are distorted at the moire vectors."""
    bilayer = mx2(3, 2)
    plain = replace(bilayer, types=np.where(bilayer.types <= 2, 1, 2))
    distorted = replace(torsional(plain, AMPLITUDE)[0], types=bilayer.types)
    single = mx2(1, 0)
    lower = single.types <= 2
    layer = Bilayer(single.positions[lower], single.types[lower], single.cell)
    return {"layer": _seen(layer), "bilayer": _seen(distorted)}


def _seen(one: Bilayer) -> Atoms:
    atoms = Atoms.of_frame(one.positions, one.types, one.cell, one.pbc, MOS2)
    assert isinstance(atoms, Atoms)
    return atoms


def main() -> None:
    """Write the file."""
    found = {name: {level: _rods(atoms, level) for level in LEVELS} for name, atoms in structures().items()}
    FILE.write_text(json.dumps({"diffsims": _version(), **found}, indent=None, separators=(",", ":")) + "\n")


def _rods(atoms: Atoms, level: int, reach: float = 5.2) -> dict[str, Any]:
    from diffsims.utils.sim_utils import get_kinematical_intensities

    reciprocal = 2.0 * math.pi * np.linalg.inv(atoms.plane).T
    most = [int(reach * float(np.linalg.norm(row)) / (2.0 * math.pi)) for row in atoms.plane]
    grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 2)
    lengths = np.linalg.norm(grid @ reciprocal, axis=1)
    grid = grid[(lengths <= reach) & (lengths > 1.0)]
    q = np.hypot(np.linalg.norm(grid @ reciprocal, axis=1), 2.0 * math.pi * level / HEIGHT)
    indices, spacings = np.c_[grid, np.full(len(grid), level)], q / (2.0 * math.pi)
    crystal = _crystal(atoms)
    seen = {
        name: get_kinematical_intensities(crystal, indices, spacings, prefactor=1.0, scattering_params=factors)
        for name, factors in FACTORS.items()
    }
    seen["warm"] = get_kinematical_intensities(
        crystal, indices, spacings, prefactor=1.0, scattering_params="lobato", debye_waller_factors=DEBYE_WALLER
    )
    order = np.argsort(-seen["lobato"], kind="stable")[:KEPT]
    return {"indices": grid[order].tolist(), **{name: _rounded(values[order]) for name, values in seen.items()}}


def _crystal(atoms: Atoms) -> Any:
    from diffpy.structure import Atom, Lattice, Structure

    first, second = atoms.plane
    a, b = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    angle = math.degrees(math.acos(float(first @ second) / (a * b)))
    fractions = np.c_[atoms.points @ np.linalg.inv(atoms.plane), atoms.heights / HEIGHT]
    symbols = [atoms.elements[int(kind)] for kind in atoms.types]
    sites = [Atom(symbol, place) for symbol, place in zip(symbols, fractions.tolist(), strict=True)]
    return Structure(sites, Lattice(a, b, HEIGHT, 90.0, 90.0, angle))


def _rounded(values: Floats) -> Sequence[float]:
    return [float(f"{value:.5g}") for value in values]


def _version() -> str:
    from importlib.metadata import version

    return version("diffsims")


if __name__ == "__main__":
    main()
