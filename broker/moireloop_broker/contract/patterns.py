"""Measured diffraction patterns in the log: the peaks, their analysis, and who sent them (pure)."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from moireloop_broker.contract.message import (
    Count,
    Identifier,
    Message,
    NotNegativeNumber,
    Number,
    PlaneVectors,
    Reason,
    Seconds,
    TwistDeg,
)
from moireloop_broker.contract.steering import SOMEBODY, Requester

MOST_PATTERN_PEAKS: Final = 512
"""Peaks of one pattern: with all columns about 32 KiB."""

LARGEST_Q_PER_ANGSTROM: Final = 100.0

MOST_CLOSEST: Final = 5

Q = Annotated[FiniteFloat, Field(ge=-LARGEST_Q_PER_ANGSTROM, le=LARGEST_Q_PER_ANGSTROM)]

Size = Annotated[FiniteFloat, Field(gt=0, le=1e30)]

Places = Annotated[list[Q], Field(min_length=1, max_length=MOST_PATTERN_PEAKS)]

Heights = Annotated[list[Size], Field(min_length=1, max_length=MOST_PATTERN_PEAKS)]

Sizes = Annotated[list[Size | None], Field(max_length=MOST_PATTERN_PEAKS)]

ChamberParameters = Annotated[dict[Identifier, Number], Field(max_length=32)]

TurnDeg = Annotated[FiniteFloat, Field(ge=-360, le=360)]


class PatternPeaks(Message):
    """Peaks of one pattern in its plane, all in inverse angstrom, the direct beam at the origin.

    Errors and widths, along q and across it, are empty where none is known, and hold None for a single unknown one.
    """

    q_x_per_angstrom: Places
    q_y_per_angstrom: Places
    intensity: Heights
    sigma_along_per_angstrom: Sizes = []
    sigma_across_per_angstrom: Sizes = []
    fwhm_along_per_angstrom: Sizes = []
    fwhm_across_per_angstrom: Sizes = []
    centre_error_per_angstrom: Annotated[FiniteFloat, Field(ge=0, le=LARGEST_Q_PER_ANGSTROM)] = 0.0

    @model_validator(mode="after")
    def _are_as_many(self) -> Self:
        count = len(self.q_x_per_angstrom)
        for name in set(type(self).model_fields) - {"centre_error_per_angstrom"}:
            length = len(getattr(self, name))
            if length != count and (length or name in ("q_y_per_angstrom", "intensity")):
                raise ValueError(f"expected {count} values of {name}, as many as of q_x_per_angstrom, got {length}")
        return self


class PatternLayer(Message):
    """One of the two lattices of a pattern: its constant, principal strains against the nominal one, and direction."""

    nominal_angstrom: NotNegativeNumber
    lattice_angstrom: NotNegativeNumber
    lattice_error_angstrom: NotNegativeNumber
    strain_high: Number
    strain_low: Number
    strain_error: NotNegativeNumber
    direction_deg: TurnDeg
    brightness: NotNegativeNumber
    mosaic_deg: NotNegativeNumber | None = None
    vectors_angstrom: PlaneVectors


class SimilarResult(Message):
    """A result with a similar simulated pattern: the distance between the two patterns and its standard error."""

    candidate_id: Identifier
    distance_per_angstrom: NotNegativeNumber
    sigma_per_angstrom: NotNegativeNumber


class PatternAnalysis(Message):
    """What a pattern shows: a twist with its standard error, or the reason why there is none.

    `closest` are the most similar results at the time it was sent, the nearest first. `satellites`, `domains` and
    `unexplained` count peaks and further lattices.
    """

    twist_deg: TwistDeg | None = None
    signed_deg: Annotated[FiniteFloat, Field(ge=-30, le=30)] | None = None
    sigma_deg: NotNegativeNumber | None = None
    reason: Reason | None = None
    layers: Annotated[list[PatternLayer], Field(max_length=2)] = []
    scale: Annotated[FiniteFloat, Field(gt=0, le=1000)] | None = None
    moire_angstrom: NotNegativeNumber | None = None
    moire_error_angstrom: NotNegativeNumber | None = None
    satellites: Count = 0
    domains: Count = 0
    unexplained: Count = 0
    closest: Annotated[list[SimilarResult], Field(max_length=MOST_CLOSEST)] = []

    @model_validator(mode="after")
    def _number_or_reason(self) -> Self:
        if (self.twist_deg is None) == (self.reason is None):
            raise ValueError("expected either twist_deg or reason, got both or neither")
        return self


class SubmitPatternRequest(Message):
    """Put a measured pattern into the log with its analysis. The same id with the same measurement is one pattern."""

    tag: Literal["submit_pattern_request/1"] = "submit_pattern_request/1"
    pattern_id: Identifier
    peaks: PatternPeaks
    analysis: PatternAnalysis
    parameters: ChamberParameters = {}
    measured_s: Seconds | None = None
    requester: Requester = SOMEBODY


class PatternMeasured(Message):
    """A pattern was measured in the growth chamber; `requester` sent it with its analysis.

    `parameters` are the chamber's. `at_s` is when it was logged, `measured_s` when it was measured.
    """

    tag: Literal["pattern_measured/1"] = "pattern_measured/1"
    pattern_id: Identifier
    requester: Requester
    peaks: PatternPeaks
    analysis: PatternAnalysis
    parameters: ChamberParameters = {}
    measured_s: Seconds | None = None
    at_s: Seconds
