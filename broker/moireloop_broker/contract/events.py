"""Candidate, measurement, result, and every event of the log (pure)."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, FiniteFloat, model_validator

from moireloop_broker.contract.message import (
    Attempt,
    Count,
    Identifier,
    Message,
    NotNegativeNumber,
    Number,
    Order,
    Parameters,
    PlaneVectors,
    Probability,
    Reason,
    Seconds,
    Share,
    TwistDeg,
)
from moireloop_broker.contract.patterns import PatternMeasured
from moireloop_broker.contract.steering import Requester, Seed, SteeringRequest

MAX_ANALYSES: Final = 8

MAX_ANALYSIS_ENTRIES: Final = 64

MAX_ANALYSIS_VALUES: Final = 8192
"""Values in all arrays of one analysis: 64 KiB of float 64."""


OUTSIDE: Final = "outside"
"""The strategy of candidates that controllers propose."""


class Candidate(Message):
    """One point of the search space, proposed for evaluation.

    `parameters` maps growth parameters to values, with the unit in the name (`temperature_k`; strains are
    fractions). `seed` feeds every random number of the run. `target_deg` is the target it was proposed for.
    """

    candidate_id: Identifier
    parameters: Parameters
    seed: Seed
    target_deg: TwistDeg | None = None
    strategy: Annotated[str, Field(max_length=64)] = OUTSIDE
    proposed_s: Seconds


class StageTimes(Message):
    """When a candidate passed each stage, for overhead and utilisation; None for a stage that it never passed."""

    proposed_s: Seconds
    queued_s: Seconds | None = None
    leased_s: Seconds | None = None
    started_s: Seconds | None = None
    finished_s: Seconds | None = None
    analysed_s: Seconds | None = None
    logged_s: Seconds | None = None


class Measurement(Message):
    """An analyzer's measurement of one set of positions: a twist, or the reason why there is none.

    `twist_deg` is in [0, 30]; `signed_deg` in [-30, 30] keeps the sense of rotation; `sigma_deg` is a standard error.
    Orders are |psi6| in [0, 1]; lattice constants and the wavelength of the moire pattern are in angstrom.
    `confidence` is the share of atoms that lie on the lattice of their layer's majority grain, in the layer where it is
    smaller; `grains_lower` and `grains_upper` count the grains of each layer. Vectors in the plane are x and y of the
    first, then of the second, in angstrom, for the cell and for the lattices that the twist is taken from.
    """

    twist_deg: TwistDeg | None = None
    signed_deg: Annotated[FiniteFloat, Field(ge=-30, le=30)] | None = None
    sigma_deg: NotNegativeNumber | None = None
    reason: Reason | None = None
    order_lower: Order | None = None
    order_upper: Order | None = None
    lattice_lower_angstrom: NotNegativeNumber | None = None
    lattice_upper_angstrom: NotNegativeNumber | None = None
    moire_angstrom: NotNegativeNumber | None = None
    confidence: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    stacking: Literal["R", "H"] | None = None
    grains_lower: Count | None = None
    grains_upper: Count | None = None
    cell_vectors_angstrom: PlaneVectors | None = None
    lower_vectors_angstrom: PlaneVectors | None = None
    upper_vectors_angstrom: PlaneVectors | None = None

    @model_validator(mode="after")
    def _number_or_reason(self) -> Self:
        if (self.twist_deg is None) == (self.reason is None):
            raise ValueError("expected either twist_deg or reason, got both or neither")
        return self


class AnalysisArray(Message):
    """Numbers in one or two dimensions: `values` row by row, as many as `shape` says."""

    shape: Annotated[list[Annotated[int, Field(ge=0, le=MAX_ANALYSIS_VALUES)]], Field(min_length=1, max_length=2)]
    values: Annotated[list[Number], Field(max_length=MAX_ANALYSIS_VALUES)]

    @model_validator(mode="after")
    def _values_fill_the_shape(self) -> Self:
        if math.prod(self.shape) != len(self.values):
            raise ValueError(f"expected {math.prod(self.shape)} values for shape {self.shape}, got {len(self.values)}")
        return self


class AnalysisOutcome(Message):
    """One analyzer's outcome for a frame, by names that hold their units; or the reason why there is none.

    `reasons` say why a single name has no number or array.
    """

    numbers: Annotated[dict[Identifier, Number], Field(max_length=MAX_ANALYSIS_ENTRIES)] = {}
    arrays: Annotated[dict[Identifier, AnalysisArray], Field(max_length=MAX_ANALYSIS_ENTRIES)] = {}
    reasons: Annotated[dict[Identifier, Reason], Field(max_length=MAX_ANALYSIS_ENTRIES)] = {}
    reason: Reason | None = None

    @model_validator(mode="after")
    def _is_small(self) -> Self:
        total = sum(len(array.values) for array in self.arrays.values())
        if total > MAX_ANALYSIS_VALUES:
            raise ValueError(f"expected at most {MAX_ANALYSIS_VALUES} values in all arrays, got {total}")
        return self


Analyses = Annotated[dict[Identifier, AnalysisOutcome], Field(max_length=MAX_ANALYSES)]
"""Outcomes of the campaign file's analyzers for a frame, by analyzer name."""


