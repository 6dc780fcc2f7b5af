"""Settings of the analyzers in a campaign file (pure)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from moireloop_analyzer.twist import DEFAULT_MIN_ORDER


class AnalyzerSettings(BaseModel):
    """How many analyzers run side by side, and when a layer counts as crystalline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(default=1, ge=1, le=64, description="number of analyzer processes")
    min_order: float = Field(
        default=DEFAULT_MIN_ORDER,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="smallest |psi6| of a layer, between 0 and 1, at which it counts as crystalline and has a twist",
    )
