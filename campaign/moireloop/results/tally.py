"""The numbers that summaries are made from, taken from each result once (pure)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from moireloop.kept.columns import RunColumns
from moireloop.kept.packed import PackedResults
from moireloop.results.analyses import AnalysesTally
from moireloop.results.early_ends import NONE_WITHHELD, EarlyTally, Withheld
from moireloop.results.results import WorkerTimes
from moireloop_broker.contract.events import Result


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
