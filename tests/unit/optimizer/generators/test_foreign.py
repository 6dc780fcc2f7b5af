"""Somebody else's generators as a strategy: what they receive, and what comes of what they do wrong."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from gest_api.vocs import VOCS

from moireloop_broker.contract.search import Points, SearchSpace, Target
from moireloop_optimizer.generators.calls import new_generator
from moireloop_optimizer.generators.foreign import ForeignStrategy, ingested_regret_deg
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.sobol import sobol_points
from moireloop_optimizer.strategy import Suggestion

SPACE = SearchSpace({"temperature_k": [1000.0, 2000.0], "lattice_strain": [0.0, 0.1]})
NOTHING = np.zeros((0, 2))
NAN = float("nan")


class Walk:
    """Steps at random from the best point; keeps all that it received."""

    returns_id = True

    def __init__(self, vocs: VOCS, width: float = 0.1) -> None:
        self.vocs, self.width = vocs, width
        self.ingested: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self.given = 0
        Walk.made.append(self)

    made: ClassVar[list[Walk]] = []

    def suggest(self, num_points: int | None) -> list[dict[str, Any]]:
        return [self._point() for _ in range(num_points or 1)]

    def _point(self) -> dict[str, Any]:
        best = min(self.ingested, key=lambda one: one["regret_deg"])
        point: dict[str, Any] = {"_id": self.given}
        self.given += 1
        for name, (low, high) in zip(self.vocs.variable_names, self.vocs.bounds, strict=True):
            step = random.uniform(-self.width, self.width) * (high - low)
            point[name] = min(high, max(low, best[name] + step))
        return point

    def ingest(self, results: list[dict[str, Any]]) -> None:
        self.ingested += results
        self.calls.append(len(results))


@pytest.fixture(autouse=True)
def _forget_walks() -> None:
    Walk.made.clear()


def runs(twists: Sequence[float], points: Points | None = None) -> Runs:
    points = sobol_points(len(twists), 2, seed=0) if points is None else points
    return Runs(points, np.array(twists, dtype=float), np.full(len(twists), 0.1))


def strategy(generator_class: Callable[..., Any], **options: Any) -> ForeignStrategy:
    return ForeignStrategy(lambda: generator_class, "Walk", SPACE, options, 1)


def suggested(
    ours: ForeignStrategy, known: Runs, n: int = 2, targets: Sequence[float] = (5.0,), index: int = 10
) -> Suggestion:
    made = ours.suggest(n, known, NOTHING, [Target(twist_deg=one, tolerance_deg=0.01) for one in targets], index=index)
    assert made.points.shape == (n, 2)
    assert ((made.points >= 0) & (made.points <= 1)).all()
    return made


def test_it_is_reported_in_physical_units() -> None:
    """Growth parameters, regret, twist and its error; the VOCS has the bounds of the space."""
    suggested(strategy(Walk, width=0.2), runs([3.0, 7.5], np.array([[0.0, 0.0], [0.5, 1.0]])))
    (walk,) = Walk.made
    assert walk.vocs.bounds == [[1000.0, 2000.0], [0.0, 0.1]]
    assert walk.vocs.objective_names == ["regret_deg"]
    assert walk.width == 0.2
    assert walk.ingested == [
        {"temperature_k": 1000.0, "lattice_strain": 0.0, "regret_deg": 2.0, "twist_deg": 3.0, "sigma_deg": 0.1},
        {"temperature_k": 1500.0, "lattice_strain": 0.1, "regret_deg": 2.5, "twist_deg": 7.5, "sigma_deg": 0.1},
    ]


def test_its_points_are_named_after_it() -> None:
    """And are the same again from the same seed and history."""
    made = suggested(strategy(Walk), runs([3.0, 7.5]))
    assert made.made_by == ("Walk", "Walk")
    assert not made.fit_failed
    assert (suggested(strategy(Walk), runs([3.0, 7.5])).points == made.points).all()


def test_only_new_results_are_given() -> None:
    """One generator lives from question to question; it gets its ids back with the results of its points."""
    ours = strategy(Walk)
    first = suggested(ours, runs([3.0, 7.5]))
    points = np.concatenate([sobol_points(2, 2, seed=0), first.points[::-1]])
    suggested(ours, runs([3.0, 7.5, 4.0, 6.0], points))
    (walk,) = Walk.made
    assert walk.calls == [2, 2]
    assert [one.get("_id") for one in walk.ingested] == [None, None, 1, 0]


def test_changed_history_starts_over() -> None:
    """A history that does not begin with what was given goes to a new generator, whole."""
    ours = strategy(Walk)
    suggested(ours, runs([3.0, 7.5]))
    suggested(ours, runs([3.0, 8.5, 1.0]))
    assert [walk.calls for walk in Walk.made] == [[2], [3]]


def test_each_target_has_a_generator() -> None:
    """All get all results, each with its own regret; they are asked in turn."""
    made = suggested(strategy(Walk), runs([3.0, 7.5]), n=4, targets=(5.0, 20.0))
    assert made.aims == (0, 1, 0, 1)
    assert [[one["regret_deg"] for one in walk.ingested] for walk in Walk.made] == [[2.0, 2.5], [17.0, 12.5]]


def test_refused_runs_count_as_the_worst_before_them() -> None:
    """The first ones as the first that was measured; what was given once stays as it was."""
    twists = np.array([NAN, 7.0, NAN, 1.0, NAN, 5.0])
    target = Target(twist_deg=5.0)
    assert ingested_regret_deg(twists, target).tolist() == [2.0, 2.0, 2.0, 4.0, 4.0, 0.0]
    assert ingested_regret_deg(twists[:3], target).tolist() == [2.0, 2.0, 2.0]


def test_results_outside_the_bounds_are_not_learnt() -> None:
    """Those of a campaign resumed with others: a generator need not know what to do with them."""
    suggested(strategy(Walk), runs([3.0, 7.5, 9.0], np.array([[0.0, 0.0], [1.5, 0.5], [1.0, 1.0]])))
    assert [one["twist_deg"] for one in Walk.made[0].ingested] == [3.0, 9.0]


def test_what_a_class_asks_for_by_name_it_gets() -> None:
    """Seed, target and tolerance, where no option says otherwise; pending points, where `suggest` takes them."""

    class Curious(Walk):
        def __init__(self, vocs: VOCS, seed: int, target_deg: float, tolerance_deg: float) -> None:
            super().__init__(vocs)
            self.got = (seed, target_deg, tolerance_deg)

        def suggest(
            self, num_points: int | None, pending: list[dict[str, float]] | None = None
        ) -> list[dict[str, Any]]:
            self.pending = pending
            return super().suggest(num_points)

    ours = strategy(Curious, seed=7)
    ours.suggest(1, runs([3.0, 7.5]), np.array([[0.5, 0.5]]), [Target(twist_deg=5.0)], index=10)
    (curious,) = Walk.made
    assert isinstance(curious, Curious)
    assert curious.got == (7, 5.0, 0.5)
    assert curious.pending == [{"temperature_k": 1500.0, "lattice_strain": 0.05}]


def test_points_outside_the_bounds_are_moved_to_them() -> None:
    """A walk that steps over the edge ends on it."""

    class Careless(Walk):
        def _point(self) -> dict[str, Any]:
            return {"temperature_k": 2500.0, "lattice_strain": -0.1}

    made = suggested(strategy(Careless), runs([3.0, 7.5]))
    assert made.points.tolist() == [[1.0, 0.0]] * 2
    assert not made.fit_failed


def test_one_that_gives_single_points_is_asked_for_each() -> None:
    """As simplex methods do, which refuse to give more."""

    class Single(Walk):
        def suggest(self, num_points: int | None) -> list[dict[str, Any]]:
            if num_points != 1:
                raise ValueError("one at a time")
            return super().suggest(1)

    assert suggested(strategy(Single), runs([3.0, 7.5]), n=3).made_by == ("Walk",) * 3


class Raises(Walk):
    def suggest(self, num_points: int | None) -> list[dict[str, Any]]:
        raise RuntimeError("no idea")


class TooFew(Walk):
    def suggest(self, num_points: int | None) -> list[dict[str, Any]]:
        return super().suggest(1)


class NotFinite(Walk):
    def _point(self) -> dict[str, Any]:
        return {"temperature_k": NAN, "lattice_strain": 0.0}


class OtherKeys(Walk):
    def _point(self) -> dict[str, Any]:
        return {"temperature": 1500.0, "lattice_strain": 0.0}


class NoList(Walk):
    def suggest(self, num_points: int | None) -> list[dict[str, Any]]:
        return 7  # type: ignore[return-value]


class TextPoints(Walk):
    def suggest(self, num_points: int | None) -> list[dict[str, Any]]:
        return ["here", "there"]  # type: ignore[list-item]


class CannotLearn(Walk):
    def ingest(self, results: list[dict[str, Any]]) -> None:
        raise KeyError("cells")


class CannotBeMade(Walk):
    def __init__(self, vocs: VOCS) -> None:
        raise ValueError("no constraints, no generator")


@pytest.mark.parametrize(
    ("wrong", "names", "reason"),
    [
        (Raises, ("sobol", "sobol"), "RuntimeError: no idea"),
        (TooFew, ("Walk", "sobol"), "expected 2 points, got 1"),
        (NotFinite, ("sobol", "sobol"), "expected finite numbers"),
        (OtherKeys, ("sobol", "sobol"), "expected numbers for temperature_k, lattice_strain, got {'temperature'"),
        (NoList, ("sobol", "sobol"), "TypeError"),
        (TextPoints, ("sobol", "sobol"), "expected numbers for temperature_k"),
        (CannotLearn, ("sobol", "sobol"), "KeyError: 'cells'"),
        (CannotBeMade, ("sobol", "sobol"), "ValueError: no constraints, no generator"),
    ],
)
def test_what_it_does_wrong_is_made_up_for(
    wrong: type[Walk], names: tuple[str, ...], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Sobol points stand in, the answer says that it failed, the log why; a new generator gets the next question."""
    ours = strategy(wrong)
    with caplog.at_level(logging.WARNING):
        made = suggested(ours, runs([3.0, 7.5]))
    assert made.made_by == names
    assert made.fit_failed
    assert reason in caplog.text
    assert suggested(ours, runs([3.0, 7.5])).made_by == names
    assert all(walk.calls in ([], [2]) for walk in Walk.made)


