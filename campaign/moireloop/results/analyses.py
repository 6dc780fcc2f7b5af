"""What further analyzers made of the final frames: as a table, and which of them failed (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from moireloop_broker.contract.events import AnalysisOutcome, Result

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST_SHOWN: Final = 200


def analyses_table(results: Iterable[Result]) -> pa.Table:
    """One row for each number, each array, and each reason why there is none, in the order of the results.

    `shape` is empty for a number, and `values` are flat, the last axis fastest; both are null where there is only a
    `reason`. `name` is null where the reason applies to the whole analysis.
    """
    import pyarrow as pa

    rows = [
        {"candidate_id": result.candidate.candidate_id, "attempt": result.attempt, "analyzer": analyzer, **row}
        for result in results
        for analyzer, outcome in result.analyses.items()
        for row in _rows(outcome)
    ]
    columns = {
        "candidate_id": pa.string(),
        "attempt": pa.int64(),
        "analyzer": pa.string(),
        "name": pa.string(),
        "shape": pa.list_(pa.int64()),
        "values": pa.list_(pa.float64()),
        "reason": pa.string(),
    }
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


class AnalysesTally:
    """Which analyzers failed how often, result after result."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._last: dict[str, str] = {}

    def add(self, result: Result) -> None:
        """Take in the next result."""
        for analyzer, outcome in result.analyses.items():
            self._asked[analyzer] += 1
            if outcome.reason is not None:
                self._failed[analyzer] += 1
                self._last[analyzer] = _short(outcome.reason)

    @property
    def failed(self) -> tuple[str, ...]:
        """A line for each analyzer that failed: of how many results, and the last reason."""
        return tuple(
            f"analyses failed: {analyzer} {count} of {self._asked[analyzer]} ({self._last[analyzer]})"
            for analyzer, count in self._failed.items()
        )


def failed_analyses(results: Iterable[Result]) -> tuple[str, ...]:
    """A line for each analyzer that failed: of how many results, and the last reason."""
    tally = AnalysesTally()
    for result in results:
        tally.add(result)
    return tally.failed


def _rows(outcome: AnalysisOutcome) -> Iterator[Mapping[str, Any]]:
    if outcome.reason is not None:
        yield {"reason": outcome.reason}
    for name, number in outcome.numbers.items():
        yield {"name": name, "shape": [], "values": [number]}
    for name, array in outcome.arrays.items():
        yield {"name": name, "shape": array.shape, "values": array.values}
    for name, reason in outcome.reasons.items():
        yield {"name": name, "reason": reason}


def _short(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]} ..."
