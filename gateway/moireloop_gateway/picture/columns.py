"""Results as columns: some 400 bytes each, where the messages themselves take several thousand (pure)."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from moireloop_broker.contract.events import Measurement, Result, RunReport

NAN: Final = math.nan

Getter = Callable[[Result], Any]


def _of(part: Callable[[Result], Any], field: str) -> Getter:
    return lambda result: getattr(part(result), field, None)


def _measurement(result: Result) -> Measurement | None:
    return result.measurement


def _report(result: Result) -> RunReport | None:
    return result.report


NUMBERS: Final[Mapping[str, Getter]] = {
    "seed": lambda result: result.candidate.seed,
    "attempt": lambda result: result.attempt,
    "target_deg": lambda result: result.candidate.target_deg,
    **{
        name: _of(_measurement, name)
        for name in (
            "twist_deg", "signed_deg", "sigma_deg", "order_lower", "order_upper", "moire_angstrom", "confidence",
            "lattice_lower_angstrom", "lattice_upper_angstrom",
        )
    },
    **{
        name: _of(_report, name)
        for name in ("steps", "planned_steps", "resumed_from_step", "md_s", "frames_sent", "frames_dropped")
    },
    **{
        name: _of(lambda result: result.times, name)
        for name in ("proposed_s", "queued_s", "leased_s", "started_s", "finished_s", "analysed_s", "logged_s")
    },
}  # fmt: skip
"""Columns of numbers: null where a result has none."""

WHOLE: Final = frozenset(
    {"seed", "attempt", "steps", "planned_steps", "resumed_from_step", "frames_sent", "frames_dropped"}
)
"""Columns of whole numbers."""

WORDS: Final[Mapping[str, Getter]] = {
    "outcome": lambda result: result.outcome,
    "strategy": lambda result: result.candidate.strategy,
    "worker": _of(_report, "worker"),
    "ended": _of(_report, "ended"),
    "stacking": _of(_measurement, "stacking"),
    "reason": lambda result: result.reason,
}
"""Columns of words of which most are alike, each kept once."""

PARAMETER: Final = "parameter."
"""Begins the name of a column of growth parameters."""


def id_order(log_id: str) -> tuple[int, int]:
    """The two numbers of an id of the log, by which ids are in order."""
    milliseconds, _, number = log_id.partition("-")
    return int(milliseconds), int(number)


class ResultColumns:
    """Results in the order of the log, one row each, with the id that each has there."""

    def __init__(self) -> None:
        self.ids: list[tuple[int, int]] = []
        self.candidates: list[str] = []
        self.row_of: dict[str, int] = {}
        self._numbers = {name: array("d") for name in NUMBERS}
        self._parameters: dict[str, array[float]] = {}
        self._words: dict[str, array[int]] = {name: array("l") for name in WORDS}
        self._known: dict[str | None, int] = {None: 0}
        self._vocabulary: list[str | None] = [None]

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, log_id: str, result: Result) -> bool:
        """Take in the next result; False where its candidate has one already."""
        name = result.candidate.candidate_id
        if name in self.row_of:
            return False
        self.row_of[name] = len(self.ids)
        self.ids.append(id_order(log_id))
        self.candidates.append(name)
        for column, get in NUMBERS.items():
            value = get(result)
            self._numbers[column].append(NAN if value is None else float(value))
        for column, get in WORDS.items():
            self._words[column].append(self._word(get(result)))
        self._add_parameters(result.candidate.parameters)
        return True

    def _add_parameters(self, parameters: Mapping[str, float]) -> None:
        for name in [name for name in parameters if name not in self._parameters]:
            self._parameters[name] = array("d", [NAN]) * (len(self.ids) - 1)
        for name, column in self._parameters.items():
            column.append(parameters.get(name, NAN))

    def _word(self, word: str | None) -> int:
        number = self._known.get(word)
        if number is None:
            number = self._known[word] = len(self._vocabulary)
            self._vocabulary.append(word)
        return number

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return ["id", "candidate_id", *(PARAMETER + name for name in self._parameters), *NUMBERS, *WORDS]

    @property
    def parameter_names(self) -> list[str]:
        """Names of all growth parameters that came."""
        return list(self._parameters)

    def row_after(self, log_id: str) -> int:
        """The first row whose id in the log is later."""
        return bisect_right(self.ids, id_order(log_id))

    def numbers(self, name: str) -> array[float]:
        """A column of numbers or parameters; NaN where there is none. Raises KeyError."""
        if name.startswith(PARAMETER):
            return self._parameters[name.removeprefix(PARAMETER)]
        return self._numbers[name]

    def words(self, name: str) -> list[str | None]:
        """A column of words. Raises KeyError."""
        return [self._vocabulary[number] for number in self._words[name]]

    def values(self, name: str, rows: slice | Sequence[int]) -> list[Any]:
        """The values of a column in some rows, None where there is none. Raises KeyError."""
        if name == "id":
            return [f"{first}-{second}" for first, second in _picked(self.ids, rows)]
        if name == "candidate_id":
            return list(_picked(self.candidates, rows))
        if name in self._words:
            return [self._vocabulary[number] for number in _picked(self._words[name], rows)]
        numbers = _picked(self.numbers(name), rows)
        if name in WHOLE:
            return [None if value != value else int(value) for value in numbers]
        return [None if value != value else value for value in numbers]

    def table(self, names: Iterable[str], rows: slice | Sequence[int]) -> dict[str, list[Any]]:
        """Some columns of some rows. Raises KeyError."""
        return {name: self.values(name, rows) for name in names}


def _picked(column: Sequence[Any], rows: slice | Sequence[int]) -> Sequence[Any]:
    return column[rows] if isinstance(rows, slice) else [column[row] for row in rows]
