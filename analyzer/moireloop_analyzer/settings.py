"""Settings of the analyzers, and of the policies by which they end runs early, in a campaign file (pure).

Every program that reads a campaign file imports this module, so it imports nothing that is compiled or slow to load.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from moireloop_broker.contract.events import MAX_ANALYSES
from moireloop_broker.contract.message import Identifier
from moireloop_broker.settings import UserFile

Estimator = Literal["lattice", "row"]


class AnalyzerSettings(BaseModel):
    """How many analyzers run side by side, when a layer counts as crystalline, and what else is looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(default=1, ge=1, le=64, description="number of analyzer processes")
    min_order: float = Field(
        default=0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="smallest |psi6| of a layer's largest grain, between 0 and 1, at which the layer is crystalline",
    )
    min_confidence: float = Field(
        default=0.5,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="smallest share of a layer's atoms, between 0 and 1, on the lattice of its majority grain at which "
        "there is a twist to report",
    )
    estimator: Estimator = Field(
        default="lattice",
        description="how the twist is measured: from lattices fitted to both layers, or as the paper did from rows "
        "of atoms",
    )
    analyses: Annotated[tuple[Identifier, ...], Field(strict=False, max_length=MAX_ANALYSES)] = Field(
        default=(), description="further analyzers, by the names under which packages register them"
    )
    analyses_of: Literal["final", "every"] = Field(
        default="final", description="frames that these look at: the final one of each run, or every one"
    )
    analysis_s: float = Field(
        default=60.0,
        gt=0,
        le=86400,
        allow_inf_nan=False,
        description="seconds that each of these may take for one frame; after that it is stopped, and the result has "
        "the reason",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if twice := sorted({name for name in self.analyses if self.analyses.count(name) > 1}):
            raise ValueError(f"expected each of the analyses once, got {twice[0]!r} twice")
        return self


class Policy(BaseModel):
    """Base of the policies of early end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SettledPolicy(Policy):
    """When the twist of a run has settled, so that the rest of its schedule would not change it."""

    frames: int = Field(
        default=3, ge=2, le=1000, description="analysed frames, the newest ones, over which the twist must not change"
    )
    within_deg: float = Field(
        default=0.05, gt=0, le=30, description="largest change of the twist over these frames, in degrees"
    )
    sigma_deg: float = Field(
        default=0.5, gt=0, le=30, description="largest standard error of their mean twist, in degrees"
    )
    order_within: float = Field(
        default=0.1, gt=0, le=1, description="largest change of either layer's |psi6| over these frames"
    )
    after_fraction: float = Field(
        default=0.2, ge=0, le=1, description="share of the run's steps before which it is not ended"
    )
    min_order: float = Field(
        default=0.6, ge=0, le=1, description="smallest |psi6| of both layers in each of these frames"
    )


class HopelessPolicy(Policy):
    """When a run is not worth its remaining steps; at least one of `without_twist` and `distance_deg` is asked."""

    frames: int = Field(
        default=10, ge=2, le=1000, description="analysed frames, the newest ones, all of which must be hopeless"
    )
    after_fraction: float = Field(
        default=0.6, ge=0, le=1, description="share of the run's steps before which it is not ended"
    )
    without_twist: bool = Field(
        default=True, description="a frame without a twist (a layer molten or polycrystalline) is hopeless"
    )
    distance_deg: float | None = Field(
        default=None, gt=0, le=30, description="a twist farther than this from every target, in degrees, is hopeless"
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.without_twist and self.distance_deg is None:
            raise ValueError("expected without_twist = true, or a distance_deg, got neither")
        return self


class LearntPolicy(Policy):
    """When a run is sure enough of its twist, by what the campaign's own runs that went to their full end teach."""

    level: float = Field(
        default=0.98,
        ge=0.5,
        lt=1,
        description="a run ends when its final twist equals the present one with at least this probability",
    )
    tolerance_deg: float = Field(
        default=0.1, gt=0, le=30, description="largest difference at which the two count as equal, in degrees"
    )
    full_share: float = Field(
        default=0.1,
        ge=0.01,
        le=1,
        description="share of sure runs that continue to their full end anyway, so that errors are noticed",
    )
    least_runs: int = Field(
        default=40, ge=10, le=1000, description="runs that must have reached their full end before any run ends early"
    )
    earlier: Annotated[tuple[UserFile, ...], Field(strict=False, max_length=8)] = Field(
        default=(),
        description="files trajectories.parquet of earlier campaigns of the same growth: their whole runs are learnt "
        "from as well",
    )

    @property
    def whole_runs_needed(self) -> int:
        """Fewest whole runs after which a run may be ended: were all of them right, they would be just enough."""
        return max(self.least_runs, math.ceil(1 / (1 - self.level) - 1 - 1e-9))


class EarlyEndSettings(Policy):
    """The policies of early end; each is off where its table is not given."""

    settled: SettledPolicy | None = Field(default=None, description="[early_end.settled]: end a run that has settled")
    learnt: LearntPolicy | None = Field(
        default=None, description="[early_end.learnt]: end a run that is sure of its twist; replaces settled"
    )
    hopeless: HopelessPolicy | None = Field(default=None, description="[early_end.hopeless]: end a hopeless run")

    @model_validator(mode="after")
    def _settles_in_one_way(self) -> Self:
        if self.settled is not None and self.learnt is not None:
            raise ValueError("expected either [early_end.settled] or [early_end.learnt], got both")
        return self

    @property
    def is_on(self) -> bool:
        """Whether any run may be ended early."""
        return self.settled is not None or self.learnt is not None or self.hopeless is not None
