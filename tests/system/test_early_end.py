"""Campaigns whose runs are ended early: orders are heard in time, saved steps are reported, kills do no harm."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow.parquet
import pytest

from moireloop_broker.contract.events import EarlyEndOrdered, Event, Result
from tests.system.running import RunningCampaign

Make = Callable[..., RunningCampaign]

pytestmark = pytest.mark.timeout(240)

EVERY_STEPS = 5000
HOPELESS_AT_ONCE = "\n[early_end.hopeless]\nframes = 2\nafter_fraction = 0.0\ndistance_deg = 1e-9\n"
STEPS = (100_000, 100_000)


def with_early_end(running: RunningCampaign) -> RunningCampaign:
    """Every run is found hopeless at its second frame; a frame takes some tenths of a second."""
    text = running.file.read_text().replace("every_steps = 500", f"every_steps = {EVERY_STEPS}")
    running.file.write_text(text + HOPELESS_AT_ONCE)
    return running


def orders_of(events: list[Event]) -> dict[tuple[str, int], EarlyEndOrdered]:
    return {(event.candidate_id, event.attempt): event for event in events if isinstance(event, EarlyEndOrdered)}


def results_of(events: list[Event]) -> list[Result]:
    return [event for event in events if isinstance(event, Result)]


def test_runs_end_within_a_frame_interval(campaign: Make) -> None:
    """Runs end at the frame that decided or before the next but one, and the saved steps are reported and written."""
    running = with_early_end(campaign(results=6, steps=STEPS))
    running.start()
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(6)
    orders = orders_of(events)
    for result in results_of(events):
        assert result.report is not None
        order = orders[result.candidate.candidate_id, result.attempt]
        assert (result.report.ended, result.report.planned_steps) == ("hopeless", sum(STEPS))
        assert 0 <= result.report.steps - order.step < 2 * EVERY_STEPS
        assert (result.reason or "").startswith(f"hopeless: {order.reason}")
        assert result.outcome == ("refused" if result.twist_deg is None else "measured")
    assert "early end saved 9" in output
    assert "0 settled, 6 hopeless" in output
    table = pyarrow.parquet.read_table(running.folder / "results.parquet").to_pylist()
    assert all(row["ended"] == "hopeless" and row["steps"] < row["planned_steps"] == sum(STEPS) for row in table)


def test_kills_leave_exactly_one_result(campaign: Make) -> None:
    """Analyzer and worker are killed again and again while runs are ended early: each candidate has one result."""
    running = with_early_end(campaign(results=12, steps=STEPS))
    running.start()
    for number, victim in enumerate(["moireloop_analyzer", "mpi4py", "moireloop_analyzer", "mpi4py"]):
        running.wait_for_results(1 + 2 * number)
        running.kill(victim)
    code, output = running.end()
    assert code == 0, output
    events = running.assert_exactly_one_result_each(12)
    orders = orders_of(events)
    for result in results_of(events):
        assert result.report is not None
        assert (result.report.ended == "hopeless") is ((result.candidate.candidate_id, result.attempt) in orders)
