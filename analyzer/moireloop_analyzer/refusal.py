"""Why there is no number: the value that a step of the analysis gives instead of its result (pure)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """The analysis has nothing to report; `reason` is one sentence for people."""

    reason: str
