"""The effect of requests on a campaign: its current targets, search space and budget (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steering import (
    ChangeBudgetRequest,
    ChangeSpaceRequest,
    RetargetRequest,
    SteeringRequest,
    WantedTwist,
)


@dataclass(frozen=True)
class Steered:
    """Grows with the requests of the log, in its order. A field that no request changed is None or empty."""

    targets: tuple[Target, ...] | None = None
    bounds: Mapping[str, list[float]] = field(default_factory=dict)
    results: int | None = None
    wall_time_s: float | None = None

    def after(self, request: SteeringRequest) -> Steered:
        """Returns the state after this request too. Only these three kinds of request change it."""
        match request:
            case RetargetRequest():
                return replace(self, targets=targets_of(request.targets))
            case ChangeSpaceRequest():
                return replace(self, bounds={**self.bounds, **request.space})
            case ChangeBudgetRequest():
                results = self.results if request.results is None else request.results
                wall_time_s = self.wall_time_s if request.wall_time_s is None else request.wall_time_s
                return replace(self, results=results, wall_time_s=wall_time_s)
        return self

    def space(self, before: SearchSpace) -> SearchSpace:
        """The search space: `before` with the requested bounds. Raises pydantic's ValidationError."""
        known = {name: self.bounds.get(name, bounds) for name, bounds in before.root.items()}
        return SearchSpace.model_validate(known) if self.bounds else before

    def budget(self, before: BudgetSettings) -> BudgetSettings:
        """The budget: `before` with the requested changes."""
        asked = {"results": self.results, "wall_time_s": self.wall_time_s}
        return before.model_copy(update={name: value for name, value in asked.items() if value is not None})


def targets_of(wanted: Sequence[WantedTwist]) -> tuple[Target, ...]:
    """Targets as a campaign file has them."""
    return tuple(Target(twist_deg=one.twist_deg, tolerance_deg=one.tolerance_deg) for one in wanted)


def wanted_of(targets: Sequence[Target]) -> list[WantedTwist]:
    """Targets as requests have them."""
    return [WantedTwist(twist_deg=one.twist_deg, tolerance_deg=one.tolerance_deg) for one in targets]
