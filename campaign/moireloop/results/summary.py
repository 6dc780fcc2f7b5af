"""Summary of a campaign's results, cached between looks: best recipes, utilisation, early ends (pure).

Each part takes time that grows with the results. It is recomputed when there are new results, but seldom enough to take
no more than SHARE of the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from moireloop.results.best import Best, best_of
from moireloop.results.early_ends import NONE_WITHHELD, EarlyEnds, Withheld
from moireloop.results.tally import tally_of
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target

SHARE: Final = 0.05


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
        withheld: the runs that could have been ended early, and were kept to their end as a check.
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
            now_s: seconds of a clock that is not set.
        """
        wanted = len(results), tuple(targets)
        is_stale = self._last is None or wanted[1] != self._of[1] or (wanted != self._of and now_s >= self._due_s)
        if self._last is not None and not is_stale:
            return self._last
        began = perf_counter()
        self._last, self._of = summary_of(results, targets, resumed_at_s, withheld), wanted
        self._due_s = now_s + (perf_counter() - began) / SHARE
        return self._last
