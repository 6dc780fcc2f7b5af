"""Growth model `noop`: no MD, a perfect bilayer as the final frame. It measures what a queue costs (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from moireloop_worker.models.growth_model import Configuration, Limits, Preparation, Still
from moireloop_worker.models.settings import NoopSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SPACING_ANGSTROM: Final = 6.3

HEIGHT_ANGSTROM: Final = 30.0

PARAMETERS: Final[Mapping[str, Limits]] = MappingProxyType(
    {"temperature_k": (1.0, 1e6), "lattice_strain": (-1.0, 1.0), "shear_strain": (-1.0, 1.0)}
)


class Noop:
    """A model that computes nothing and takes any parameters."""

    name = "noop"
    lattice_types = (1, 2)
    elements: tuple[str, ...] = ()
    periodic = (True, True, False)
    potential_files: tuple[Path, ...] = ()

    def __init__(self, settings: NoopSettings) -> None:
        self._still = Still(_bilayer(settings.cells, settings.lattice_angstrom))

    @property
    def parameters(self) -> Mapping[str, Limits]:
        """Those of the other models, so that a campaign file needs no other search space; they are not used."""
        return PARAMETERS

    def preparation(self, seed: int, lammps_version: int) -> Preparation | None:
        """None."""
        return None

    def plan(self, parameters: Mapping[str, float], seed: int, prepared: str | None) -> Still:
        """The perfect bilayer, the same for every candidate."""
        return self._still


def _bilayer(cells: tuple[int, int], lattice_angstrom: float) -> Configuration:
    """Two hexagonal layers of `cells` in AB stacking; types 1 (lower) and 2 (upper)."""
    import numpy as np

    a = lattice_angstrom * np.array([1.0, 0.0, 0.0])
    b = lattice_angstrom * np.array([0.5, math.sqrt(0.75), 0.0])
    rows, columns = np.indices(cells).reshape(2, -1, 1)
    lower = rows * a + columns * b
    upper = lower + (a + b) / 3 + np.array([0.0, 0.0, SPACING_ANGSTROM])
    cell = np.array([cells[0] * a, cells[1] * b, [0.0, 0.0, HEIGHT_ANGSTROM]])
    positions: npt.NDArray[np.float32] = np.concatenate([lower, upper]).astype(np.float32)
    types = np.repeat(np.array([1, 2], dtype=np.uint8), len(lower))
    return Configuration(0, 0.0, None, cell, positions, types)
