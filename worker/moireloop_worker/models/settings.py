"""The section [growth] of a campaign file: one model of settings per growth model (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, FiniteFloat, Tag, model_validator

from moireloop_broker.settings import Cells, Fraction, NotNegative, Positive, Settings, Steps
from moireloop_worker.models.mos2_settings import ReaxffSettings, ReboSettings
from moireloop_worker.models.script_settings import ScriptSettings


class BeadSettings(Settings):
    """Growth model `bead`: one Lennard-Jones bead for each MX2 formula unit, for demos, tests and benchmarks.

    Lower and upper layer are hexagonal lattices of beads, held near their planes by springs. The defaults
    give a run of about two seconds on one core.
    """

    model: Literal["bead"] = Field(default="bead", description="growth model: one Lennard-Jones bead for each MX2")
    cells: Cells = Field(
        default=(12, 12), description="unit cells of one layer along a and b; the same for both layers"
    )
    prepared_seeds: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="number of different amorphous starts; a candidate's seed chooses among them"
    )
    preparation_seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=0, description="seed of the first amorphous start; the others count up from it"
    )
    mass_g_mol: Positive = Field(default=160.0, description="mass of one bead, in g/mol (MoS2 has 160)")
    lattice_angstrom: Annotated[FiniteFloat, Field(ge=0.5, le=100)] = Field(
        default=3.16, description="lattice constant of the unstrained layers, in angstrom"
    )
    minimum_over_lattice: Annotated[FiniteFloat, Field(ge=0.8, le=1.2)] = Field(
        default=1.02, description="distance of the Lennard-Jones minimum within a layer over the lattice constant"
    )
    epsilon_lower_ev: Positive = Field(default=1.0, description="Lennard-Jones depth within the lower layer, in eV")
    epsilon_upper_ev: Positive = Field(default=0.3, description="Lennard-Jones depth within the upper layer, in eV")
    epsilon_between_ev: Positive = Field(default=0.02, description="Lennard-Jones depth between the layers, in eV")
    sigma_between_angstrom: Positive = Field(
        default=5.6, description="Lennard-Jones diameter between the layers, in angstrom"
    )
    spacing_angstrom: Positive = Field(default=6.3, description="distance of the planes of the two layers, in angstrom")
    cutoff_angstrom: Positive = Field(default=8.0, description="cutoff of the forces within a layer, in angstrom")
    cutoff_between_angstrom: Positive = Field(default=9.0, description="cutoff between the layers, in angstrom")
    spring_lower_ev_angstrom2: NotNegative = Field(
        default=5.0, description="spring that holds the lower layer in its plane, in eV/angstrom^2"
    )
    spring_upper_ev_angstrom2: NotNegative = Field(
        default=20.0, description="spring that holds the upper layer in its plane, in eV/angstrom^2"
    )
    damping_ps: Positive = Field(default=0.2, description="relaxation time of the Langevin thermostat, in ps")
    timestep_fs: Annotated[FiniteFloat, Field(gt=0, le=100)] = Field(default=4.0, description="time step, in fs")
    melt_k: Positive = Field(default=30_000.0, description="temperature that melts the upper layer, in K")
    melt_steps: Steps = Field(default=2000, description="steps of melting")
    molten_order: Fraction = Field(
        default=0.4, description="largest |psi6| of the upper layer after melting at which it counts as molten"
    )
    equilibrate_k: Positive = Field(default=300.0, description="temperature of equilibration after melting, in K")
    equilibrate_steps: Steps = Field(default=500, description="steps of equilibration")
    anneal_steps: Steps = Field(default=5000, description="steps at the candidate's temperature")
    quench_steps: Steps = Field(default=15_000, description="steps of the quench from that temperature to 0 K")

    @model_validator(mode="after")
    def _forces_reach_neighbours(self) -> Self:
        if self.cutoff_angstrom <= self.lattice_angstrom * self.minimum_over_lattice:
            raise ValueError(
                f"expected cutoff_angstrom beyond the nearest neighbours, got {self.cutoff_angstrom} with "
                f"lattice_angstrom = {self.lattice_angstrom}"
            )
        return self


class NoopSettings(Settings):
    """Growth model `noop`: no MD, a perfect bilayer as the final frame; for benchmarks."""

    model: Literal["noop"] = Field(default="noop", description="growth model without MD, for benchmarks")
    cells: Cells = Field(default=(12, 12), description="unit cells of one layer along a and b")
    lattice_angstrom: Annotated[FiniteFloat, Field(ge=0.5, le=100)] = Field(
        default=3.16, description="lattice constant of both layers, in angstrom"
    )


class ForeignSettings(Settings):
    """A growth model that another package brings, with the keys that this one takes."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    model: str = Field(description="growth model")

    @property
    def options(self) -> dict[str, Any]:
        """All keys but `model`."""
        return dict(self.model_extra or {})


OWN: Final = ("bead", "noop", "mos2-rebo", "mos2-reaxff", "script")

FOREIGN: Final = "foreign"


def model(section: object) -> str | None:
    """Which of the settings below a section is read as: its own model's, or the ones for models of other packages."""
    name = section.get("model") if isinstance(section, Mapping) else getattr(section, "model", None)
    if isinstance(name, str):
        return name if name in OWN else FOREIGN
    return None if name is None else str(name)


GrowthSettings = Annotated[
    Annotated[BeadSettings, Tag("bead")]
    | Annotated[NoopSettings, Tag("noop")]
    | Annotated[ReboSettings, Tag("mos2-rebo")]
    | Annotated[ReaxffSettings, Tag("mos2-reaxff")]
    | Annotated[ScriptSettings, Tag("script")]
    | Annotated[ForeignSettings, Tag(FOREIGN)],
    Discriminator(model),
]
"""The section [growth]: the settings of one growth model, chosen by its key `model`."""
