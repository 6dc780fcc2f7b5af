"""Our strategies behind the standard interface of generators (gest-api)."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from gest_api.generator import Generator
from gest_api.vocs import VOCS

from moireloop_broker.contract.search import Target
from moireloop_optimizer import TwistGenerator

VARIABLES = {"temperature_k": [1500.0, 3000.0], "lattice_strain": [0.0, 0.05]}
SPACE = VOCS.model_validate({"variables": VARIABLES, "observables": ["twist_deg"], "constants": {"cells": 12}})


def twist_deg(point: dict[str, Any]) -> float | None:
    """An analytic landscape, refused in its hot corner."""
    if point["temperature_k"] > 2900:
        return None
    return 15.0 + 15.0 * math.sin(point["temperature_k"] / 300.0 + 60.0 * point["lattice_strain"])


def evaluated(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a standard driver gives back."""
    return [{**point, "twist_deg": twist_deg(point)} for point in points]


def generator(**options: Any) -> TwistGenerator:
    given: dict[str, Any] = {"targets": [8.0], "strategy": "thompson", "initial": 4, "seed": 3} | options
    return TwistGenerator(SPACE, **given)


def with_results(count: int = 8, **options: Any) -> TwistGenerator:
    """A generator that knows the results of its first points, so that its strategy chooses the next ones."""
    one = generator(**options)
    one.ingest(evaluated(one.suggest(count)))
    return one


def test_package_is_imported_without_torch() -> None:
    """The generator is there under the package's name, and nothing heavy is loaded before it is asked for."""
    text = "import sys, moireloop_optimizer; assert 'torch' not in sys.modules and 'gest_api' not in sys.modules"
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)
    assert issubclass(TwistGenerator, Generator)


def test_points_have_variables_constants_and_an_id() -> None:
    """Plain numbers inside the bounds, as many as were asked for; one where the number is the generator's choice."""
    points = generator().suggest(6)
    assert [point.pop("_id") for point in points] == list(range(6))
    for point in points:
        assert point.pop("cells") == 12
        assert set(point) == set(VARIABLES)
        assert all(type(value) is float for value in point.values())
        assert all(low <= point[name] <= high for name, (low, high) in VARIABLES.items())
    assert len(generator().suggest()) == 1
    assert generator().suggest(0) == []


def test_strategy_is_asked_once_enough_is_known() -> None:
    """The first points come from the initial design; results from elsewhere count towards it."""
    assert generator().suggest(4) == generator(strategy="random").suggest(4)
    elsewhere = [
        {"temperature_k": 1600.0 + 100 * k, "lattice_strain": 0.01 * k, "twist_deg": 3.0 * k} for k in range(5)
    ]
    ours, sobol = generator(), generator(strategy="random")
    ours.ingest(elsewhere)
    sobol.ingest(elsewhere)
    assert ours.suggest(1) != sobol.suggest(1)


@pytest.mark.parametrize("strategy", ["auto", "qei", "thompson", "random"])
def test_same_calls_give_the_same_points(strategy: str) -> None:
    """For each strategy, from the seed."""
    assert with_results(strategy=strategy).suggest(2) == with_results(strategy=strategy).suggest(2)
    assert with_results(strategy=strategy).suggest(2) != with_results(strategy=strategy, seed=4).suggest(2)


@pytest.mark.slow
def test_search_comes_closer() -> None:
    """Thirty points of the strategy come closer to the target than thirty of the Sobol sequence."""

    def best(strategy: str) -> float:
        one = generator(strategy=strategy, targets=[21.3])
        regrets: list[float] = []
        for _ in range(15):
            results = evaluated(one.suggest(2))
            regrets += [abs(r["twist_deg"] - 21.3) for r in results if r["twist_deg"] is not None]
            one.ingest(results)
        return min(regrets)

    assert best("qei") < best("random")


@pytest.mark.slow
def test_points_without_results_are_pending() -> None:
    """What was suggested and has no result keeps other points away; what the caller says is pending counts instead."""
    ours = with_results(strategy="qei")
    first = ours.suggest(1)
    again = ours.suggest(1)
    without = with_results(strategy="qei")
    without.suggest(1)
    assert np.abs(first[0]["temperature_k"] - again[0]["temperature_k"]) > 0
    assert without.suggest(1, pending=[]) != again
    same = with_results(strategy="qei")
    same.suggest(1)
    assert same.suggest(1, pending=first) == again


