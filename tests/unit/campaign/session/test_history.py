"""What the log tells of a campaign."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from moireloop.results.results import utilisation
from moireloop.session.history import History
from moireloop_broker.contract.events import CampaignChanged, Result, RunFailed, ServiceChanged

MakeResult = Callable[..., Result]


def test_pause_between_two_sessions_is_not_idle_time(make_result: MakeResult) -> None:
    """The history knows the sessions, so that the workers' utilisation does not count the pause between them."""
    history = History.of(
        [
            CampaignChanged(state="started", at_s=90.0),
            make_result(1, twist_deg=8.0, leased_s=100.0, finished_s=102.0, md_s=2.0),
            CampaignChanged(state="stopped", at_s=103.0),
            CampaignChanged(state="resumed", at_s=1000.0),
            make_result(2, twist_deg=8.0, leased_s=1001.0, finished_s=1003.0, md_s=1.0),
        ]
    )
    assert history.resumed_at_s == [1000.0]
    assert utilisation(history.results, history.resumed_at_s).fraction == pytest.approx(0.75)
    assert [result.candidate.seed for result in history.results[history.results_before :]] == [2]
    assert (history.outcomes, history.outcomes_of_session) == ({"measured": 2}, {"measured": 1})


def test_last_crash_is_kept(make_result: MakeResult) -> None:
    """Of several crashes the last is reported; starts and stops are none."""
    crashes = [ServiceChanged(service=name, state="crashed", reason="x", at_s=1.0) for name in ("pool", "broker")]
    started = ServiceChanged(service="broker", state="started", at_s=2.0)
    assert History.of([*crashes, started]).last_crash == crashes[-1]


def failed(number: int, *, charged: bool = True) -> RunFailed:
    return RunFailed(
        candidate_id=f"c{number}", attempt=1, worker="w", reason="ERROR: Lost atoms", charged=charged, failed_s=1.0
    )


def test_last_five_failures_are_kept() -> None:
    """Attempts that failed by themselves; one that was given back is none."""
    history = History.of([*map(failed, range(7)), failed(8, charged=False)])
    assert [failure.candidate_id for failure in history.last_failures] == ["c2", "c3", "c4", "c5", "c6"]
