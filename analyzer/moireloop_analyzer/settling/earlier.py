"""Whole runs of earlier campaigns, from the trajectories.parquet that each campaign writes at its end (adapter).

A campaign must first have whole runs to learn from. Those of an earlier one of the same growth spare it that.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moireloop_analyzer.settings import LearntPolicy
from moireloop_analyzer.settling.sureness import LEAST_POINTS, RUNS_KEPT, WholeRun, whole_run
from moireloop_broker.state.series import COLUMNS, Series, SeriesPoint

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

RUN: Final = ("candidate_id", "attempt")

TYPES: Final = {"candidate_id": "string", "attempt": "int64", **COLUMNS}

ENDS: Final = ["candidate_id", "step", "planned_steps", "final"]

NEVER_NULL: Final = frozenset({"candidate_id", "attempt", "step", "time_ps", "planned_steps", "final"})

HOW: Final = "name the trajectories.parquet of a campaign whose runs went to their full end"


class EarlierUnusable(ValueError):
    """A file of earlier runs cannot be learnt from; the text says which one and why."""


def series_in(path: Path) -> list[Series]:
    """All series of a trajectories.parquet. Raises EarlierUnusable."""
    return _series(_table(path, list(TYPES)))


def whole_runs_in(path: Path, tolerance_deg: float) -> list[WholeRun]:
    """The runs of a trajectories.parquet that went to their full end, the last RUNS_KEPT of them.

    Their names begin with the path, so that no run of another campaign has the same one. Raises EarlierUnusable.
    """
    import pyarrow.compute

    table = _table(path, list(TYPES))
    ids = _whole_ids(table)[-RUNS_KEPT:]
    chosen = table.filter(pyarrow.compute.is_in(table["candidate_id"], pyarrow.array(ids, pyarrow.string())))
    return [
        whole_run(f"{path}:{series.candidate_id}", series.points, series.points[-1].twist_deg, tolerance_deg)
        for series in _series(chosen)
        if _is_whole(series.points[-1]) and len(series.points) >= LEAST_POINTS
    ]


def earlier_runs(policy: LearntPolicy) -> list[WholeRun]:
    """The whole runs of all files that the policy names; those of a file that is gone by now are left out."""
    found: list[WholeRun] = []
    for path in policy.earlier:
        try:
            found += whole_runs_in(path, policy.tolerance_deg)
        except EarlierUnusable as error:
            log.warning("earlier runs are not learnt from reason=%s", error)
    return found


def problem_of(path: Path) -> str | None:
    """Why a file cannot be learnt from; None where it can. It is not read as a whole."""
    try:
        ids = _whole_ids(_table(path, ENDS))
    except EarlierUnusable as error:
        return str(error)
    return None if ids else f"expected whole runs in {path}, got none; {HOW}"


def _whole_ids(table: pyarrow.Table) -> list[str]:
    """The candidates whose run went to its full end, in the order of the table, by the columns ENDS."""
    ends = table.select(ENDS).to_pylist()
    return [row["candidate_id"] for row in ends if row["final"] and 0 < row["planned_steps"] == row["step"]]


def _is_whole(last: SeriesPoint) -> bool:
    return last.final and 0 < last.planned_steps == last.step


def _table(path: Path, columns: Sequence[str]) -> pyarrow.Table:
    import pyarrow.parquet

    try:
        with path.open("rb") as file:
            names = set(pyarrow.parquet.read_schema(file).names)
            if missing := [column for column in columns if column not in names]:
                raise EarlierUnusable(f"expected the column {missing[0]} in {path}; {HOW}")
            table = pyarrow.parquet.read_table(file, columns=list(columns))
    except OSError as error:
        raise EarlierUnusable(f"expected a readable file, got {path}: {error.strerror or error}; {HOW}") from error
    except pyarrow.ArrowException as error:
        raise EarlierUnusable(f"expected a Parquet file, got {path}; {HOW}") from error
    return pyarrow.table({column: _checked(table[column], column, path) for column in columns})


def _checked(values: pyarrow.ChunkedArray, column: str, path: Path) -> pyarrow.ChunkedArray:
    """A column in the type that it must have."""
    import pyarrow

    kind = pyarrow.type_for_alias(TYPES[column])
    try:
        found = values.cast(kind)
    except pyarrow.ArrowException as error:
        raise EarlierUnusable(f"expected {column} in {path} to be {kind}, got {values.type}; {HOW}") from error
    if column in NEVER_NULL and found.null_count:
        raise EarlierUnusable(
            f"expected a value of {column} in each row of {path}, got {found.null_count} without; {HOW}"
        )
    return found


def _series(table: pyarrow.Table) -> list[Series]:
    rows = sorted(table.to_pylist(), key=itemgetter(*RUN, "step"))
    groups = groupby(rows, itemgetter(*RUN))
    return [Series(candidate_id, attempt, [_point(row) for row in group]) for (candidate_id, attempt), group in groups]


def _point(row: dict[str, Any]) -> SeriesPoint:
    return SeriesPoint(**{name: row[name] for name in SeriesPoint._fields})
