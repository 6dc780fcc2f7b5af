"""What ending runs early has saved (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from moireloop_broker.contract.events import Result


@dataclass(frozen=True)
class EarlyEnds:
    """What ending runs early has saved: how many runs, and steps that were not computed of those that were planned."""

    settled: int
    hopeless: int
    saved_steps: int
    planned_steps: int

    def __str__(self) -> str:
        share = 100 * self.saved_steps / self.planned_steps
        return f"early end saved {share:.0f} % of the steps: {self.settled} settled, {self.hopeless} hopeless"


def saved_steps(result: Result) -> int | None:
    """Steps of the plan that an early end saved, 0 for a run that was completed; None where there is no telling."""
    report = result.report
    if report is None or not report.planned_steps or report.ended == "cancelled":
        return None
    return max(0, report.planned_steps - report.steps) if report.ended in ("settled", "hopeless") else 0


def early_ends(results: Iterable[Result]) -> EarlyEnds | None:
    """What early ends have saved over all runs that came to their end; None where no run was ended early."""
    told = [(result.report, saved) for result in results if (saved := saved_steps(result)) is not None]
    endings = [report.ended for report, _ in told if report is not None]
    if not {"settled", "hopeless"} & set(endings):
        return None
    planned = sum(report.planned_steps for report, _ in told if report is not None)
    return EarlyEnds(endings.count("settled"), endings.count("hopeless"), sum(saved for _, saved in told), planned)
