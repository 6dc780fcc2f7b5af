"""When a campaign is over, when it stops spending node-hours, and what a resumed one withdraws."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from moireloop.session.ending import Ending, ending_of, failure_of, should_drain, wall_time_reason, without_success
from moireloop.session.history import History
from moireloop.session.progress import Progress, progress_of
from moireloop.session.resumption import withdrawals
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import Result

MakeResult = Callable[..., Result]


def progress(state: str, results: list[Result], **counts: int) -> Progress:
    fields = {
        "campaign": "c",
        "state": state,
        "counts": counts,
        "counters": {},
        "workers": [],
        "services": {},
        "pools": [],
    }
    status = Status.model_validate({**fields, "last_id": "0-0"})
    return progress_of(status, results, (), budget_results=3, started_s=0.0, now_s=1.0)


@pytest.mark.parametrize(
    ("state", "done", "counts", "is_over"),
    [
        ("started", 3, {}, True),
        ("started", 3, {"queued": 1}, False),
        ("started", 3, {"running": 1}, False),
        ("started", 3, {"analysing": 1}, False),
        ("started", 2, {}, False),
        ("draining", 1, {"queued": 5}, True),
        ("draining", 1, {"running": 1}, False),
        ("draining", 1, {"analysing": 1}, False),
    ],
)
def test_campaign_is_over_when_nothing_is_left_to_do(
    make_result: MakeResult, state: str, done: int, counts: dict[str, int], is_over: bool
) -> None:
    """The budget is spent and nothing waits or runs, or the campaign drains and nothing runs."""
    results = [make_result(n, twist_deg=8.0) for n in range(done)]
    ending = ending_of(progress(state, results, **counts), 3)
    assert (ending is not None) is is_over
    if ending is not None:
        assert ending == Ending(done == 3, ending.reason)


def test_cancelled_results_do_not_spend_the_budget(make_result: MakeResult) -> None:
    """A campaign of three results with one of them cancelled is not over."""
    results = [make_result(0, twist_deg=8.0), make_result(1, twist_deg=8.0), make_result(2, outcome="cancelled")]
    assert ending_of(progress("started", results), 3) is None


@pytest.mark.parametrize(
    ("outcomes", "workers", "given_up"),
    [
        (["failed"] * 5, 2, True),
        (["failed"] * 4, 2, False),
        (["failed"] * 5, 8, False),
        (["failed"] * 8, 8, True),
        (["refused"] + ["failed"] * 7, 2, False),
        (["cancelled"] + ["failed"] * 5, 2, True),
        ([], 1, False),
    ],
)
def test_campaign_whose_every_candidate_fails_is_given_up(
    make_result: MakeResult, outcomes: list[str], workers: int, given_up: bool
) -> None:
    """Five failures from the first on, and as many as there are workers, are enough; any other result is hope."""
    results = [make_result(n, outcome=outcome, reason="ERROR: no pair style") for n, outcome in enumerate(outcomes)]
    reason = failure_of(History.of(results), workers)
    assert (reason is not None) is given_up
    assert reason is None or "ERROR: no pair style" in reason


@pytest.mark.parametrize(
    ("outcomes", "is_failure"),
    [
        (["failed"] * 3, True),
        (["failed", "cancelled"], True),
        (["failed", "refused"], False),
        ([], False),
    ],
)
def test_budget_spent_on_failures_is_a_failure(make_result: MakeResult, outcomes: list[str], is_failure: bool) -> None:
    """Where every candidate failed the session has failed, too, and says why; a refused one is a finding."""
    results = [make_result(n, outcome=outcome, reason="lost atoms") for n, outcome in enumerate(outcomes)]
    ending = without_success(Ending(True, "all 3 results are there"), History.of(results))
    assert ending.is_failure == is_failure
    assert ("every one failed, the last with: lost atoms" in ending.reason) == is_failure
    assert without_success(Ending(False, "drained"), History.of(results)) == Ending(False, "drained")


def test_budget_of_which_most_failed_is_a_failure(make_result: MakeResult) -> None:
    """392 of 400 failures are no success: the reason has the number and the last failure's words."""
    results = [make_result(n, outcome="failed" if n else "refused", reason="lost atoms") for n in range(5)]
    ending = without_success(Ending(True, "all 5 results are there"), History.of(results))
    assert ending.is_failure
    assert ending.reason == "all 5 results are there, and 4 of them failed, the last with: lost atoms"
    assert not without_success(Ending(True, "done"), History.of(results[:2])).is_failure


@pytest.mark.parametrize(
    ("elapsed_s", "wall_time_s", "run_s", "drains"),
    [(10, None, 5, False), (10, 20, 5, False), (15, 20, 5, True), (10, 20, None, False), (20, 20, None, True)],
)
def test_drains_while_a_run_still_fits_into_the_wall_time(
    elapsed_s: float, wall_time_s: float | None, run_s: float | None, drains: bool
) -> None:
    """No run begins that would not end within the wall time."""
    assert should_drain(elapsed_s, wall_time_s, run_s) is drains


def test_resumed_campaign_withdraws_what_lies_outside_or_beyond(make_result: MakeResult) -> None:
    """Queued candidates outside the new bounds go, then the last ones beyond the new budget."""

    cold = {"temperature_k": 100.0, "lattice_strain": 0.01}
    queued = [make_result(1, parameters=cold).candidate, make_result(2).candidate, make_result(3).candidate]
    bounds = {"temperature_k": (1000.0, 3000.0), "lattice_strain": (0.0, 0.05)}
    assert set(withdrawals(queued, bounds, 2)) == {"c-0001"}
    assert set(withdrawals(queued, bounds, 1)) == {"c-0001", "c-0003"}
    assert set(withdrawals(queued, bounds, -1)) == {"c-0001", "c-0002", "c-0003"}
    assert set(withdrawals(queued, {**bounds, "temperature_k": (0.0, 3000.0)}, 9)) == set()


def test_end_names_the_wall_time_as_its_reason(make_result: MakeResult) -> None:
    """It says which setting is over, or leaves too little, and how many results there are."""
    view = progress("draining", [make_result(n, twist_deg=8.0) for n in range(2)])
    for elapsed_s, words in ((600.0, "is over"), (500.0, "leaves no time for another run")):
        drained_for = wall_time_reason(elapsed_s, 600.0, 600.0)
        ending = ending_of(view, 8, drained_for)
        assert ending is not None
        assert ending.reason == f"budget.wall_time_s = 600 {words}, with 2 of 8 results"
    interrupted = ending_of(view, 8, "interrupted")
    assert interrupted is not None
    assert interrupted.reason == "drained with 2 of 8 results: interrupted"