def test_result_is_known_again_without_its_id() -> None:
    """Drivers that drop ids, such as Xopt's, leave nothing pending behind."""
    with_ids, without = generator(), generator()
    results = evaluated(with_ids.suggest(8))
    without.suggest(8)
    with_ids.ingest(results)
    without.ingest([{name: value for name, value in one.items() if name != "_id"} for one in results])
    assert with_ids.suggest(2) == without.suggest(2)


def test_refused_twist_may_be_none_or_nan() -> None:
    """Both say the same."""
    points = generator().suggest(8)
    some = [{**one, "twist_deg": 3.0 * k if k < 6 else None} for k, one in enumerate(points)]
    suggested = []
    for missing in (None, math.nan, np.float64("nan")):
        ours = generator()
        ours.suggest(8)
        ours.ingest([one | {"twist_deg": missing if one["twist_deg"] is None else one["twist_deg"]} for one in some])
        suggested.append(ours.suggest(1))
    assert suggested[0] == suggested[1] == suggested[2]


def test_many_targets() -> None:
    """Targets may have tolerances."""
    assert len(with_results(targets=[8.0, Target(twist_deg=21.8, tolerance_deg=0.1)]).suggest(4)) == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"_id": 99}, "_id: expected an id that this generator issued, got 99"),
        ({"_id": "0"}, "_id: expected an id that this generator issued"),
        ({"temperature_k": None}, "temperature_k: expected a finite number, got None"),
        ({"temperature_k": math.inf}, "temperature_k: expected a finite number, got inf"),
        ({"twist_deg": math.inf}, "twist_deg: expected a finite number, got inf"),
        ({"twist_deg": 31.0}, r"twist_deg: expected a twist in \[0, 30\], got 31"),
        ({"twist_deg": "?"}, "twist_deg: expected a finite number"),
    ],
)
def test_wrong_result_is_refused_whole(wrong: dict[str, Any], message: str) -> None:
    """Nothing of what came with it is taken in."""
    ours = generator()
    results = evaluated(ours.suggest(8))
    with pytest.raises(ValueError, match=message):
        ours.ingest([*results[:-1], results[-1] | wrong])
    ours.ingest(results)
    assert ours.suggest(1) == with_results().suggest(1)


def test_missing_names_are_reported() -> None:
    """A result without its twist, or without a variable."""
    point = generator().suggest(1)[0]
    with pytest.raises(ValueError, match="expected twist_deg in each"):
        generator().ingest([point])
    with pytest.raises(ValueError, match="got none for lattice_strain"):
        generator().ingest([{"temperature_k": 1.0, "twist_deg": 1.0}])
    with pytest.raises(ValueError, match="got none for temperature_k"):
        generator().suggest(1, pending=[{}])
    with pytest.raises(ValueError, match="num_points: expected at least 0, got -1"):
        generator().suggest(-1)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"variables": {"a": {1, 2}}}, "expected continuous ones, got a of type DiscreteVariable"),
        ({"variables": {"a": "CONTEXTUAL"}}, "expected continuous ones, got a of type ContextualVariable"),
        ({"variables": {"a": [0, math.inf]}}, "expected ranges that can be searched"),
        ({"variables": {}}, "expected ranges that can be searched"),
        ({"variables": {"a b": [0, 1]}}, "expected ranges that can be searched"),
        ({"variables": {"a": {"type": "ContinuousVariable", "domain": [0, 1], "dtype": (float, (3,))}}},
         "expected scalars"),
        ({"objectives": {"regret_deg": "MINIMIZE"}}, "objectives: expected none, .* got regret_deg"),
        ({"constraints": {"c": ["LESS_THAN", 0]}}, "constraints: expected none, .* got c"),
        ({"observables": []}, "observables: expected twist_deg and at most sigma_deg, got none"),
        ({"observables": ["twist_deg", "order"]}, "got twist_deg, order"),
    ],
)  # fmt: skip
def test_vocs_that_cannot_work_is_refused(parts: dict[str, Any], message: str) -> None:
    """With a ValueError that says what is expected."""
    vocs = VOCS.model_validate({"variables": {"a": [0, 1]}, "observables": ["twist_deg", "sigma_deg"]} | parts)
    with pytest.raises(ValueError, match=message):
        TwistGenerator(vocs, [8.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": []}, "targets: expected at least one"),
        ({"targets": [40.0]}, "twist_deg"),
        ({"strategy": "bayes"}, "expected one of the strategies"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """Targets beyond 30 degrees, unknown strategies."""
    with pytest.raises(ValueError, match=message):
        generator(**options)
