"""The files that a campaign leaves for people: tables and figures, each whole or not at all (adapter)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from moireloop.results.analyses import analyses_table
from moireloop.results.recipes import Bounds, RecipeRuns
from moireloop.results.table import results_table
from moireloop.results.trajectories import trajectories_table
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.files import replaced_whole
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series


class FewerRows(RuntimeError):
    """A file would lose rows if it were rewritten; the text says how many it has."""


def write_results(
    folder: CampaignFolder,
    results: Sequence[Result],
    targets: Sequence[Target],
    bounds: Bounds,
    ran: RecipeRuns | None = None,
) -> tuple[Path, Path]:
    """Write results.parquet and results.csv, each whole or not at all, and return their paths.

    Raises:
        FewerRows: the files that are there have more results.
        OSError: they cannot be written.
    """
    return _write_table(results_table(results, targets, bounds, ran), folder.results_parquet, folder.results_csv)


def write_trajectories(folder: CampaignFolder, all_series: Sequence[Series]) -> tuple[Path, Path]:
    """Write trajectories.parquet and trajectories.csv, each whole or not at all, and return their paths.

    Raises:
        FewerRows: the files that are there have more rows.
        OSError: they cannot be written.
    """
    return _write_table(trajectories_table(all_series), folder.trajectories_parquet, folder.trajectories_csv)


def write_analyses(folder: CampaignFolder, results: Sequence[Result]) -> tuple[Path, ...]:
    """Write analyses.parquet, whole or not at all, and return its path; nothing where no analyzer was named.

    Raises:
        FewerRows: the file that is there has more rows.
        OSError: it cannot be written.
    """
    if not any(result.analyses for result in results):
        return ()
    table = analyses_table(results)
    _refuse_less(table, folder.analyses_parquet)
    with replaced_whole(folder.analyses_parquet) as path:
        pyarrow.parquet.write_table(table, path)
    return (folder.analyses_parquet,)


def rows_of(path: Path) -> int:
    """Rows of a Parquet file; 0 where there is none, or it cannot be read."""
    with contextlib.suppress(OSError, pa.ArrowException):
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    return 0


def _refuse_less(table: pa.Table, path: Path) -> None:
    before = rows_of(path)
    if before > table.num_rows:
        raise FewerRows(f"{path.name} keeps its {before} rows, since the campaign's state has only {table.num_rows}")


def _write_table(table: pa.Table, parquet: Path, text: Path) -> tuple[Path, Path]:
    _refuse_less(table, parquet)
    with replaced_whole(parquet) as path:
        pyarrow.parquet.write_table(table, path)
    with replaced_whole(text) as path:
        pyarrow.csv.write_csv(table, path)
    return parquet, text
