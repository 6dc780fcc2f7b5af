"""What ending runs early has saved, and how often it would have been wrong (pure)."""

from __future__ import annotations

from collections import Counter
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
        saving = f"early end saved {share:.0f} % of the steps: {self.settled} settled, {self.hopeless} hopeless"
        return f"{saving}, {self.wrong} of {self.checked} checked to their full end wrong" if self.checked else saving


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


class EarlyTally:
    """What early ends have saved, result after result.

    Args:
        withheld: the runs that were sure, and kept to their end as a check; each is known before its result.
    """

    def __init__(self, withheld: Withheld = NONE_WITHHELD) -> None:
        self._withheld = withheld
        self._endings: Counter[str] = Counter()
        self._saved = self._planned = 0
        self._checks: Counter[bool] = Counter()

    def add(self, result: Result) -> None:
        """Take in the next result."""
        report, saved = result.report, saved_steps(result)
        if report is None or saved is None:
            return
        self._endings[report.ended] += 1
        self._saved += saved
        self._planned += report.planned_steps
        event = self._withheld.get((result.candidate.candidate_id, result.attempt)) if self._withheld else None
        right = None if event is None else was_right(event, result)
        if right is not None:
            self._checks[right] += 1

    @property
    def early_ends(self) -> EarlyEnds | None:
        """Over all runs that ended; None where no run was or could have been ended."""
        checked, settled, hopeless = self._checks.total(), self._endings["settled"], self._endings["hopeless"]
        if not (settled or hopeless or checked):
            return None
        return EarlyEnds(settled, hopeless, self._saved, self._planned, checked, self._checks[False])


def early_ends(results: Iterable[Result], withheld: Withheld = NONE_WITHHELD) -> EarlyEnds | None:
    """What early ends have saved over all runs that ended; None where no run was or could have been ended.

    Args:
        results: all results.
        withheld: the runs that were sure, and kept to their end as a check.
    """
    tally = EarlyTally(withheld)
    for result in results:
        tally.add(result)
    return tally.early_ends
