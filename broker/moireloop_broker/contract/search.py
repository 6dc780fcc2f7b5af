"""The search: targets, budget, and the space with its mapping to and from the unit cube (pure).

numpy is imported by the methods that return arrays: reading a campaign file needs none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, RootModel, model_validator

from moireloop_broker.contract.message import Identifier

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Target(BaseModel):
    """A wanted interlayer twist: one entry of [[targets]]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    twist_deg: FiniteFloat = Field(ge=0, le=30, description="Wanted interlayer twist in degrees, in [0, 30].")
    tolerance_deg: FiniteFloat = Field(
        default=0.5, gt=0, le=30, description="Largest |twist - target| in degrees that counts as reached."
    )


def regret_deg(twist_deg: float, target: Target) -> float:
    """|twist - target| in degrees: the paper's absolute error of a sampled twist."""
    return abs(twist_deg - target.twist_deg)


class BudgetSettings(BaseModel):
    """How much a campaign may spend: section [budget]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: int = Field(
        ge=1,
        le=1_000_000,
        description="Total number of results: measured, refused and failed ones count, cancelled ones do not.",
    )
    wall_time_s: FiniteFloat | None = Field(
        default=None,
        gt=0,
        description="Wall time of one session in seconds, from the start or the last resume, after which no "
        "candidate is proposed.",
    )
    outside_counts: bool = Field(
        default=True,
        description="Whether candidates that controllers propose use up the budget; beyond it, one replaces the "
        "optimizer's newest waiting candidate or is refused.",
    )


Points: TypeAlias = "npt.NDArray[np.float64]"
"""(N, d) float64, one point a row."""


class BadRange(ValueError):
    """A range of the search space cannot be searched."""


class InvertedRange(BadRange):
    """The low end of a range lies above its high end."""


class EmptyRange(BadRange):
    """The two ends of a range are equal."""


class NonFiniteRange(BadRange):
    """An end of a range, or its width, is not a finite number."""


class MissingParameter(ValueError):
    """A point has no value for a parameter of the search space."""


Bound = Annotated[float, Field(strict=True)]

Range = Annotated[list[Bound], Field(min_length=2, max_length=2)]

Ranges = Annotated[dict[Identifier, Range], Field(min_length=1, max_length=32)]


class SearchSpace(RootModel[Ranges]):
    """Name of each growth parameter -> [low, high], the unit in the name: `temperature_k = [1500, 3000]`.

    The names keep the order of the campaign file. It fixes the order of the columns of every point.
    Validation fails with `InvertedRange`, `EmptyRange` or `NonFiniteRange` as the cause.
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _ranges_can_be_searched(self) -> Self:
        for name, (low, high) in self.root.items():
            _check_range(name, low, high)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of the columns."""
        return tuple(self.root)

    @property
    def dimension(self) -> int:
        """Number of parameters d."""
        return len(self.root)

    @property
    def bounds(self) -> Points:
        """(2, d): the low ends and the high ends."""
        import numpy as np

        return np.array(list(self.root.values()), dtype=np.float64).T

    def row(self, parameters: Mapping[str, float]) -> list[float]:
        """Values of one point in the order of the names; parameters unknown to the space are left out.

        Raises:
            MissingParameter: the point has no value for a parameter of the space.
        """
        missing = [name for name in self.names if name not in parameters]
        if missing:
            raise MissingParameter(f"expected values for {', '.join(self.names)}, got none for {missing[0]}")
        return [float(parameters[name]) for name in self.names]

    def to_unit(self, points: Sequence[Mapping[str, float]]) -> Points:
        """(N, d) unit cube coordinates of N points; outside [0, 1] where a point lies outside the bounds.

        Raises:
            MissingParameter: a point has no value for a parameter of the space.
        """
        import numpy as np

        rows = np.array([self.row(point) for point in points], dtype=np.float64)
        return self.unit_rows(rows.reshape(-1, self.dimension))

    def unit_rows(self, rows: Points) -> Points:
        """(N, d) unit cube coordinates of (N, d) values, their columns in the order of the names."""
        low, high = self.bounds
        unit: Points = (rows - low) / (high - low)
        return unit

    def from_unit(self, unit: Points) -> list[dict[str, float]]:
        """The N points at (N, d) unit cube coordinates, always inside the bounds, whatever the rounding.

        Raises:
            ValueError: the array is not (N, d) or not finite.
        """
        import numpy as np

        if unit.ndim != 2 or unit.shape[1] != self.dimension:
            raise ValueError(f"expected unit cube points of shape (N, {self.dimension}), got {unit.shape}")
        if not np.isfinite(unit).all():
            raise ValueError("expected finite unit cube points, got NaN or infinity")
        low, high = self.bounds
        rows = np.clip(low + unit * (high - low), low, high)
        return [dict(zip(self.names, row, strict=True)) for row in rows.tolist()]


def _check_range(name: str, low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(high - low)):
        raise NonFiniteRange(f"{name}: expected two finite numbers, got [{low}, {high}]")
    if low == high:
        raise EmptyRange(f"{name}: expected low below high, got both ends at {low}")
    if low > high:
        raise InvertedRange(f"{name}: expected low below high, got [{low}, {high}]; swap them?")
