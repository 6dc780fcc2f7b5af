"""What ending runs early has saved, per run and per campaign."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from moireloop.figures.early_end import early_end_figure
from moireloop.results.early_ends import early_ends, saved_steps, was_right
from moireloop.results.table import results_table
from moireloop_analyzer.checks import early_end_warnings
from moireloop_analyzer.settings import EarlyEndSettings, LearntPolicy
from moireloop_analyzer.settling.reliability import reliability
from moireloop_broker.contract.events import EarlyEndWithheld
from moireloop_broker.contract.search import Target
from tests.unit.campaign.conftest import MakeResult
from tests.unit.settling.made_up import TOLERANCE_DEG, whole_runs


@pytest.mark.parametrize(
    ("ended", "saved"), [("completed", 0), ("settled", 15_000), ("hopeless", 15_000), ("cancelled", None)]
)
def test_saved_steps_of_a_run(make_result: MakeResult, ended: str, saved: int | None) -> None:
    """The rest of the plan for a run that was ended early; a person's cancel is no saving."""
    steps = 20_000 if ended == "completed" else 5000
    assert saved_steps(make_result(1, twist_deg=8.0, ended=ended, steps=steps)) == saved


def test_runs_that_tell_nothing_are_left_out(make_result: MakeResult) -> None:
    """A failed candidate has no report, and without a plan there is no telling."""
    assert saved_steps(make_result(1, outcome="failed")) is None
    assert saved_steps(make_result(1, twist_deg=8.0, ended="settled", steps=100, planned_steps=0)) is None


def test_campaign_is_summed_up(make_result: MakeResult) -> None:
    """The share is of all steps that were planned, completed runs included."""
    results = [
        make_result(1, twist_deg=8.0, ended="settled", steps=5000),
        make_result(2, twist_deg=8.0, ended="settled", steps=10_000),
        make_result(3, ended="hopeless", steps=15_000),
        make_result(4, twist_deg=8.0),
        make_result(5, twist_deg=8.0, ended="cancelled", steps=1),
    ]
    assert str(early_ends(results)) == "early end saved 38 % of the steps: 2 settled, 1 hopeless"
    assert early_ends(results[3:]) is None
    assert early_ends([]) is None


def test_table_tells_how_each_run_ended(make_result: MakeResult) -> None:
    """Steps done, steps planned and the ending have a column each."""
    table = results_table([make_result(1, twist_deg=8.0, ended="settled", steps=5000)], [Target(twist_deg=8.0)], {})
    row = table.select(["ended", "steps", "planned_steps"]).to_pylist()
    assert row == [{"ended": "settled", "steps": 5000, "planned_steps": 20_000}]


def withheld(number: int, twist_deg: float, attempt: int = 1) -> EarlyEndWithheld:
    return EarlyEndWithheld(
        candidate_id=f"c-{number:04d}", attempt=attempt, reason="sure", step=9000, twist_deg=twist_deg,
        tolerance_deg=0.1, probability=0.97, share=0.1, withheld_s=1.0,
    )  # fmt: skip


def test_runs_that_were_kept_to_their_end_tell_how_often_it_was_right(make_result: MakeResult) -> None:
    """Another twist is wrong, and so is none; a run that was cancelled or tried again tells nothing."""
    results = [
        make_result(1, twist_deg=8.05),
        make_result(2, twist_deg=9.0),
        make_result(3),
        make_result(4, twist_deg=8.0, ended="cancelled", steps=1),
        make_result(5, twist_deg=8.0),
    ]
    events = [withheld(number, 8.0, attempt=1 + (number == 5)) for number in range(1, 6)]
    right = [was_right(event, result) for event, result in zip(events, results, strict=True)]
    assert right == [True, False, False, None, None]
    found = early_ends(results, {(event.candidate_id, event.attempt): event for event in events})
    assert found is not None
    assert (found.checked, found.wrong) == (3, 2)
    assert str(found).endswith("2 of 3 checked to their full end wrong")


def test_figure_shows_what_is_known_and_what_is_not() -> None:
    """Too few whole runs are said; of enough there are the curve, and wrong ends beside the level that was asked."""
    few = early_end_figure(None, 7, 49, 0.98)
    assert few.axes[0].texts[0].get_text() == "7 whole runs, 49 are needed"
    found = reliability(whole_runs(30), TOLERANCE_DEG, (0.7,))
    assert found is not None
    curve, levels = early_end_figure(found, 30, 10, 0.7).axes
    drawn = [[np.asarray(line.get_xydata()) for line in axes.lines] for axes in (curve, levels)]
    right = np.array([[part.predicted, part.right] for part in found.curve])
    wrong = np.array([[100 * (1 - level), 100 * ends.wrong / ends.ended] for level, ends in found.levels])
    assert any(np.array_equal(line, right) for line in drawn[0])
    assert any(np.array_equal(line, wrong) for line in drawn[1])


@pytest.mark.parametrize(("level", "budget", "warned"), [(0.98, 49, True), (0.98, 50, False), (0.9, 41, False)])
def test_a_budget_too_small_to_learn_from_is_reported(level: float, budget: int, warned: bool) -> None:
    """`validate` says how many whole runs a level needs; without the policy it says nothing."""
    warnings_of_file = early_end_warnings(EarlyEndSettings(learnt=LearntPolicy(level=level)), budget)
    assert bool(warnings_of_file) is warned
    assert (
        not warnings_of_file
        or f"level {level:g} needs 49 whole runs to learn from, and the budget is {budget}" in warnings_of_file[0]
    )
    assert early_end_warnings(EarlyEndSettings(), budget) == []


def test_one_way_to_settle_is_enough() -> None:
    """A file with both tables is refused, and the line names both."""
    both: dict[str, dict[str, float]] = {"settled": {}, "learnt": {}}
    with pytest.raises(ValidationError) as refusal:
        EarlyEndSettings.model_validate(both)
    assert "expected either [early_end.settled] or [early_end.learnt], got both" in str(refusal.value)
