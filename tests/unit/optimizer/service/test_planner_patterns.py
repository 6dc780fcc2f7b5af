"""Measured patterns in the planner: what the model may learn from them, where the settings say so."""

from __future__ import annotations

import numpy as np
import pytest

from moireloop_broker.contract.events import Requested
from moireloop_broker.contract.search import BudgetSettings, SearchSpace, Target
from moireloop_broker.contract.steering import ChangeSpaceRequest
from moireloop_optimizer.checks import optimizer_problems
from moireloop_optimizer.runs import Runs
from moireloop_optimizer.service import planner as planner_module
from moireloop_optimizer.service.fit_protocol import (
    Question,
    pack,
    packed_growths,
    packed_rows,
    unpack_question,
)
from moireloop_optimizer.service.planner import Planner
from moireloop_optimizer.settings import OptimizerSettings
from tests.helpers.campaign_events import candidate, result
from tests.helpers.grown import measured_pattern

SPACE = SearchSpace.model_validate({"temperature_k": [1000, 3000], "lattice_strain": [0.0, 0.05]})
GROWN = {"temperature_k": 2000.0, "lattice_strain": 0.01}


def planner(*, learns: bool) -> Planner:
    settings = OptimizerSettings(learn_from_patterns=learns)
    return Planner(SPACE, [Target(twist_deg=5.0)], settings, BudgetSettings(results=40), 2)


PATTERNS = (
    measured_pattern("a", 8.0, {**GROWN, "heater_k": 800.0}),
    measured_pattern("b", 9.0, {**GROWN, "temperature_k": 2500.0, "heater_k": 900.0, "flux": 1.0}),
    measured_pattern("a", 8.0, {**GROWN, "heater_k": 800.0}),
    measured_pattern("without", None, {**GROWN, "heater_k": 850.0}),
    measured_pattern("others", 7.0, {"heater_k": 850.0}),
    measured_pattern("absurd", 7.0, {"temperature_k": 1e9, "lattice_strain": 0.0, "heater_k": 850.0}),
)


def test_patterns_are_left_alone_unless_the_settings_say_otherwise() -> None:
    """By default nothing that the chamber shows reaches the model."""
    plan = planner(learns=False)
    for event in PATTERNS:
        plan.apply(event)
    assert OptimizerSettings().learn_from_patterns is False
    assert plan.runs.growths is None


def test_growths_are_the_patterns_with_a_twist_and_all_parameters() -> None:
    """Each once, however often its event comes; parameters that all of them have count beside the search space's."""
    plan = planner(learns=True)
    plan.apply(result(candidate("c00001")))
    for event in PATTERNS:
        plan.apply(event)
    growths = plan.runs.growths
    assert growths is not None
    np.testing.assert_allclose(growths.points, [[0.5, 0.2], [0.75, 0.2]])
    np.testing.assert_allclose(growths.own, [[0.0], [1.0]])
    np.testing.assert_allclose(growths.twist_deg, [8.0, 9.0])
    assert len(plan.runs) == 1


def test_growths_move_with_the_search_space() -> None:
    """As results do: new bounds give them other places in the unit cube."""
    plan = planner(learns=True)
    plan.apply(PATTERNS[0])
    assert plan.runs.growths is not None
    plan.apply(
        Requested(requester="ada", request=ChangeSpaceRequest(space={"temperature_k": [2000.0, 4000.0]}), at_s=1.0)
    )
    np.testing.assert_allclose(plan.runs.growths.points, [[0.0, 0.2]])


def test_of_many_patterns_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner's memory is bounded."""
    monkeypatch.setattr(planner_module, "KEPT_PATTERNS", 2)
    plan = planner(learns=True)
    for number in range(5):
        plan.apply(measured_pattern(f"p{number}", 1.0 + number, GROWN))
    assert plan.runs.growths is not None
    np.testing.assert_allclose(plan.runs.growths.twist_deg, [4.0, 5.0])


@pytest.mark.parametrize("own", [0, 2])
def test_growths_reach_the_fit_process_as_they_are(own: int) -> None:
    """Also if the chamber has no further parameter."""
    plan = planner(learns=True)
    for number in range(3):
        plan.apply(measured_pattern(f"p{number}", 1.0 + number, GROWN | {f"own{k}": float(number) for k in range(own)}))
    growths = plan.runs.growths
    asked = Question(
        strategy="auto", seed=1, n=1, index=3, space=SPACE, points=b"", twist_deg=b"", sigma_deg=b"",
        growths=packed_growths(growths), pending=packed_rows([]), targets=[Target(twist_deg=5.0)],
    )  # fmt: skip
    unpacked = unpack_question(pack(asked)).runs.growths
    assert growths is not None
    assert unpacked is not None
    for name in ("points", "own", "twist_deg", "sigma_deg"):
        np.testing.assert_array_equal(getattr(unpacked, name), getattr(growths, name))
    assert packed_growths(None) == packed_growths(planner(learns=True).runs.growths) == []
    assert Runs(growths.points, growths.twist_deg, growths.sigma_deg).growths is None


@pytest.mark.parametrize("strategy", ["random", "qei", "none"])
def test_only_auto_learns_from_patterns(strategy: str) -> None:
    """Another strategy is refused before anything starts."""
    settings = OptimizerSettings.model_validate({"strategy": strategy, "learn_from_patterns": True})
    (problem,) = optimizer_problems(settings, BudgetSettings(results=40))
    assert problem.key == "optimizer.learn_from_patterns"
    assert "'auto', which alone learns from patterns" in problem.text
