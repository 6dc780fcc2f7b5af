"""What every strategy is: from runs and pending points to the next points, each with its target (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from moireloop_broker.contract.search import Points, Target

if TYPE_CHECKING:
    from moireloop_optimizer.runs import Runs

REPLICATE = "replicate"
"""Who made a point that repeats an earlier one with another seed, to learn how often it gives the target."""

STAND_IN = "sobol"
"""Who made a point where the strategy had nothing to learn from, could not distinguish places, or failed."""


@dataclass(frozen=True)
class Suggestion:
    """Points (n, d) in the unit cube; for each the place of its target in the sequence of targets, and who made it.

    `made_by` names the strategy, or is STAND_IN or REPLICATE. `fit_failed` is whether fitting or using the model
    failed. Times are wall clock seconds.
    """

    points: Points
    aims: tuple[int, ...]
    made_by: tuple[str, ...]
    fit_failed: bool = False
    fit_s: float = 0.0
    acquisition_s: float = 0.0


class Strategy(Protocol):
    """Chooses the next points."""

    def suggest(self, n: int, runs: Runs, pending: Points, targets: Sequence[Target], *, index: int) -> Suggestion:
        """The next n points, inside the unit cube and finite.

        Args:
            n: how many points.
            runs: what has been measured.
            pending: (m, d) points that are queued, running or not yet analysed.
            targets: the wanted twists, one at least.
            index: how many points have been proposed before; with the seed it fixes every random number.
        """
        ...
