"""From results to what the model learns: regret in degrees against a target, and its negative, the objective (pure).

What the outcomes become:
    measured: its regret.
    refused: the run was carried out and gave no twist, which says something about this point, so it informs
        the model as the worst regret measured so far; while nothing has been measured it is left out.
    failed, cancelled: they say nothing about the point (a lost machine, a person's wish) and are left out.
A result outside the bounds (of a campaign resumed with others) informs the model from where it lies, outside
the unit cube; candidates are proposed inside only.
"""

from __future__ import annotations

import logging
import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import MissingParameter, Points, SearchSpace, Target
from moireloop_optimizer.growths import Growths

logger = logging.getLogger(__name__)

UNKNOWN_LATTICES: Final = [math.nan] * 12


@dataclass(frozen=True)
class Runs:
    """What runs came to: unit cube points (N, d), and for each its twist and its standard error, both (N,) in degrees.

    A twist is NaN where there was none to report, and an error is NaN where it is not known. `lattices` (N, 3, 2, 2)
    has as rows the in-plane vectors, in one unit of length, of each run's cell, lower layer and upper layer. They are
    NaN where not known; `lattices` is None where they are known for no run. `growths` is what the chamber has shown,
    None where the model does not learn from it; it stays the same for any choice of runs.
    """

    points: Points
    twist_deg: npt.NDArray[np.float64]
    sigma_deg: npt.NDArray[np.float64]
    lattices: npt.NDArray[np.float64] | None = None
    growths: Growths | None = None

    def __len__(self) -> int:
        return len(self.points)

    def first(self, count: int) -> Runs:
        """So many runs from the start."""
        return self.where(np.arange(len(self)) < count)

    def where(self, mask: npt.ArrayLike) -> Runs:
        """The runs in a mask (N,), in their order."""
        chosen = np.asarray(mask, dtype=np.bool_)
        lattices = None if self.lattices is None else self.lattices[chosen]
        return Runs(self.points[chosen], self.twist_deg[chosen], self.sigma_deg[chosen], lattices, self.growths)


class GrowingRuns:
    """What can be learnt from results that come one after another, each of which is looked at once.

    Of a result its numbers stay, some 200 bytes of them, so that 100 000 take 20 MB.

    Args:
        results: those that there are.
    """

    def __init__(self, space: SearchSpace, results: Iterable[Result] = ()) -> None:
        self._space = space
        self._runs = runs_of((), space)
        self._new = array("d")
        self._parameters = array("d")
        self._measured_deg = array("d")
        for result in results:
            self.add(result)

    def add(self, result: Result) -> None:
        """Take in one more."""
        if result.outcome == "measured" and result.twist_deg is not None:
            self._measured_deg.append(result.twist_deg)
        if (numbers := _numbers_of(result, self._space)) is not None:
            self._new.extend(numbers)
            self._parameters.extend(numbers[: self._space.dimension])

    @property
    def runs(self) -> Runs:
        """All of them, in their order."""
        if self._new:
            self._runs, self._new = _joined(self._runs, _runs_from(np.array(self._new), self._space)), array("d")
        return self._runs

    def within(self, space: SearchSpace) -> None:
        """Take other bounds of the same parameters: all runs lie elsewhere in the unit cube."""
        runs, self._space = self.runs, space
        self._runs = replace(runs, points=space.unit_rows(np.array(self._parameters).reshape(-1, space.dimension)))

    def has_reached(self, target: Target) -> bool:
        """Whether a measured twist lies within the target's tolerance."""
        return bool(is_within(np.array(self._measured_deg), target).any())


def _joined(some: Runs, more: Runs) -> Runs:
    lattices = None
    if some.lattices is not None or more.lattices is not None:
        lattices = np.concatenate([_known_or_not(some), _known_or_not(more)])
    return Runs(
        np.concatenate([some.points, more.points]),
        np.concatenate([some.twist_deg, more.twist_deg]),
        np.concatenate([some.sigma_deg, more.sigma_deg]),
        lattices,
    )


def _known_or_not(runs: Runs) -> npt.NDArray[np.float64]:
    return np.full((len(runs), 3, 2, 2), np.nan) if runs.lattices is None else runs.lattices


@dataclass(frozen=True)
class Observed:
    """What a model of the regret learns from: unit cube points (N, d), objective values (N,) in degrees, <= 0."""

    points: Points
    values: npt.NDArray[np.float64]


def is_within(twist_deg: npt.NDArray[np.float64], target: Target) -> npt.NDArray[np.bool_]:
    """(N,) whether each of (N,) twists in degrees lies within a target's tolerance; one that is NaN does not."""
    within: npt.NDArray[np.bool_] = np.abs(twist_deg - target.twist_deg) <= target.tolerance_deg
    return within


def runs_of(results: Iterable[Result], space: SearchSpace) -> Runs:
    """What can be learnt from results, in their order (see the top of this module)."""
    found = (_numbers_of(result, space) for result in results)
    return _runs_from(np.array([numbers for numbers in found if numbers is not None], dtype=np.float64), space)


def _numbers_of(result: Result, space: SearchSpace) -> list[float] | None:
    """Parameters, twist and its error, lattices of a result in one row; None where nothing can be learnt from it."""
    if not result.informs_model:
        return None
    try:
        parameters = space.row(result.candidate.parameters)
    except MissingParameter as error:
        logger.warning("result left out candidate=%s reason=%s", result.candidate.candidate_id, error)
        return None
    return [*parameters, *_twist_and_error(result), *_cell_and_layers(result)]


def _runs_from(numbers: npt.NDArray[np.float64], space: SearchSpace) -> Runs:
    """Runs from the numbers of their results, row by row."""
    dimension = space.dimension
    rows = numbers.reshape(-1, dimension + 2 + len(UNKNOWN_LATTICES))
    vectors = rows[:, dimension + 2 :].reshape(-1, 3, 2, 2)
    return Runs(
        space.unit_rows(rows[:, :dimension]),
        rows[:, dimension].copy(),
        rows[:, dimension + 1].copy(),
        vectors.copy() if np.isfinite(vectors).any() else None,
    )


def toward(runs: Runs, target: Target) -> Observed:
    """What a model of the regret may learn from runs about a target: a run without a twist counts as the worst."""
    measured = np.isfinite(runs.twist_deg)
    if not measured.any():
        return Observed(runs.points[:0], np.zeros(0))
    values = -np.abs(runs.twist_deg - target.twist_deg)
    return Observed(runs.points, np.where(measured, values, values[measured].min()))


def _twist_and_error(result: Result) -> tuple[float, float]:
    measured = result.measurement
    if measured is None or measured.twist_deg is None:
        return np.nan, np.nan
    return measured.twist_deg, np.nan if measured.sigma_deg is None else measured.sigma_deg


def _cell_and_layers(result: Result) -> list[float]:
    """Twelve numbers: vectors of the cell and of both layers; NaN where they, or a twist, are not known."""
    measured = result.measurement
    if measured is None or measured.twist_deg is None:
        return UNKNOWN_LATTICES
    vectors = (measured.cell_vectors_angstrom, measured.lower_vectors_angstrom, measured.upper_vectors_angstrom)
    flat = [value for each in vectors if each is not None for value in each]
    return flat if len(flat) == len(UNKNOWN_LATTICES) else UNKNOWN_LATTICES