def test_class_that_cannot_be_loaded_is_made_up_for() -> None:
    """A file that went away meanwhile brings nothing down."""

    def load() -> Callable[..., Any]:
        raise LookupError("gone")

    made = suggested(ForeignStrategy(load, "Walk", SPACE, {}, 0), runs([3.0, 7.5]))
    assert made.made_by == ("sobol", "sobol")
    assert made.fit_failed


def test_generator_that_takes_no_new_results_is_remade() -> None:
    """A generator that takes in nothing after its first results is made again with the whole history."""

    class Stubborn(Walk):
        def ingest(self, results: list[dict[str, Any]]) -> None:
            if self.ingested:
                raise ValueError("not mine")
            super().ingest(results)

    ours = strategy(Stubborn)
    suggested(ours, runs([3.0, 7.5]))
    assert not suggested(ours, runs([3.0, 7.5, 1.0])).fit_failed
    assert [walk.calls for walk in Walk.made] == [[2], [3]]


def test_reached_targets_give_way() -> None:
    """Once a target is reached its generator is asked no more, while another is not."""
    made = suggested(strategy(Walk), runs([5.0, 7.5]), n=2, targets=(5.0, 20.0))
    assert made.aims == (1, 1)
    assert len(Walk.made) == 1


def test_nothing_but_refused_runs_says_nothing() -> None:
    """A generator without results may fail; Sobol points replace its own."""
    assert suggested(strategy(Walk), runs([NAN, NAN])).made_by == ("sobol", "sobol")


def test_space_with_names_of_results_is_refused() -> None:
    """A growth parameter cannot be called as the regret is."""
    with pytest.raises(ValueError, match="got regret_deg"):
        new_generator(Walk, SearchSpace({"regret_deg": [0.0, 1.0]}), {}, Target(twist_deg=1.0), 0)
