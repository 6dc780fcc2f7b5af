"""What a growth model is: it turns growth parameters into a plan of LAMMPS commands (pure).

A plan says everything that an engine needs and nothing about how it is run. The structure that a run starts from is
prepared by a separate plan, named by its content, so that it is computed once and found again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Limits = tuple[float, float]

Directions = tuple[bool, bool, bool]

LARGEST_SEED: Final = 800_000_000
"""LAMMPS takes Marsaglia seeds below 900 000 000 and adds the rank's number to them."""


class ParametersRefused(ValueError):
    """The parameters of a candidate are not those that its growth model takes; the text says which."""


class Once(str):
    """A LAMMPS command that changes atoms or cell: left out when a run continues behind it from a restart file."""

    __slots__ = ()


class Output(str):
    """A LAMMPS command that only writes output: it moves no atom, so restart files do not depend on it."""

    __slots__ = ()


@dataclass(frozen=True)
class Stage:
    """A part of a run: LAMMPS commands that set it up, then `steps` time steps; ramps span exactly these steps.

    When a run continues from a restart file, the commands of all stages up to the stage of the file's step are given
    again, except the ones marked `Once`. A stage of which no step was done yet gets all its commands.
    """

    name: str
    commands: tuple[str, ...]
    steps: int


@dataclass(frozen=True)
class Plan:
    """A whole run in the order in which LAMMPS gets it.

    `setup` fits an empty LAMMPS (units, boundaries), `structure` makes the atoms and their cell (a restart file takes
    its place), `forces` is all that acts on them from then on, and the stages follow one after another.
    `elements` names the chemical element of each atom type for files that others read; empty where there are none.
    With `goes_on` false no restart files are written: its runs could not correctly continue from one.
    """

    setup: tuple[str, ...]
    structure: tuple[str, ...]
    forces: tuple[str, ...]
    stages: tuple[Stage, ...]
    timestep_ps: float
    elements: tuple[str, ...] = ()
    goes_on: bool = field(default=True, repr=False)

    @property
    def steps(self) -> int:
        """Steps of all stages together."""
        return sum(stage.steps for stage in self.stages)


@dataclass(frozen=True, eq=False)
class Configuration:
    """One instant of a run.

    `cell` holds the rows a, b, c in angstrom, (3, 3); `positions` float32 (N, 3) in angstrom and `types` uint8 (N,)
    are in the same order in each snapshot of a run. Temperature, pressure and energies refer to the whole system at
    the end of the step; None where they are not known or not finite. With `parts` above 1 the atoms belong to one
    rank, number `part`, and come in any order.
    """

    step: int
    time_ps: float
    temperature_k: float | None
    cell: npt.NDArray[np.float64]
    positions: npt.NDArray[np.float32]
    types: npt.NDArray[np.uint8]
    pressure_bar: float | None = None
    potential_ev: float | None = None
    kinetic_ev: float | None = None
    part: int = 0
    parts: int = 1


@dataclass(frozen=True)
class Selection:
    """Which atoms snapshots hold: atoms of `types`, or all atoms if it is empty.

    Configurations of more than `part_atoms` of them are not put together: each rank keeps its own part. None: never.
    """

    types: tuple[int, ...] = ()
    part_atoms: int | None = None


@dataclass(frozen=True, eq=False)
class Still:
    """A run without MD: what would be its last snapshot."""

    snapshot: Configuration


@dataclass(frozen=True)
class Molten:
    """What the upper layer must be at step `step` of its preparation: |psi6| of its atoms is at most `max_order`.

    Only its atoms of type `layer_type` count.
    """

    layer_type: int
    max_order: float
    step: int


@dataclass(frozen=True)
class Preparation:
    """How the structure that runs start from is made, the key under which it is kept, and what it must be."""

    plan: Plan
    key: str
    molten: Molten | None = None


class GrowthModel(Protocol):
    """A potential and a protocol of growth. Implementations are pure."""

    @property
    def name(self) -> str:
        """The key `model` of its settings."""

    @property
    def lattice_types(self) -> tuple[int, ...]:
        """The atom types whose in-plane lattice carries the twist."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical element of each atom type, from type 1 on; empty where there are none."""

    @property
    def periodic(self) -> Directions:
        """Whether the cell is periodic along a, b and c."""

    @property
    def parameters(self) -> Mapping[str, Limits]:
        """Its growth parameters and the hard limits of each, both ends allowed."""

    @property
    def potential_files(self) -> tuple[Path, ...]:
        """The files that its force field is read from, for the provenance; empty where there are none."""

    def preparation(self, seed: int, lammps_version: int) -> Preparation | None:
        """What to prepare for candidates with this seed; None where nothing is needed."""

    def plan(self, parameters: Mapping[str, float], seed: int, prepared: str | None) -> Plan | Still:
        """The run of one candidate.

        Args:
            parameters: growth parameter to value, with exactly the names in `parameters`.
            seed: of every random number of this run, in [1, LARGEST_SEED].
            prepared: path of the LAMMPS data file that the preparation made, or None if there is none.

        Raises:
            ParametersRefused: a parameter is missing, unknown or outside its limits.
        """


def run_seed(candidate_seed: int, attempt: int) -> int:
    """Seed of one attempt, in [1, LARGEST_SEED]: from SHA-256 of "seed:attempt".

    An attempt differs from the one before it, so that a run that failed by bad luck is not repeated to the letter.
    """
    digest = hashlib.sha256(f"{candidate_seed}:{attempt}".encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % LARGEST_SEED


def content_key(plan: Plan, lammps_version: int) -> str:
    """Name of what a plan computes: SHA-256 of its commands and of the LAMMPS version, 32 hexadecimal digits.

    Settings and seeds enter by the commands that they lead to.
    """
    return name_of(f"{lammps_version}\n{plan!r}")


def restart_key(plan: Plan, lammps_version: int) -> str:
    """Name of what the restart files of a plan hold: as `content_key`, without the commands that only write output."""

    def acting(commands: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(command for command in commands if not isinstance(command, Output))

    stages = tuple(replace(stage, commands=acting(stage.commands)) for stage in plan.stages)
    bare = replace(plan, setup=acting(plan.setup), structure=plan.structure, forces=acting(plan.forces), stages=stages)
    return content_key(bare, lammps_version)


def name_of(content: str) -> str:
    """A name that no other content has: the first 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def checked_parameters(parameters: Mapping[str, float], limits: Mapping[str, Limits]) -> Mapping[str, float]:
    """The parameters, if they are exactly those with limits and within them.

    Raises:
        ParametersRefused: a parameter is missing, unknown or outside its limits.
    """
    if parameters.keys() != limits.keys():
        raise ParametersRefused(f"expected parameters {sorted(limits)}, got {sorted(parameters)}")
    for name, (low, high) in limits.items():
        if not low <= parameters[name] <= high:
            raise ParametersRefused(f"expected {name} in [{low:g}, {high:g}], got {parameters[name]:g}")
    return parameters


def is_path_for_lammps(path: str) -> bool:
    """Whether LAMMPS takes a path literally as one word of a command, when it stands in quotes."""
    return path.isascii() and path.isprintable() and not any(mark in path for mark in '"*')


def quoted(path: str) -> str:
    """A path as one word of a LAMMPS command, taken literally.

    Raises:
        ValueError: the path holds a character that LAMMPS cannot take in a word.
    """
    if not is_path_for_lammps(path):
        raise ValueError(f"expected a path of ASCII characters without quotes and *, got {path!r}")
    return f'"{path}"'
