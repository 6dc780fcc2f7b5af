"""The numbers that recipes are made from, as columns: some 70 bytes of a result (pure)."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Self

from moireloop_broker.contract.events import Result


class RunColumns:
    """Of measured and refused results in their order: parameters, seeds, twists with errors, and when they came.

    A twist or an error is NaN where there is none, and a parameter where a candidate has no value for it. `place` is
    the number that a result has among all results, refused and measured or not.
    """

    def __init__(self) -> None:
        self.parameters: dict[str, array[float]] = {}
        self.seed = array("l")
        self.twist_deg = array("d")
        self.sigma_deg = array("d")
        self.logged_s = array("d")
        self.place = array("l")
        self._results = 0

    @classmethod
    def of(cls, results: Iterable[Result]) -> Self:
        """The columns of these results."""
        columns = cls()
        for result in results:
            columns.add(result)
        return columns

    def __len__(self) -> int:
        return len(self.place)

    def add(self, result: Result) -> None:
        """Take in the next result."""
        self._results += 1
        if not result.informs_model:
            return
        measured, times = result.measurement, result.times
        self._add_parameters(result.candidate.parameters)
        self.seed.append(result.candidate.seed)
        self.twist_deg.append(_known(None if measured is None else measured.twist_deg))
        self.sigma_deg.append(_known(None if measured is None else measured.sigma_deg))
        self.logged_s.append(times.proposed_s if times.logged_s is None else times.logged_s)
        self.place.append(self._results - 1)

    def _add_parameters(self, parameters: Mapping[str, float]) -> None:
        for name in [name for name in parameters if name not in self.parameters]:
            self.parameters[name] = array("d", [math.nan]) * len(self)
        for name, column in self.parameters.items():
            column.append(parameters.get(name, math.nan))


def _known(value: float | None) -> float:
    return math.nan if value is None else value
