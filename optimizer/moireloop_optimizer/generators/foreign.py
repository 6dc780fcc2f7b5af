"""A strategy made of a user's generators, one for each target, which are fed with new results (pure)."""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from moireloop_broker.contract.search import Points, SearchSpace, Target
from moireloop_optimizer.generators.calls import OBJECTIVE, SIGMA, TWIST, new_generator, reason_of, takes
from moireloop_optimizer.regret.per_target import aims_in_turn
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import STAND_IN, Suggestion

logger = logging.getLogger(__name__)

SAME_POINT: Final = 1e-6

ROUNDING: Final = 1e-9


class WrongPoints(ValueError):
    """A generator suggested too few points, or one without a finite value for each growth parameter."""


class ForeignStrategy:
    """Asks a generator for each target; one that misbehaves is recreated for the next question.

    In the place of what it did not give stand points of the Sobol sequence, marked as such.

    Args:
        load: gives the class; called once, unless it fails.
        name: who made the points, as candidates say it.
        space: the search space in physical units, in which generators work.
        options: keyword arguments for the class.
        seed: of all random numbers.
    """

    def __init__(
        self,
        load: Callable[[], Callable[..., Any]],
        name: str,
        space: SearchSpace,
        options: Mapping[str, Any],
        seed: int,
    ) -> None:
        self._load = load
        self._name = name
        self._space = space
        self._options = dict(options)
        self._seed = seed
        self._class: Callable[..., Any] | None = None
        self._fed: dict[Target, _Fed] = {}

    def load(self) -> None:
        """Have the class at hand; one that cannot be loaded fails again, and is reported, when points are asked for."""
        if self._class is None:
            with contextlib.suppress(Exception):
                self._class = self._load()

    def suggest(self, n: int, runs: Runs, pending: Points, targets: Sequence[Target], *, index: int) -> Suggestion:
        """The next n points; see suggestion.Strategy."""
        aims = aims_in_turn(n, runs, targets, index)
        points = sobol_points(n, self._space.dimension, seed=self._seed, index=index)
        made_by = [STAND_IN] * n
        began = time.perf_counter()
        for aim in dict.fromkeys(aims):
            mine = [place for place, one in enumerate(aims) if one == aim]
            chosen = self._suggested_points(targets[aim], len(mine), runs, pending, index + mine[0])
            for place, point in zip(mine, chosen, strict=False):
                points[place], made_by[place] = point, self._name
            pending = np.concatenate([pending, chosen])
        failed = STAND_IN in made_by
        return Suggestion(points, tuple(aims), tuple(made_by), failed, acquisition_s=time.perf_counter() - began)

    def _suggested_points(self, target: Target, n: int, runs: Runs, pending: Points, seed: int) -> Points:
        """At most n points (m, d); fewer, where the generator fails, which is logged."""
        got: list[Points] = []
        try:
            _seed_everything(self._seed, seed)
            fed = self._fed.get(target) or self._new(target)
            fed.tell(runs)
            fed.ask(n, pending, got)
        except Exception as error:  # a user's class: anything may be wrong with it
            logger.warning("generator failed strategy=%s points=%d reason=%s", self._name, len(runs), reason_of(error))
            self._fed.pop(target, None)
        return np.array(got, dtype=np.float64).reshape(-1, self._space.dimension)

    def _new(self, target: Target) -> _Fed:
        if self._class is None:
            self._class = self._load()
        generator_class = self._class
        fed = _Fed(
            lambda: new_generator(generator_class, self._space, self._options, target, self._seed), self._space, target
        )
        self._fed[target] = fed
        return fed