ProvenanceKey = Annotated[str, Field(max_length=200)]

ProvenanceText = Annotated[str, Field(max_length=100_000)]


class RunReport(Message):
    """What a worker reports of a run that it brought to its end.

    `steps` is the step of the schedule at which the run ended, the step of the final frame; `planned_steps` is the
    whole schedule. This attempt computed the steps after `resumed_from_step` (0: from the beginning); earlier attempts
    computed the steps before it, by way of a restart file. `ended` is how the run ended. `md_s` is the time that this
    attempt spent inside LAMMPS, including a preparation that it had to make.
    """

    worker: Identifier
    started_s: Seconds
    finished_s: Seconds
    steps: Count
    planned_steps: Count = 0
    ended: Literal["completed", "settled", "hopeless", "cancelled"] = "completed"
    md_s: Seconds
    frames_sent: Count = 0
    frames_dropped: Count = 0
    resumed_from_step: Count = 0
    provenance: Annotated[dict[ProvenanceKey, ProvenanceText], Field(max_length=256)] = {}


class CandidateQueued(Message):
    """A candidate waits for a worker, for the first time or again; `reason` says why again."""

    tag: Literal["candidate_queued/1"] = "candidate_queued/1"
    candidate: Candidate
    attempt: Attempt
    queued_s: Seconds
    reason: Reason | None = None


class RunLeased(Message):
    """A worker holds the lease of a candidate and has begun this attempt."""

    tag: Literal["run_leased/1"] = "run_leased/1"
    candidate_id: Identifier
    attempt: Attempt
    worker: Identifier
    leased_s: Seconds


class RunFinished(Message):
    """The MD of a run is over and its final frame is kept. The analysis follows."""

    tag: Literal["run_finished/1"] = "run_finished/1"
    candidate_id: Identifier
    attempt: Attempt
    report: RunReport


class RunFailed(Message):
    """An attempt ended without a final frame.

    `charged` is whether it used up one of the candidate's attempts. A lost machine uses up none.
    """

    tag: Literal["run_failed/1"] = "run_failed/1"
    candidate_id: Identifier
    attempt: Attempt
    worker: Identifier
    reason: Reason
    charged: bool
    failed_s: Seconds


class CancelRequested(Message):
    """A controller asked to end a candidate early."""

    tag: Literal["cancel_requested/1"] = "cancel_requested/1"
    candidate_id: Identifier
    reason: Reason


class EarlyEndOrdered(Message):
    """An analyzer found a run settled or hopeless at this step of it, and ordered its end."""

    tag: Literal["early_end_ordered/1"] = "early_end_ordered/1"
    candidate_id: Identifier
    attempt: Attempt
    ending: Literal["settled", "hopeless"]
    reason: Reason
    step: Count
    ordered_s: Seconds


class EarlyEndWithheld(Message):
    """A run was sure of its twist at this step, by what was learnt, and goes to its full end as a check.

    `twist_deg` is what its result would have said, right with this probability if its final twist lies within the
    tolerance. `share` is the share of runs that are kept so.
    """

    tag: Literal["early_end_withheld/1"] = "early_end_withheld/1"
    candidate_id: Identifier
    attempt: Attempt
    reason: Reason
    step: Count
    twist_deg: TwistDeg
    tolerance_deg: TwistDeg
    probability: Probability
    share: Share
    withheld_s: Seconds


Outcome = Literal["measured", "refused", "failed", "cancelled"]

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

