"""A strategy for one target made one for many: it serves those that are not reached in turn (pure)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moireloop_broker.contract.search import Points, Target
from moireloop_optimizer.regret.strategies import Chosen, PaperStrategy
from moireloop_optimizer.runs import Runs, is_within, toward
from moireloop_optimizer.strategy import Suggestion


class PerTarget:
    """Asks a strategy for each target in turn, once a target is reached for the others only; for all when all are."""

    def __init__(self, strategy: PaperStrategy) -> None:
        self._strategy = strategy

    def suggest(self, n: int, runs: Runs, pending: Points, targets: Sequence[Target], *, index: int) -> Suggestion:
        """The next n points; see suggestion.Strategy. What one target gets is pending for the next one."""
        aims = aims_in_turn(n, runs, targets, index)
        points = np.zeros((n, runs.points.shape[1]))
        made_by = [""] * n
        asked: list[Chosen] = []
        for target in dict.fromkeys(aims):
            mine = [place for place, aim in enumerate(aims) if aim == target]
            chosen = self._strategy.suggest(len(mine), toward(runs, targets[target]), pending, index=index + mine[0])
            points[mine] = chosen.points
            pending = np.concatenate([pending, chosen.points])
            for place in mine:
                made_by[place] = chosen.made_by
            asked.append(chosen)
        return Suggestion(
            points,
            tuple(aims),
            tuple(made_by),
            any(chosen.fit_failed for chosen in asked),
            sum(chosen.fit_s for chosen in asked),
            sum(chosen.acquisition_s for chosen in asked),
        )


def aims_in_turn(n: int, runs: Runs, targets: Sequence[Target], index: int) -> list[int]:
    """Places of n targets, cycling from position `index` over those that no run has reached, or over all."""
    missing = [place for place, target in enumerate(targets) if not is_within(runs.twist_deg, target).any()]
    waiting = missing or list(range(len(targets)))
    return [waiting[(index + k) % len(waiting)] for k in range(n)]
