"""The files that a campaign leaves for people: tables and figures, each whole or not at all (adapter)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from moireloop.bilayer_figure import bilayer_figure
from moireloop.figures import Bounds, regret_figure, space_figure
from moireloop.final_structure import NoStructure, read_lattices
from moireloop.folder import CampaignFolder, replaced_whole
from moireloop.results import best_recipes, results_table
from moireloop.trajectories import trajectories_table
from moireloop.trajectory_figure import trajectory_figure
from moireloop_broker.messages import Result
from moireloop_broker.series import Series
from moireloop_optimizer.objective import Target

log = logging.getLogger(__name__)

DPI: Final = 150


def write_results(folder: CampaignFolder, results: Sequence[Result], targets: Sequence[Target]) -> tuple[Path, Path]:
    """Write results.parquet and results.csv, each whole or not at all, and return their paths."""
    return _write_table(results_table(results, targets), folder.results_parquet, folder.results_csv)


def write_trajectories(folder: CampaignFolder, all_series: Sequence[Series]) -> tuple[Path, Path]:
    """Write trajectories.parquet and trajectories.csv, each whole or not at all, and return their paths."""
    return _write_table(trajectories_table(all_series), folder.trajectories_parquet, folder.trajectories_csv)


def _write_table(table: pa.Table, parquet: Path, text: Path) -> tuple[Path, Path]:
    with replaced_whole(parquet) as path:
        pyarrow.parquet.write_table(table, path)
    with replaced_whole(text) as path:
        pyarrow.csv.write_csv(table, path)
    return parquet, text


def write_figures(
    folder: CampaignFolder,
    results: Sequence[Result],
    bounds: Bounds,
    targets: Sequence[Target],
    title: str = "",
    all_series: Sequence[Series] = (),
) -> tuple[Path, ...]:
    """Draw all figures into the campaign's folder as PNG, each whole or not at all; return their paths."""
    for figure, path in (
        (regret_figure(results, targets, title), folder.regret_figure),
        (space_figure(results, bounds, targets, title), folder.space_figure),
        (trajectory_figure(all_series, results, targets, title), folder.trajectories_figure),
    ):
        with replaced_whole(path) as temporary:
            figure.savefig(temporary, dpi=DPI, format="png")
    return folder.regret_figure, folder.space_figure, folder.trajectories_figure


def write_bilayers(
    folder: CampaignFolder,
    results: Sequence[Result],
    targets: Sequence[Target],
    lattice_types: Sequence[int],
    periodic: Sequence[bool],
) -> tuple[Path, ...]:
    """Draw the final structure of each target's best result, seen from above; return the paths of what was drawn.

    A run that left no structure behind, as those without molecular dynamics, is passed over.
    """
    best = {
        recipe.result.candidate.candidate_id: recipe.result for t in targets for recipe in best_recipes(results, t, 1)
    }
    drawn = []
    for candidate_id, result in best.items():
        try:
            lattices = read_lattices(folder.final_data(candidate_id, result.attempt), lattice_types, periodic)
        except NoStructure as error:
            log.info("no picture of the bilayer candidate=%s reason=%s", candidate_id, error)
            continue
        path = folder.bilayer_figure(candidate_id)
        with replaced_whole(path) as temporary:
            figure = bilayer_figure(lattices, f"{candidate_id}: {result.twist_deg:.2f}° between the layers")
            figure.savefig(temporary, dpi=DPI, format="png")
        drawn.append(path)
    return tuple(drawn)
