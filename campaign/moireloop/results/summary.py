"""Summary of a campaign's results, cached between looks: best recipes, utilisation, early ends (pure).

Each part takes time that grows with the results. It is recomputed for new results, but rarely enough to take at most
SHARE of the time. Its numbers are taken from each result once.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from moireloop.kept.columns import RunColumns
from moireloop.kept.packed import PackedResults
from moireloop.results.analyses import AnalysesTally
from moireloop.results.best import Best, best_of
from moireloop.results.early_ends import NONE_WITHHELD, EarlyEnds, EarlyTally, Withheld
from moireloop.results.results import WorkerTimes
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target

SHARE: Final = 0.05


class Tally:
    """Grows with the results, in the order of the log; some 120 bytes of each stay.

    Args:
        results: those that there are.
        withheld: the runs that could have been ended early, and were kept to their end as a check.
    """

    def __init__(self, results: Iterable[Result] = (), withheld: Withheld = NONE_WITHHELD) -> None:
        self.runs = RunColumns()
        self.times = WorkerTimes()
        self.early = EarlyTally(withheld)
        self.analyses = AnalysesTally()
        self._run_s = array("d")
        self._sorted = 0
        for result in results:
            self.add(result)

    def add(self, result: Result) -> None:
        """Take in the next result."""
        for part in (self.runs, self.times, self.early, self.analyses):
            part.add(result)
        if result.report is not None:
            self._run_s.append(result.report.finished_s - result.report.started_s)

    @property
    def median_run_s(self) -> float | None:
        """How long a run takes, in seconds: the upper median of all; None before the first has ended."""
        if self._sorted < len(self._run_s):
            self._run_s = array("d", sorted(self._run_s))
            self._sorted = len(self._run_s)
        return self._run_s[self._sorted // 2] if self._sorted else None


class KeptResults(PackedResults):
    """All results of a campaign that runs, packed, with their tally.

    Args:
        withheld: as in the tally; it may grow with the results.
    """

    def __init__(self, withheld: Withheld = NONE_WITHHELD) -> None:
        super().__init__()
        self.tally = Tally(withheld=withheld)

    def append(self, result: Result) -> None:
        """Add the next result."""
        super().append(result)
        self.tally.add(result)


def tally_of(results: Sequence[Result], withheld: Withheld = NONE_WITHHELD) -> Tally:
    """The tally of these results; kept ones have it already."""
    return results.tally if isinstance(results, KeptResults) else Tally(results, withheld)


@dataclass(frozen=True)
class Summary:
    """Summary of results: the best for each target, utilisation in [0, 1], early ends, analyzers that failed."""

    best: tuple[tuple[Target, Best | None], ...]
    utilisation: float | None
    early: EarlyEnds | None
    failed_analyses: tuple[str, ...]


def summary_of(
    results: Sequence[Result],
    targets: Sequence[Target],
    resumed_at_s: Sequence[float] = (),
    withheld: Withheld = NONE_WITHHELD,
) -> Summary:
    """The summary of these results.

    Args:
        results: all results, in the order of the log.
        targets: the wanted twists.
        resumed_at_s: when the campaign was resumed.
        withheld: runs that could have been ended early but ran to their end as a check.
    """
    tally = tally_of(results, withheld)
    return Summary(
        best=tuple(zip(targets, best_of(tally.runs, results, targets), strict=True)),
        utilisation=tally.times.utilisation(resumed_at_s).fraction,
        early=tally.early.early_ends,
        failed_analyses=tally.analyses.failed,
    )


class Summaries:
    """The last summary, recomputed now and then."""

    def __init__(self) -> None:
        self._last: Summary | None = None
        self._of: tuple[int, tuple[Target, ...]] = (-1, ())
        self._due_s = -math.inf

    def look(
        self,
        results: Sequence[Result],
        targets: Sequence[Target],
        resumed_at_s: Sequence[float],
        now_s: float,
        withheld: Withheld = NONE_WITHHELD,
    ) -> Summary:
        """The summary of all results so far, or a moment ago.

        Args:
            now_s: seconds of a monotonic clock.
        """
        wanted = len(results), tuple(targets)
        is_stale = self._last is None or wanted[1] != self._of[1] or (wanted != self._of and now_s >= self._due_s)
        if self._last is not None and not is_stale:
            return self._last
        began = perf_counter()
        self._last, self._of = summary_of(results, targets, resumed_at_s, withheld), wanted
        self._due_s = now_s + (perf_counter() - began) / SHARE
        return self._last
