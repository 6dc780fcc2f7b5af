"""What ending runs early has saved, per run and per campaign."""

from __future__ import annotations

import pytest

from moireloop.results.early_ends import early_ends, saved_steps
from moireloop.results.table import results_table
from moireloop_broker.contract.search import Target
from tests.unit.campaign.conftest import MakeResult


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
