"""Our strategies as a generator of the field's standard, gest-api, for libEnsemble and others (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from gest_api.generator import Generator
from gest_api.vocs import VOCS, ContextualVariable, ContinuousVariable
from pydantic import ValidationError

from moireloop_broker.contract.search import Points, SearchSpace, Target
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategies import strategy_named
from moireloop_optimizer.strategy_names import DEFAULT_STRATEGY

TWIST: Final = "twist_deg"

SIGMA: Final = "sigma_deg"

ID: Final = "_id"

LARGEST_TWIST_DEG: Final = 30.0


@dataclass(frozen=True)
class _Result:
    parameters: dict[str, float]
    twist_deg: float
    sigma_deg: float
    id: int | None


class TwistGenerator(Generator):
    """Suggests points whose twist comes close to the targets; learns from twists.

    The VOCS has continuous variables only, the observable `twist_deg` and optionally `sigma_deg`, the twist's standard
    error. There are no objectives: the targets say what is wanted. A twist of None or NaN says that there is none,
    which counts as the worst so far; it is in [0, 30] degrees.

    Points have the variables, the constants and an `_id`, which comes back with the result. A result without one
    comes from elsewhere, unless it lies where a suggested point lies. The same calls with the same seed give the same
    points.

    Args:
        vocs: variables, and the names of what comes back.
        targets: wanted twists in degrees, or `Target`s, which have tolerances; one at least.
        strategy: how points are chosen, by its name in a campaign file.
        initial: how many points are known, or suggested from a Sobol sequence, before the strategy is asked.
        seed: of all random numbers.

    Raises:
        ValueError: the VOCS has something else; there is no such strategy; a target is none.
    """

    returns_id = True

    def __init__(
        self,
        vocs: VOCS,
        targets: Sequence[float | Target],
        *,
        strategy: str = DEFAULT_STRATEGY,
        initial: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(vocs)
        self._space = _space_of(vocs)
        self._constants = {name: constant.value for name, constant in vocs.constants.items()}
        self._targets = [_target(one) for one in targets]
        if not self._targets:
            raise ValueError("targets: expected at least one, got none")
        self._strategy = strategy_named(strategy, seed)
        self._initial, self._seed = initial, seed
        self._runs = Runs(np.zeros((0, self._space.dimension)), np.zeros(0), np.zeros(0))
        self._pending: dict[int, dict[str, float]] = {}
        self._suggested = 0

    def _validate_vocs(self, vocs: VOCS) -> None:
        """Nothing for a VOCS that can be searched. Raises ValueError."""
        for name, variable in vocs.variables.items():
            if not isinstance(variable, ContinuousVariable) or isinstance(variable, ContextualVariable):
                raise ValueError(f"variables: expected continuous ones, got {name} of type {type(variable).__name__}")
            if isinstance(variable.dtype, tuple):
                raise ValueError(f"variables: expected scalars, got {name} of dtype {variable.dtype}")
        for kind, names in (("objectives", vocs.objective_names), ("constraints", vocs.constraint_names)):
            if names:
                raise ValueError(f"{kind}: expected none, since the targets say what is wanted, got {names[0]}")
        unknown = sorted(set(vocs.observable_names) - {TWIST, SIGMA})
        if TWIST not in vocs.observable_names or unknown:
            got = ", ".join(vocs.observable_names) or "none"
            raise ValueError(f"observables: expected {TWIST} and at most {SIGMA}, got {got}")
        _space_of(vocs)

    def suggest(
        self, num_points: int | None = None, pending: Sequence[Mapping[str, float]] | None = None
    ) -> list[dict[str, Any]]:
        """The next points, inside the bounds; one, where no number is given.

        Args:
            num_points: how many.
            pending: points that are to be evaluated, or are being so: all of them. By default those that this
                generator suggested and received no results of.

        Raises:
            ValueError: a negative number, or a pending point without a finite value for each variable.
        """
        count = 1 if num_points is None else num_points
        if count < 0:
            raise ValueError(f"num_points: expected at least 0, got {count}")
        waiting = [self._variables(point) for point in (self._pending.values() if pending is None else pending)]
        spread = max(0, min(count, self._initial - len(self._runs) - len(waiting)))
        points = sobol_points(spread, self._space.dimension, seed=self._seed, index=self._suggested)
        if spread < count:
            known = np.concatenate([self._space.to_unit(waiting), points])
            points = np.concatenate([points, self._suggested_points(count - spread, known, self._suggested + spread)])
        return [self._new_suggestion(parameters) for parameters in self._space.from_unit(points)]

    def ingest(self, results: list[dict[str, Any]]) -> None:
        """Take in results: variables and twist of each, perhaps its standard error; and the `_id` that it was given.

        Raises:
            ValueError: an unknown `_id`, no `twist_deg`, or a number that is none. Nothing is taken in then.
        """
        taken = [self._result(result) for result in results]
        for result in taken:
            place = result.id if result.id is not None else self._suggested_at(result.parameters)
            if place is not None:
                self._pending.pop(place, None)
        points = self._space.to_unit([result.parameters for result in taken])
        self._runs = Runs(
            np.concatenate([self._runs.points, points]),
            np.append(self._runs.twist_deg, [result.twist_deg for result in taken]),
            np.append(self._runs.sigma_deg, [result.sigma_deg for result in taken]),
        )

    def _suggested_points(self, count: int, pending: Points, index: int) -> Points:
        return self._strategy.suggest(count, self._runs, pending, self._targets, index=index).points

    def _new_suggestion(self, parameters: dict[str, float]) -> dict[str, Any]:
        number = self._suggested
        self._pending[number] = parameters
        self._suggested += 1
        return {**parameters, **self._constants, ID: number}

    def _result(self, result: Mapping[str, Any]) -> _Result:
        if TWIST not in result:
            raise ValueError(f"results: expected {TWIST} in each, None or NaN where there is no twist, got none")
        twist_deg, sigma_deg = _number_or_nan(result, TWIST), _number_or_nan(result, SIGMA)
        if not (math.isnan(twist_deg) or 0 <= twist_deg <= LARGEST_TWIST_DEG):
            raise ValueError(f"{TWIST}: expected a twist in [0, {LARGEST_TWIST_DEG:g}], got {twist_deg}")
        return _Result(self._variables(result), twist_deg, sigma_deg, self._known_id(result))

    def _known_id(self, result: Mapping[str, Any]) -> int | None:
        given = result.get(ID)
        if given is None:
            return None
        if given not in range(self._suggested):
            raise ValueError(f"{ID}: expected an id that this generator issued, got {given!r}; leave it out otherwise")
        return int(given)

    def _variables(self, point: Mapping[str, Any]) -> dict[str, float]:
        row = {name: _number(name, point[name]) for name in self._space.names if name in point}
        self._space.row(row)
        return row

    def _suggested_at(self, parameters: dict[str, float]) -> int | None:
        return next((number for number, point in self._pending.items() if point == parameters), None)


def _space_of(vocs: VOCS) -> SearchSpace:
    try:
        return SearchSpace.model_validate({name: list(one.domain) for name, one in vocs.variables.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"variables: expected ranges that can be searched: {first['msg']}") from error


def _target(target: float | Target) -> Target:
    return target if isinstance(target, Target) else Target(twist_deg=target)


def _number_or_nan(result: Mapping[str, Any], name: str) -> float:
    value = result.get(name)
    is_none = value is None or (isinstance(value, float | np.floating) and math.isnan(value))
    return math.nan if is_none else _number(name, value)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite number, got {value!r}")
    return number
