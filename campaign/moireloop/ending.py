"""When a campaign is over (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from moireloop.progress import Progress


@dataclass(frozen=True)
class Ending:
    """How a campaign's session ended; `is_complete` is whether its budget is spent."""

    is_complete: bool
    reason: str


def ending_of(progress: Progress, budget_results: int) -> Ending | None:
    """The end of a session: the budget is spent, or it drains and nothing runs any more; None before that."""
    if progress.running or progress.analysing:
        return None
    if progress.done >= budget_results and not progress.queued:
        return Ending(True, f"all {budget_results} results are there")
    if progress.state == "draining":
        return Ending(False, f"drained with {progress.done} of {budget_results} results")
    return None


def should_drain(elapsed_s: float, wall_time_s: float | None, run_s: float | None) -> bool:
    """Whether to lease no more: the wall time is over, or a run that starts now would not end within it.

    Args:
        elapsed_s: seconds spent so far.
        wall_time_s: the budget's wall time in seconds; None without one.
        run_s: how long a run takes, in seconds; None before the first has ended.
    """
    return wall_time_s is not None and elapsed_s + (run_s or 0.0) >= wall_time_s
