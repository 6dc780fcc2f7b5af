"""Settings of simulated diffraction experiments, the section [diffraction] of a campaign file (pure).

Every program that reads a campaign file imports this module, so it imports nothing that is compiled or slow to load.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["gixd", "rheed"]

KINDS: Final = ("gixd", "rheed")

Theta = Annotated[float, Field(ge=20, le=3000, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GixdSettings(_Section):
    """Grazing-incidence X-ray diffraction in the plane."""

    energy_kev: float = Field(default=10.0, ge=1, le=30, description="photon energy in keV")
    incidence_deg: float = Field(default=0.2, ge=0, le=10, description="glancing angle of the incident beam in degrees")
    exit_deg: float = Field(default=0.2, ge=0, le=30, description="angle of exit from the surface in degrees")
    in_plane_polarization: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the intensity polarized in the plane of the sample: 0.5 for an X-ray tube",
    )


class RheedSettings(_Section):
    """Reflection high-energy electron diffraction."""

    energy_kev: float = Field(default=15.0, ge=1, le=100, description="electron energy in keV")
    glancing_deg: float = Field(
        default=2.5, ge=0.1, le=10, description="glancing angle of the incident beam in degrees"
    )
    azimuth_deg: float = Field(
        default=0.0, ge=-360, le=360, description="direction of the beam of the picture, from the cell's a, in degrees"
    )
    exit_deg: float = Field(
        default=2.5, ge=0, le=20, description="angle of exit at which the map over all azimuths is taken, in degrees"
    )
    inner_potential_v: float = Field(default=0.0, ge=0, le=50, description="mean inner potential of the film in volts")


class ExperimentSettings(_Section):
    """What all diffraction experiments have: instrument, sample, the faintest peak."""

    instrument_fwhm_per_angstrom: float = Field(
        default=0.02, ge=0.001, le=0.5, description="full width at half maximum of the instrument, along and across q"
    )
    mosaic_fwhm_deg: float = Field(
        default=0.3, ge=0, le=10, description="full width at half maximum of the mosaic spread about the normal"
    )
    domain_angstrom: float | None = Field(
        default=None, ge=20, le=1e6, description="size of coherent domains in angstrom; by default too large to matter"
    )
    temperature_k: float | None = Field(
        default=None,
        ge=0,
        le=10000,
        description="temperature of the sample in K; by default the run's growth temperature, else its last frame's",
    )
    debye_temperature_k: dict[str, Theta] = Field(
        default={},
        description="Debye temperature of each element in K, such as { Mo = 600, S = 600 }; these two are built in",
    )
    reach_per_angstrom: float = Field(default=5.2, ge=0.5, le=12, description="largest q of a pattern")
    faintest: float = Field(
        default=5e-3, ge=1e-8, lt=1, description="intensity of the faintest peak in a table, relative to the brightest"
    )


class DiffractionSettings(ExperimentSettings):
    """Diffraction experiments that final structures are seen by: `moireloop pattern`, `campaign.pattern`."""

    gixd: GixdSettings = Field(default=GixdSettings(), description="[diffraction.gixd]: X-rays at grazing incidence")
    rheed: RheedSettings = Field(default=RheedSettings(), description="[diffraction.rheed]: electrons in reflection")
