"""What a campaign file may say of the growth models of MoS2 (pure).

The defaults are the protocol of the paper (Bagchi et al., Methods), preset `paper`. What it leaves open is chosen
here. docs/science.md says which is which, and how the preset `small` was found.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, FiniteFloat

from moireloop_broker.settings import Cells, Fraction, Positive, Settings, UserFile

PAPER: Final = "paper"

SMALL: Final = "small"

FORMER_NAMES: Final = {"seed": PAPER}
"""What earlier versions called a preset. Campaign files of that time are still read."""


def _present_name(preset: Any) -> Any:
    return FORMER_NAMES.get(preset, preset) if isinstance(preset, str) else preset


def by_preset(paper: Any, small: Any, description: str) -> Any:
    """A field whose default is the paper's with preset `paper`, and another with preset `small`."""
    return Field(
        default_factory=lambda given: small if given.get("preset") == SMALL else paper,
        description=description,
        json_schema_extra={PAPER: paper, SMALL: small},
    )


class Mos2Settings(Settings):
    """Settings of both potentials: the bilayer, the walls and the protocol."""

    preset: Annotated[Literal["paper", "small"], BeforeValidator(_present_name)] = Field(
        default="paper", description="defaults of the other keys: the paper's, or shorter ones for two cores"
    )
    cells: Cells = by_preset((12, 12), (6, 6), "unit cells of one layer along a and b; each has 6 atoms")
    prepared_seeds: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="number of different amorphous starts; a candidate's seed chooses among them"
    )
    preparation_seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=0, description="seed of the first amorphous start; the others count up from it"
    )
    lattice_angstrom: Annotated[FiniteFloat, Field(ge=1, le=10)] = Field(
        default=3.16, description="lattice constant before equilibration, in angstrom"
    )
    spacing_angstrom: Annotated[FiniteFloat, Field(ge=3, le=30)] = Field(
        default=6.15, description="distance of the two Mo planes before melting, in angstrom"
    )
    sulfur_height_angstrom: Annotated[FiniteFloat, Field(ge=0.5, le=3)] = Field(
        default=1.57, description="distance of the S planes from their Mo plane before melting, in angstrom"
    )
    walls_angstrom: Annotated[FiniteFloat, Field(ge=5, le=100)] = Field(
        default=12.0, description="distance of the two walls, in angstrom"
    )
    wall_epsilon_ev: Positive = Field(default=0.05, description="Lennard-Jones depth of the walls, in eV")
    wall_sigma_angstrom: Annotated[FiniteFloat, Field(gt=0, le=5)] = Field(
        default=1.0, description="Lennard-Jones diameter of the walls, in angstrom; they only repel"
    )
    timestep_fs: Annotated[FiniteFloat, Field(gt=0, le=5)] = by_preset(0.5, 1.0, "time step, in fs")
    damping_ps: Positive = Field(default=0.05, description="relaxation time of the thermostats, in ps")
    melt_k: Positive = Field(default=5000.0, description="temperature that melts the upper layer, in K")
    melt_ps: Positive = by_preset(50.0, 4.0, "time of melting, in ps")
    molten_order: Fraction = Field(
        default=0.4, description="largest |psi6| of the upper layer's Mo atoms at which it counts as molten"
    )
    equilibrate_k: Positive = Field(default=300.0, description="temperature of equilibration after melting, in K")
    equilibrate_ps: Positive = by_preset(50.0, 1.0, "time of equilibration, in ps")
    pressure_atm: FiniteFloat = Field(default=1.0, description="in-plane pressure of equilibration, in atm")
    pressure_damping_ps: Positive = Field(default=0.5, description="relaxation time of the barostat, in ps")
    anneal_ps: Positive = by_preset(50.0, 10.0, "time at the candidate's temperature, in ps")
    quench_ps: Positive = by_preset(500.0, 30.0, "time of the quench from there to 0 K, in ps")

    def steps(self, time_ps: float) -> int:
        """Time steps that make up a time, at least one."""
        return max(1, round(time_ps * 1000 / self.timestep_fs))


class ReboSettings(Mos2Settings):
    """Growth model `mos2-rebo`: the reactive bond-order potential of MoS2 that comes with LAMMPS."""

    model: Literal["mos2-rebo"] = Field(default="mos2-rebo", description="growth model: MoS2 with REBO")
    force_field: UserFile | None = Field(
        default=None, description="file of the potential (pair style rebomos); by default the copy in LAMMPS"
    )
    melt_k: Positive = Field(
        default=12_000.0, description="temperature that melts the upper layer, in K; at 5000 K REBO stays a crystal"
    )


class ReaxffSettings(Mos2Settings):
    """Growth model `mos2-reaxff`: the paper's reactive force field."""

    model: Literal["mos2-reaxff"] = Field(default="mos2-reaxff", description="growth model: MoS2 with ReaxFF")
    force_field: UserFile = Field(description="file of the ReaxFF parameters, with Mo and S")