BUDGET_OUTCOMES: Final[tuple[Outcome, ...]] = ("measured", "refused", "failed")
"""Outcomes that use up the budget."""

MODEL_OUTCOMES: Final[tuple[Outcome, ...]] = ("measured", "refused")
"""Outcomes of runs that reached their end, so that they are informative about their parameters."""


class Result(Message):
    """The outcome of a candidate. Each candidate has exactly one.

    `measured`: a twist was measured. `refused`: the run ended, but there is no twist to report. `failed`: every
    attempt failed (a dead letter). `cancelled`: ended on request. A run that was ended early as settled or hopeless
    is measured or refused like any other; its `reason` is then the reason of the order. `analyses` are the analyses of
    the final frame.
    """

    tag: Literal["result/3"] = "result/3"
    candidate: Candidate
    attempt: Attempt
    outcome: Outcome
    reason: Reason | None = None
    measurement: Measurement | None = None
    analyses: Analyses = {}
    report: RunReport | None = None
    times: StageTimes

    @model_validator(mode="after")
    def _outcome_has_its_parts(self) -> Self:
        twist = self.measurement.twist_deg if self.measurement else None
        if self.outcome == "measured" and twist is None:
            raise ValueError("expected a twist with outcome 'measured', got none")
        if self.outcome in ("refused", "failed") and (twist is not None or self.reason is None):
            raise ValueError(f"expected a reason and no twist with outcome {self.outcome!r}")
        return self

    @property
    def counts_for_budget(self) -> bool:
        """Whether the candidate uses up budget: every candidate does unless it was cancelled."""
        return self.outcome in BUDGET_OUTCOMES

    @property
    def informs_model(self) -> bool:
        """Whether the run is informative about its parameters: it reached its end, with or without a twist."""
        return self.outcome in MODEL_OUTCOMES

    @property
    def twist_deg(self) -> float | None:
        """Final twist in degrees, in [0, 30], or None where there is none to report."""
        return self.measurement.twist_deg if self.measurement else None


class ServiceChanged(Message):
    """A service of the set started, stopped, or ended unexpectedly (`crashed`)."""

    tag: Literal["service_changed/1"] = "service_changed/1"
    service: Identifier
    state: Literal["started", "stopped", "crashed"]
    reason: Reason | None = None
    at_s: Seconds


class CampaignChanged(Message):
    """The campaign as a whole started, was resumed, drains, or ended."""

    tag: Literal["campaign_changed/1"] = "campaign_changed/1"
    state: Literal["started", "resumed", "draining", "stopped", "completed"]
    reason: Reason | None = None
    at_s: Seconds


class Requested(Message):
    """A request was carried out. `requester` is who asked: the name of the client's grant, if it has one."""

    tag: Literal["requested/1"] = "requested/1"
    requester: Requester
    request: Annotated[SteeringRequest, Field(discriminator="tag")]
    at_s: Seconds


class Observation(Message):
    """An analyzer's measurement of one frame of a run that has not ended.

    Temperature, pressure and energies refer to the whole system, as in the frame's header.
    """

    tag: Literal["observation/4"] = "observation/4"
    candidate_id: Identifier
    attempt: Attempt
    step: Count
    time_ps: Number
    temperature_k: Number | None = None
    pressure_bar: Number | None = None
    potential_ev: Number | None = None
    kinetic_ev: Number | None = None
    final: bool = False
    planned_steps: Count = 0
    measurement: Measurement


class FrameAnalysed(Message):
    """Outcomes of the campaign file's analyzers for one frame of a run that has not ended.

    It follows the observation of the same frame, which does not wait for it.
    """

    tag: Literal["frame_analysed/1"] = "frame_analysed/1"
    candidate_id: Identifier
    attempt: Attempt
    step: Count
    time_ps: Number
    temperature_k: Number | None = None
    analyses: Analyses


EventOfLog = (
    CandidateQueued
    | RunLeased
    | RunFinished
    | RunFailed
    | CancelRequested
    | EarlyEndOrdered
    | EarlyEndWithheld
    | Result
    | ServiceChanged
    | CampaignChanged
    | Requested
    | PatternMeasured
)

Event = Annotated[EventOfLog, Field(discriminator="tag")]
"""An event of the log."""

Published = Annotated[EventOfLog | Observation | FrameAnalysed, Field(discriminator="tag")]
"""What the relay publishes: every event of the log, and the observations of frames."""
