"""How long runs and suggestions take, and how far ahead of the workers the queue must be kept for that (pure)."""

from __future__ import annotations

import math

START_RUN_S = 2.0

START_SUGGEST_S = 1.0

WEIGHT = 0.2

SAFETY = 2.0

MOST_AHEAD = 1000

LEAST_AT_ONCE = 2


class Pace:
    """Exponential means of the seconds that a run holds its worker, and of those that a suggestion takes."""

    def __init__(self) -> None:
        self._run_s: float | None = None
        self._suggest_s: float | None = None

    @property
    def run_s(self) -> float:
        """Mean seconds that a run holds its worker; 2 s until one has been measured."""
        return START_RUN_S if self._run_s is None else self._run_s

    @property
    def suggest_s(self) -> float:
        """Mean seconds from asking for candidates to having them; 1 s until that has been measured."""
        return START_SUGGEST_S if self._suggest_s is None else self._suggest_s

    def ran(self, seconds: float) -> None:
        """Take in the duration of one run."""
        self._run_s = _mean(self._run_s, seconds)

    def suggested(self, seconds: float) -> None:
        """Take in the duration of one suggestion."""
        self._suggest_s = _mean(self._suggest_s, seconds)

    def ahead(self, workers: int) -> int:
        """How many candidates must be queued so that no worker finds the queue empty during a suggestion.

        The workers take workers * suggest_s / run_s candidates meanwhile; twice that, and one more, are kept.
        """
        taken = workers * self.suggest_s * SAFETY / max(self.run_s, 1e-4)
        return min(MOST_AHEAD, math.ceil(taken) + 1)

    def at_once(self, workers: int) -> int:
        """How many candidates to ask the model for at a time: what the workers take meanwhile, and at least two.

        More at a time would come later, and be chosen knowing less.
        """
        return max(LEAST_AT_ONCE, math.ceil(workers * self.suggest_s / max(self.run_s, 1e-4)))


def _mean(mean: float | None, value: float) -> float:
    value = max(0.0, value)
    return value if mean is None else (1.0 - WEIGHT) * mean + WEIGHT * value
