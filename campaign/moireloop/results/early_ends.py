"""What ending runs early has saved, and how often it would have been wrong (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from moireloop_broker.contract.events import EarlyEndWithheld, Result

Withheld = Mapping[tuple[str, int], EarlyEndWithheld]
"""Runs that were sure of their twist and went to their full end as a check, by candidate and attempt."""

NONE_WITHHELD: Final[Withheld] = MappingProxyType({})


@dataclass(frozen=True)
class EarlyEnds:
    """What ending runs early has saved: how many runs, and steps that were not computed of those that were planned.

    `checked` runs could have been ended as settled and went to their full end as a check, `wrong` of them to another
    twist, or to none.
    """

    settled: int
    hopeless: int
    saved_steps: int
    planned_steps: int
    checked: int = 0
    wrong: int = 0

    def __str__(self) -> str:
        share = 100 * self.saved_steps / self.planned_steps
        told = f"early end saved {share:.0f} % of the steps: {self.settled} settled, {self.hopeless} hopeless"
        return f"{told}, {self.wrong} of {self.checked} checked to their full end wrong" if self.checked else told


def saved_steps(result: Result) -> int | None:
    """Steps of the plan that an early end saved, 0 for a run that was completed; None where there is no telling."""
    report = result.report
    if report is None or not report.planned_steps or report.ended == "cancelled":
        return None
    return max(0, report.planned_steps - report.steps) if report.ended in ("settled", "hopeless") else 0


def was_right(event: EarlyEndWithheld, result: Result) -> bool | None:
    """Whether ending a run at that event would have been right; None where it did not go to its full end."""
    if result.report is None or result.report.ended != "completed" or result.attempt != event.attempt:
        return None
    return result.twist_deg is not None and abs(result.twist_deg - event.twist_deg) <= event.tolerance_deg


def early_ends(results: Iterable[Result], withheld: Withheld = NONE_WITHHELD) -> EarlyEnds | None:
    """What early ends have saved over all runs that ended; None where no run was or could have been ended.

    Args:
        results: all results.
        withheld: the runs that were sure, and kept to their end as a check.
    """
    told = [(result, result.report, saved) for result in results if (saved := saved_steps(result)) is not None]
    endings = [report.ended for _, report, _ in told if report is not None]
    checks = [
        right
        for result, _, _ in told
        if (event := withheld.get((result.candidate.candidate_id, result.attempt))) is not None
        and (right := was_right(event, result)) is not None
    ]
    if not {"settled", "hopeless"} & set(endings) and not checks:
        return None
    planned = sum(report.planned_steps for _, report, _ in told if report is not None)
    return EarlyEnds(
        settled=endings.count("settled"),
        hopeless=endings.count("hopeless"),
        saved_steps=sum(saved for _, _, saved in told),
        planned_steps=planned,
        checked=len(checks),
        wrong=checks.count(False),
    )