class _Fed:
    """One generator, what it has ingested, and the ids of what it suggested."""

    def __init__(self, make: Callable[[], Any], space: SearchSpace, target: Target) -> None:
        self._make = make
        self._space = space
        self._target = target
        self._begin()

    def tell(self, runs: Runs) -> None:
        """Let the generator know what it does not know yet; where it cannot take that, a new one gets it all."""
        inside = ((runs.points >= -ROUNDING) & (runs.points <= 1 + ROUNDING)).all(axis=1)
        known = runs.where(inside)
        if not np.isfinite(known.twist_deg).any():
            return
        if not self._is_extended_by(known):
            self._begin()
        try:
            self._ingest(known)
        except Exception as error:
            if not len(self._ingested):
                raise
            logger.warning("generator starts again type=%s reason=%s", type(self._generator).__name__, reason_of(error))
            self._begin()
            self._ingest(known)

    def ask(self, n: int, pending: Points, got: list[Points]) -> None:
        """Put n points into `got`, (d,) each, one after another; those before a failure are good.

        Raises:
            WrongPoints: the generator returned too few points, or invalid ones.
            Exception: whatever the generator raises.
        """
        try:
            given = self._suggested(n, pending)
        except Exception:
            if n == 1:
                raise
            for _ in range(n):
                self._take(self._suggested(1, np.array([*pending, *got])), 1, got)
            return
        self._take(given, n, got)

    def _begin(self) -> None:
        self._generator = self._make()
        self._ingested = Runs(np.zeros((0, self._space.dimension)), np.zeros(0), np.zeros(0))
        self._ids: list[tuple[Points, Any]] = []

    def _is_extended_by(self, runs: Runs) -> bool:
        seen = len(self._ingested)
        return np.array_equal(runs.points[:seen], self._ingested.points) and np.array_equal(
            runs.twist_deg[:seen], self._ingested.twist_deg, equal_nan=True
        )

    def _ingest(self, runs: Runs) -> None:
        seen = len(self._ingested)
        if len(runs) == seen:
            return
        regrets = ingested_regret_deg(runs.twist_deg, self._target)
        values = zip(regrets, runs.twist_deg, runs.sigma_deg, strict=True)
        parameters = self._space.from_unit(runs.points[seen:])
        self._generator.ingest(
            [
                {**point, **self._id_of(row), OBJECTIVE: float(regret), TWIST: float(twist), SIGMA: float(sigma)}
                for point, row, (regret, twist, sigma) in zip(
                    parameters, runs.points[seen:], list(values)[seen:], strict=True
                )
            ]
        )
        self._ingested = runs

    def _id_of(self, row: Points) -> dict[str, Any]:
        """The id under which the generator suggested a point, if it did; each is given back once."""
        for number, (point, name) in enumerate(self._ids):
            if np.abs(point - row).max() < SAME_POINT:
                del self._ids[number]
                return {"_id": name}
        return {}

    def _suggested(self, n: int, pending: Points) -> list[Any]:
        suggest = self._generator.suggest
        if takes(suggest, "pending"):
            return list(suggest(n, pending=self._space.from_unit(pending.reshape(-1, self._space.dimension))))
        return list(suggest(n))

    def _take(self, given: list[Any], n: int, got: list[Points]) -> None:
        for point in given[:n]:
            row = self._unit(point)
            if "_id" in point:
                self._ids.append((row, point["_id"]))
            got.append(row)
        if len(given) < n:
            raise WrongPoints(f"expected {n} points, got {len(given)}")

    def _unit(self, point: Any) -> Points:
        """(d,) unit cube coordinates of a point; one outside the bounds is moved to where they are crossed."""
        try:
            values = {name: float(point[name]) for name in self._space.names}
        except (KeyError, TypeError, ValueError, IndexError) as error:
            wanted = ", ".join(self._space.names)
            raise WrongPoints(f"expected numbers for {wanted}, got {str(point)[:200]}") from error
        if not np.isfinite(list(values.values())).all():
            raise WrongPoints(f"expected finite numbers, got {values}")
        row = self._space.to_unit([values])[0]
        if (row < -ROUNDING).any() or (row > 1 + ROUNDING).any():
            logger.info("point clipped to the bounds point=%s", values)
        clipped: Points = np.clip(row, 0.0, 1.0)
        return clipped


def ingested_regret_deg(twist_deg: npt.NDArray[np.float64], target: Target) -> npt.NDArray[np.float64]:
    """(N,) the regret in degrees that generators ingest for (N,) twists, one of which at least is not NaN.

    A run without a twist counts as the worst one measured before it, or as the first one where none was. What was
    ingested therefore stays right whatever comes.
    """
    regret = np.abs(twist_deg - target.twist_deg)
    measured = np.isfinite(regret)
    worst = np.fmax.accumulate(regret)
    worst[np.isnan(worst)] = regret[measured][0]
    return np.where(measured, regret, worst)


def _seed_everything(seed: int, index: int) -> None:
    """Seed the generators of random numbers that other people's code draws from."""
    number = int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
    random.seed(number)
    np.random.seed(number)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(number)
