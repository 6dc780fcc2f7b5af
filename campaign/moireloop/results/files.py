"""The files that a campaign leaves for people: tables and figures, each whole or not at all (adapter)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from moireloop.results.analyses import analyses_table
from moireloop.results.recipes import Bounds
from moireloop.results.table import results_table
from moireloop.results.trajectories import trajectories_table
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.files import replaced_whole
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series


def write_results(
    folder: CampaignFolder, results: Sequence[Result], targets: Sequence[Target], bounds: Bounds
) -> tuple[Path, Path]:
    """Write results.parquet and results.csv, each whole or not at all, and return their paths."""
    return _write_table(results_table(results, targets, bounds), folder.results_parquet, folder.results_csv)


def write_trajectories(folder: CampaignFolder, all_series: Sequence[Series]) -> tuple[Path, Path]:
    """Write trajectories.parquet and trajectories.csv, each whole or not at all, and return their paths."""
    return _write_table(trajectories_table(all_series), folder.trajectories_parquet, folder.trajectories_csv)


def write_analyses(folder: CampaignFolder, results: Sequence[Result]) -> tuple[Path, ...]:
    """Write analyses.parquet, whole or not at all, and return its path; nothing where no analyzer was named."""
    if not any(result.analyses for result in results):
        return ()
    with replaced_whole(folder.analyses_parquet) as path:
        pyarrow.parquet.write_table(analyses_table(results), path)
    return (folder.analyses_parquet,)


def _write_table(table: pa.Table, parquet: Path, text: Path) -> tuple[Path, Path]:
    with replaced_whole(parquet) as path:
        pyarrow.parquet.write_table(table, path)
    with replaced_whole(text) as path:
        pyarrow.csv.write_csv(table, path)
    return parquet, text
