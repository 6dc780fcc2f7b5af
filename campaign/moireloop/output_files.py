"""The files that a campaign leaves for people: tables and figures, each whole or not at all (adapter)."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from matplotlib.figure import Figure

from moireloop.analyses import analyses_table
from moireloop.bilayer_figure import bilayer_figure, bilayer_title
from moireloop.figures import regret_figure, space_figure
from moireloop.final_structure import FinalStructure, NoStructure, lattices_of, read_structure
from moireloop.folder import CampaignFolder, replaced_whole
from moireloop.labels import with_error
from moireloop.recipes import Bounds, best_recipes
from moireloop.results_table import results_table
from moireloop.run_figure import run_figure
from moireloop.structure_figure import DIFFRACTION, Pattern, pattern_of, reach_of, structure_figure
from moireloop.trajectories import trajectories_table
from moireloop.trajectory_figure import trajectory_figure
from moireloop_analyzer.settings import AnalyzerSettings
from moireloop_broker.messages import Result
from moireloop_broker.series import Series
from moireloop_optimizer.objective import Target
from moireloop_worker.growth import GrowthModel

log = logging.getLogger(__name__)

DPI: Final = 150


class NoSuchRun(ValueError):
    """A run was named of which there is neither a result nor an analysed frame."""


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


def write_figures(
    folder: CampaignFolder,
    results: Sequence[Result],
    bounds: Bounds,
    targets: Sequence[Target],
    title: str = "",
    all_series: Sequence[Series] = (),
) -> tuple[Path, ...]:
    """Draw all figures into the campaign's folder as PNG, each whole or not at all; return their paths."""
    return (
        _saved(regret_figure(results, targets, title), folder.regret_figure),
        _saved(space_figure(results, bounds, targets, title), folder.space_figure),
        _saved(trajectory_figure(all_series, results, targets, title), folder.trajectories_figure),
    )


def write_run_figures(
    folder: CampaignFolder,
    results: Sequence[Result],
    all_series: Sequence[Series],
    targets: Sequence[Target],
    model: GrowthModel,
    settings: AnalyzerSettings,
    named: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Draw each target's best run, and those named: over time, its final bilayer, and what its analyses found.

    A run that left no structure behind, as those without molecular dynamics, has no picture of a bilayer. Returns the
    paths of what was drawn.

    Raises:
        NoSuchRun: a name is that of no candidate with a result or an analysed frame.
    """
    best = [recipe.result.candidate.candidate_id for target in targets for recipe in best_recipes(results, target, 1)]
    found = {result.candidate.candidate_id: result for result in results}
    known = {*found, *(series.candidate_id for series in all_series)}
    if unknown := [name for name in named if name not in known]:
        raise NoSuchRun(
            f"expected the id of a candidate, as in the column candidate_id of results.csv, got {unknown[0]!r}"
        )
    drawn: list[Path] = []
    for candidate_id in dict.fromkeys([*best, *named]):
        result = found.get(candidate_id)
        attempts = [series for series in all_series if series.candidate_id == candidate_id]
        figure = run_figure(attempts, targets, _title(candidate_id, result), result)
        drawn.append(_saved(figure, folder.run_figure(candidate_id)))
        if result is not None:
            drawn += _write_structure(folder, result, model, settings)
    return tuple(drawn)


def _write_structure(
    folder: CampaignFolder, result: Result, model: GrowthModel, settings: AnalyzerSettings
) -> list[Path]:
    candidate_id = result.candidate.candidate_id
    data_file = folder.final_data(candidate_id, result.attempt)
    try:
        structure = read_structure(data_file, model.lattice_types, model.periodic, settings)
    except NoStructure as error:
        log.info("no picture of the bilayer candidate=%s reason=%s", candidate_id, error)
        structure = None
    drawn = []
    if structure is not None:
        title = bilayer_title(candidate_id, structure.estimate)
        figure = bilayer_figure(lattices_of(structure), title, structure.estimate.reason)
        drawn.append(_saved(figure, folder.bilayer_figure(candidate_id)))
    pattern = _pattern(structure, result, model)
    if (seen := structure_figure(result.analyses, pattern, _title(candidate_id, result, why=True))) is not None:
        drawn.append(_saved(seen, folder.structure_figure(candidate_id)))
    return drawn


def _pattern(structure: FinalStructure | None, result: Result, model: GrowthModel) -> Pattern | None:
    outcome = result.analyses.get(DIFFRACTION)
    if structure is None or outcome is None:
        return None
    elements = {number: symbol for number, symbol in enumerate(model.elements, start=1) if symbol}
    return pattern_of(
        structure.points, structure.types, structure.plane, structure.periodic, elements, reach_of(outcome)
    )  # fmt: skip


def _title(candidate_id: str, result: Result | None, *, why: bool = False) -> str:
    """What came of a run, with the reason why there is no twist if asked for."""
    if result is None:
        return f"{candidate_id}: no result yet"
    if result.twist_deg is None:
        reason = textwrap.shorten(f": {result.reason}", 200, placeholder=" …") if why else ""
        return f"{candidate_id}: {result.outcome}{reason}"
    sigma_deg = None if result.measurement is None else result.measurement.sigma_deg
    return f"{candidate_id}: twist {with_error(result.twist_deg, sigma_deg, '°')}"


def _saved(figure: Figure, path: Path) -> Path:
    with replaced_whole(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png")
    return path
