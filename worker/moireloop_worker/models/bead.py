"""Growth model `bead`: one Lennard-Jones bead for each MX2 formula unit (pure).

The protocol is the paper's (Bagchi et al., Methods): melt the upper layer on a crystalline lower one and equilibrate;
then, for each candidate, rescale the cell by 1 + lattice_strain, shear it by shear_strain, anneal at temperature_k
and quench slowly to 0 K, with a Langevin thermostat and reflecting walls above and below. The layers differ in the
depth of their Lennard-Jones potential: a two-dimensional Lennard-Jones crystal melts near k T = 0.4 epsilon, so
that the upper layer (0.3 eV, 1400 K) melts at temperatures at which the lower one (1 eV, 4600 K) stays a crystal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from moireloop_worker.models.growth_model import (
    LARGEST_SEED,
    Limits,
    Molten,
    Once,
    Plan,
    Preparation,
    Stage,
    checked_parameters,
    content_key,
    quoted,
)
from moireloop_worker.models.settings import BeadSettings

LOWER: Final = 1

UPPER: Final = 2

MARGIN_ANGSTROM: Final = 8.0

PARAMETERS: Final[Mapping[str, Limits]] = MappingProxyType(
    {"temperature_k": (1.0, 20_000.0), "lattice_strain": (-0.05, 0.25), "shear_strain": (-0.5, 0.5)}
)


class Bead:
    """The bead model with given settings."""

    name = "bead"
    lattice_types = (LOWER, UPPER)
    elements: tuple[str, ...] = ()
    periodic = (True, True, False)
    potential_files: tuple[Path, ...] = ()

    def __init__(self, settings: BeadSettings) -> None:
        self._settings = settings

    @property
    def parameters(self) -> Mapping[str, Limits]:
        """Annealing temperature in K, and the lattice and shear strain of the cell, as fractions."""
        return PARAMETERS

    def preparation(self, seed: int, lammps_version: int) -> Preparation:
        """A crystalline lower layer below a molten upper one; `seed` chooses among `prepared_seeds` of them."""
        settings = self._settings
        start = settings.preparation_seed + seed % settings.prepared_seeds
        plan = _preparation_plan(settings, 1 + start % LARGEST_SEED)
        # Checked where it is hot: the layer of beads, being no glass, begins to order at 300 K already.
        molten = Molten(UPPER, settings.molten_order, settings.melt_steps)
        return Preparation(plan, content_key(plan, lammps_version), molten)

    def plan(self, parameters: Mapping[str, float], seed: int, prepared: str | None) -> Plan:
        """Strain and shear the prepared structure, anneal it and quench it."""
        if prepared is None:
            raise ValueError("expected the path of a prepared structure, got None")
        values = checked_parameters(parameters, PARAMETERS)
        settings = self._settings
        temperature_k = values["temperature_k"]
        anneal = (
            Once(f"velocity all create {temperature_k!r} {seed} loop geom"),
            _thermostat("all", temperature_k, temperature_k, settings.damping_ps, seed),
        )
        quench = (
            "unfix all_heat",
            _thermostat("all", temperature_k, 0.0, settings.damping_ps, 1 + seed % LARGEST_SEED),
        )
        return Plan(
            setup=_start(),
            structure=(
                f"read_data {quoted(prepared)}",
                *_deformation(settings, values["lattice_strain"], values["shear_strain"]),
            ),
            forces=(*_forces(settings), *_motion(settings)),
            stages=(
                Stage("anneal", anneal, settings.anneal_steps),
                Stage("quench", quench, settings.quench_steps),
            ),
            timestep_ps=settings.timestep_fs / 1000,
        )


def _preparation_plan(settings: BeadSettings, seed: int) -> Plan:
    other = 1 + seed % LARGEST_SEED
    cold_k, damping_ps = settings.equilibrate_k, settings.damping_ps
    melt = (
        Once(f"velocity lower create {cold_k!r} {seed} loop geom"),
        Once(f"velocity upper create {settings.melt_k!r} {other} loop geom"),
        _thermostat("lower", cold_k, cold_k, damping_ps, seed),
        _thermostat("upper", settings.melt_k, settings.melt_k, damping_ps, other),
    )
    equilibrate = (
        "unfix lower_heat",
        "unfix upper_heat",
        Once(f"velocity all scale {cold_k!r}"),
        _thermostat("all", cold_k, cold_k, damping_ps, 1 + other % LARGEST_SEED),
    )
    return Plan(
        setup=_start(),
        structure=_crystal(settings),
        forces=(*_forces(settings), *_motion(settings)),
        stages=(
            Stage("melt", melt, settings.melt_steps),
            Stage("equilibrate", equilibrate, settings.equilibrate_steps),
        ),
        timestep_ps=settings.timestep_fs / 1000,
    )


def _start() -> tuple[str, ...]:
    return ("units metal", "atom_style atomic", "atom_modify map array", "boundary p p f", "box tilt large")


def _crystal(settings: BeadSettings) -> tuple[str, ...]:
    """Two hexagonal layers in AB stacking in a rhombohedral cell; one lattice cell is as high as the box."""
    nx, ny = settings.cells
    a, spacing = settings.lattice_angstrom, settings.spacing_angstrom
    height = 2 * MARGIN_ANGSTROM + spacing
    width, depth, tilt = nx * a, ny * a * math.sqrt(0.75), ny * a / 2
    low, high = -MARGIN_ANGSTROM, MARGIN_ANGSTROM + spacing
    return (
        f"lattice custom {a!r} a1 1 0 0 a2 0.5 {math.sqrt(0.75)!r} 0 a3 0 0 {height / a!r} "
        f"basis 0.1 0.1 0 basis {0.1 + 1 / 3!r} {0.1 + 1 / 3!r} {spacing / height!r}",
        f"region cell prism 0 {width!r} 0 {depth!r} {low!r} {high!r} {tilt!r} 0 0 units box",
        "create_box 2 cell",
        f"create_atoms {LOWER} box basis 1 {LOWER} basis 2 {UPPER}",
    )


def _forces(settings: BeadSettings) -> tuple[str, ...]:
    """Lennard-Jones within and between the layers; sigma so that the minimum is at the wanted distance."""
    sigma = settings.minimum_over_lattice * settings.lattice_angstrom / 2 ** (1 / 6)
    reach = settings.cutoff_angstrom
    return (
        f"mass * {settings.mass_g_mol!r}",
        f"pair_style lj/cut {reach!r}",
        f"pair_coeff {LOWER} {LOWER} {settings.epsilon_lower_ev!r} {sigma!r} {reach!r}",
        f"pair_coeff {UPPER} {UPPER} {settings.epsilon_upper_ev!r} {sigma!r} {reach!r}",
        f"pair_coeff {LOWER} {UPPER} {settings.epsilon_between_ev!r} {settings.sigma_between_angstrom!r} "
        f"{settings.cutoff_between_angstrom!r}",
    )


def _deformation(settings: BeadSettings, lattice_strain: float, shear_strain: float) -> tuple[str, ...]:
    """Rescale the cell in its plane and shear xy; the layers go back to the planes that the springs act from."""
    scale = 1 + lattice_strain
    side = settings.cells[1] * settings.lattice_angstrom * scale
    tilt = side / 2 + shear_strain * side * math.sqrt(0.75)
    return (
        f"set type {LOWER} z 0.0",
        f"set type {UPPER} z {settings.spacing_angstrom!r}",
        f"change_box all x scale {scale!r} y scale {scale!r} xy final {tilt!r} remap units box",
    )


def _motion(settings: BeadSettings) -> tuple[str, ...]:
    """Groups, springs to the planes of the layers, reflecting walls and the time step."""
    return (
        f"group lower type {LOWER}",
        f"group upper type {UPPER}",
        f"fix lower_plane lower spring/self {settings.spring_lower_ev_angstrom2!r} z",
        f"fix upper_plane upper spring/self {settings.spring_upper_ev_angstrom2!r} z",
        "fix walls all wall/reflect zlo EDGE zhi EDGE",
        "fix motion all nve",
        f"timestep {settings.timestep_fs / 1000!r}",
        "thermo_style custom step temp",
    )


def _thermostat(group: str, from_k: float, to_k: float, damping_ps: float, seed: int) -> str:
    return f"fix {group}_heat {group} langevin {from_k!r} {to_k!r} {damping_ps!r} {seed}"
