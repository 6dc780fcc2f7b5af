"""Your own strategy: random steps from the best recipe so far, wider after a success, narrower after a failure.

It is a generator of the standard gest-api, which Xopt, libEnsemble and others know as well: a class that is made with
the search space, asked for points with `suggest`, and given results with `ingest`. `own-strategy.toml` names it.
"""

from __future__ import annotations

import random
from typing import Any

from gest_api.generator import Generator
from gest_api.vocs import VOCS


class LocalWalk(Generator):
    """Steps of a Gaussian width, as a fraction of each range.

    One success in five trials keeps the width as it is: Rechenberg, "Evolutionsstrategie" (1973).

    Args:
        vocs: the growth parameters with their ranges, and one objective that is to become small.
        width: of the first steps.
        least_width: below which steps do not get narrower.
    """

    def __init__(self, vocs: VOCS, width: float = 0.2, least_width: float = 0.01) -> None:
        super().__init__(vocs)
        self.vocs = vocs
        self.width = width
        self.least_width = least_width
        self.best: dict[str, Any] | None = None

    def _validate_vocs(self, vocs: VOCS) -> None:
        if len(vocs.objective_names) != 1:
            raise ValueError(f"expected one objective, got {vocs.objective_names}")

    def suggest(self, num_points: int | None) -> list[dict[str, float]]:
        """Points around the best one; anywhere while there is none."""
        return [self._step() for _ in range(num_points or 1)]

    def ingest(self, results: list[dict[str, Any]]) -> None:
        """Take in results, and go on from the best of all."""
        (objective,) = self.vocs.objective_names
        for result in results:
            if self.best is None or result[objective] < self.best[objective]:
                self.best = result
                self.width = min(0.5, self.width * 1.5)
            else:
                self.width = max(self.least_width, self.width * 1.5**-0.25)

    def _step(self) -> dict[str, float]:
        point = {}
        for name, (low, high) in zip(self.vocs.variable_names, self.vocs.bounds, strict=True):
            if self.best is None:
                point[name] = random.uniform(low, high)
            else:
                share = (self.best[name] - low) / (high - low) + random.gauss(0.0, self.width)
                point[name] = low + _reflected(share) * (high - low)
        return point


def _reflected(share: float) -> float:
    """A step past either end of [0, 1] comes back from there."""
    share = abs(share) % 2.0
    return 2.0 - share if share > 1.0 else share
