"""What an analyzer is: a function from a snapshot of a run to named numbers and arrays (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.events import MAX_ANALYSIS_ENTRIES, MAX_ANALYSIS_VALUES

if TYPE_CHECKING:
    from moireloop_analyzer.estimate import TwistEstimate

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

LONGEST_REASON: Final = 1000


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One frame of a run, as an analyzer gets it. Its arrays are its own, except the arrays of `twist`.

    `positions` (N, 3) are float64 in angstrom, wrapped into the cell or not, in any order of the atoms; `types` (N,)
    are small integers; `cell` (3, 3) has the rows a, b, c in angstrom; `pbc` says which of them are periodic. The
    layers lie along a and b. `metal_types` are the types whose in-plane lattice carries the twist, `chalcogen_types`
    all others that there are. `elements` has the chemical symbol of each type for which it is known: none for beads.
    `twist` is the measurement of this frame: twist or reason, layers, orders, lattices, ready to use without a new fit.
    """

    positions: npt.NDArray[np.float64]
    types: npt.NDArray[np.integer[Any]]
    cell: npt.NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    metal_types: tuple[int, ...]
    chalcogen_types: tuple[int, ...]
    elements: Mapping[int, str]
    step: int
    time_ps: float
    temperature_k: float | None
    twist: TwistEstimate


@dataclass(frozen=True, eq=False)
class Analysis:
    """What an analyzer found in a snapshot, each under a name that holds its unit: `peak_angstrom`, `share`.

    A name is a lower-case identifier and stands once. What there is nothing to say of is left out of `numbers` and
    `arrays`; `reasons` may say why, under the same name. Arrays have one or two dimensions; all of them together hold
    at most MAX_ANALYSIS_VALUES values, so that a message stays small. Everything is a finite float.

    Raises:
        ValueError: a name, a value or a size is not as said above; the text names it.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_names([*self.numbers, *self.arrays, *self.reasons])
        numbers = {name: _number(name, value) for name, value in self.numbers.items()}
        arrays = {name: _array(name, values) for name, values in self.arrays.items()}
        total = sum(values.size for values in arrays.values())
        if total > MAX_ANALYSIS_VALUES:
            raise ValueError(f"expected at most {MAX_ANALYSIS_VALUES} values in all arrays, got {total}")
        reasons = {name: _reason(name, text) for name, text in self.reasons.items()}
        for attribute, values in (("numbers", numbers), ("arrays", arrays), ("reasons", reasons)):
            object.__setattr__(self, attribute, MappingProxyType(values))


Analyzer: TypeAlias = Callable[[Snapshot], Analysis]
"""What an entry point of the group `moireloop.analyzers` names. It may raise whatever it stumbles over."""


def _check_names(names: Sequence[object]) -> None:
    wrong = next((name for name in names if not isinstance(name, str) or not NAME.fullmatch(name)), None)
    if len(names) > MAX_ANALYSIS_ENTRIES:
        raise ValueError(f"expected at most {MAX_ANALYSIS_ENTRIES} names, got {len(names)}")
    if wrong is not None:
        raise ValueError(f"expected names of lower-case letters, digits and '_', at most 64, got {str(wrong)[:80]!r}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"expected each name once in numbers, arrays and reasons, got {twice[0]!r} twice")


def _number(name: str, value: object) -> float:
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "fiu" or not np.isfinite(number):
        raise ValueError(f"expected a finite number for {name}, got {str(value)[:80]}; leave out missing ones")
    return float(number)


def _array(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
        raise ValueError(
            f"expected numbers in one or two dimensions for {name}, got {array.dtype} in {array.ndim} dimensions"
        )
    copy = np.array(array, dtype=np.float64)
    if not np.isfinite(copy).all():
        raise ValueError(f"expected finite values for {name}, got {np.count_nonzero(~np.isfinite(copy))} that are not")
    copy.flags.writeable = False
    return copy


def _reason(name: str, text: object) -> str:
    if not isinstance(text, str) or not text:
        raise ValueError(f"expected a text as reason for {name}, got {str(text)[:80]!r}")
    return text[:LONGEST_REASON]
