"""When a campaign is over (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from moireloop.session.history import History
from moireloop.session.progress import Progress
from moireloop_broker.contract.events import BUDGET_OUTCOMES

FAILED_AT_FIRST = 5

WALL_TIME = "budget.wall_time_s"


@dataclass(frozen=True)
class Ending:
    """How a campaign's session ended: with its budget spent, drained, given back, or given up as a failure.

    `goes_on_later` is whether it gave everything back so that another allocation can continue.
    """

    is_complete: bool
    reason: str
    is_failure: bool = False
    goes_on_later: bool = False


def ending_of(progress: Progress, budget_results: int, drained_for: str | None = None) -> Ending | None:
    """The end of a session: the budget is spent, or it drains and nothing runs any more; None before that.

    Args:
        drained_for: why it drains.
    """
    if progress.running or progress.analysing:
        return None
    if is_complete(progress, budget_results):
        return Ending(True, f"all {budget_results} results are there")
    if progress.state == "draining":
        got = f"{progress.done} of {budget_results} results"
        if drained_for is not None and drained_for.startswith(WALL_TIME):
            return Ending(False, f"{drained_for}, with {got}")
        return Ending(False, f"drained with {got}" + (f": {drained_for}" if drained_for else ""))
    return None


def is_complete(progress: Progress, budget_results: int) -> bool:
    """Whether all results are there, and nothing is left to do."""
    left = progress.running or progress.analysing or progress.queued
    return progress.done >= budget_results and not left


def given_back(reason: str, progress: Progress | None, budget_results: int) -> Ending:
    """The end of a session that gives everything back; `progress` is None where nothing is known of it."""
    got = "" if progress is None else f", with {progress.done} of {budget_results} results"
    return Ending(False, f"gave everything back: {reason}{got}; `moireloop resume` continues", goes_on_later=True)


def failure_of(history: History, workers: int) -> str | None:
    """Why a campaign should not spend more node-hours: all of its first candidates failed. None while there is hope.

    Args:
        history: of the campaign, of which the results of the present session count.
        workers: the number of workers; as many candidates, and at least FAILED_AT_FIRST, must have failed.
    """
    outcomes, last = history.outcomes_of_session, history.last_failed
    counted = sum(outcomes[outcome] for outcome in BUDGET_OUTCOMES)
    if counted < max(FAILED_AT_FIRST, workers) or outcomes["failed"] < counted or last is None:
        return None
    return f"given up: all of the first {counted} candidates failed, the last with: {last.reason}"


def without_success(ending: Ending, history: History) -> Ending:
    """The same ending, but a failure, and saying so, where most candidates failed."""
    counted = sum(history.outcomes[outcome] for outcome in BUDGET_OUTCOMES)
    failed, last = history.outcomes["failed"], history.last_failed
    if not ending.is_complete or 2 * failed <= counted or last is None:
        return ending
    share = "every one" if failed == counted else f"{failed} of them"
    reason = f"{ending.reason}, and {share} failed, the last with: {last.reason}"
    return Ending(True, reason, is_failure=True)


def wall_time_reason(elapsed_s: float, wall_time_s: float, budget_s: float) -> str:
    """Why a session drains by its wall time.

    Args:
        elapsed_s: seconds spent so far.
        wall_time_s: seconds that the session has, those before its first worker among them.
        budget_s: the setting.
    """
    what = "is over" if elapsed_s >= wall_time_s else "leaves no time for another run"
    return f"{WALL_TIME} = {budget_s:g} {what}"


def should_drain(elapsed_s: float, wall_time_s: float | None, run_s: float | None) -> bool:
    """Whether to lease no more: the wall time is over, or a run that starts now would not end within it.

    Args:
        elapsed_s: seconds spent so far.
        wall_time_s: the budget's wall time in seconds; None without one.
        run_s: how long a run takes, in seconds; None before the first has ended.
    """
    return wall_time_s is not None and elapsed_s + (run_s or 0.0) >= wall_time_s


def out_of_time(elapsed_s: float, budget_s: float, waited_s: float, run_s: float | None) -> str | None:
    """Why a session should lease no more for lack of time; None while there is time for another run.

    Args:
        elapsed_s: seconds spent so far.
        budget_s: the setting `budget.wall_time_s`.
        waited_s: seconds before the first worker began, which the budget does not count.
        run_s: how long a run takes, in seconds; None before the first has ended.
    """
    if not should_drain(elapsed_s, budget_s + waited_s, run_s):
        return None
    return wall_time_reason(elapsed_s, budget_s + waited_s, budget_s)
