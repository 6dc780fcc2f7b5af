"""The figures that a campaign leaves for people, each whole or not at all (adapter)."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from moireloop.figures.bilayer import bilayer_figure, bilayer_title
from moireloop.figures.early_end import early_end_figure
from moireloop.figures.final_structure import FinalStructure, lattices_of, read_structure
from moireloop.figures.run import run_figure
from moireloop.figures.search import regret_figure, space_figure
from moireloop.figures.structure import DIFFRACTION, Pattern, pattern_of, reach_of, structure_figure
from moireloop.figures.trajectories import trajectory_figure
from moireloop.results.early_ends import Withheld
from moireloop.results.labels import with_error
from moireloop.results.recipes import Bounds, RecipeRuns, best_recipes, recipe_runs
from moireloop.structure_files import NoStructure
from moireloop_analyzer.settings import AnalyzerSettings, LearntPolicy
from moireloop_analyzer.settling.earlier import earlier_runs
from moireloop_analyzer.settling.reliability import LEVELS, reliability
from moireloop_analyzer.settling.sureness import RUNS_KEPT, whole_runs_of
from moireloop_broker.contract.events import Result
from moireloop_broker.contract.search import Target
from moireloop_broker.files import replaced_whole
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series
from moireloop_worker.models.growth_model import GrowthModel

log = logging.getLogger(__name__)

DPI: Final = 150


class NoSuchRun(ValueError):
    """A run was named of which there is neither a result nor an analysed frame."""


def write_figures(
    folder: CampaignFolder,
    results: Sequence[Result],
    bounds: Bounds,
    targets: Sequence[Target],
    title: str = "",
    all_series: Sequence[Series] = (),
    admitted_deg: Sequence[float] = (),
    ran: RecipeRuns | None = None,
) -> tuple[Path, ...]:
    """Draw all figures into the campaign's folder as PNG, each whole or not at all; return their paths.

    Args:
        admitted_deg: twists that the campaign's cell admits, to be marked.
        ran: the recipes of the results, where they are known already.
    """
    ran = recipe_runs(results) if ran is None else ran
    return (
        _saved(regret_figure(results, targets, title, ran), folder.regret_figure),
        _saved(space_figure(results, bounds, targets, title, admitted_deg, ran), folder.space_figure),
        _saved(trajectory_figure(all_series, results, targets, title, ran), folder.trajectories_figure),
    )


def write_early_end_figure(
    folder: CampaignFolder,
    results: Sequence[Result],
    all_series: Sequence[Series],
    withheld: Withheld,
    policy: LearntPolicy,
    title: str = "",
) -> Path:
    """Draw how far early end can be trusted, by the runs that analyzers learn from; return its path."""
    series = {(each.candidate_id, each.attempt): each.points for each in all_series}
    own = whole_runs_of(results, series, withheld, policy.tolerance_deg)
    runs = [*earlier_runs(policy), *own]
    points = reliability(runs[-RUNS_KEPT:], policy.tolerance_deg, sorted({*LEVELS, policy.level}), policy.least_runs)
    return _saved(early_end_figure(points, len(runs), policy.least_runs, policy.level, title), folder.early_end_figure)


def write_run_figures(
    folder: CampaignFolder,
    results: Sequence[Result],
    all_series: Sequence[Series],
    targets: Sequence[Target],
    model: GrowthModel,
    settings: AnalyzerSettings,
    named: Sequence[str] = (),
    ran: RecipeRuns | None = None,
) -> tuple[Path, ...]:
    """Draw each target's best run, and those named: over time, its final bilayer, and what its analyses found.

    A run that left no structure behind, as those without molecular dynamics, has no picture of a bilayer. Returns the
    paths of what was drawn.

    Raises:
        NoSuchRun: a name belongs to no candidate with a result or an analysed frame.
    """
    ran = recipe_runs(results) if ran is None else ran
    best = [recipe.result.candidate.candidate_id for target in targets for recipe in best_recipes(ran, target, 1)]
    by_id = {result.candidate.candidate_id: result for result in results}
    known = {*by_id, *(series.candidate_id for series in all_series)}
    if unknown := [name for name in named if name not in known]:
        raise NoSuchRun(
            f"expected the id of a candidate, as in the column candidate_id of results.csv, got {unknown[0]!r}"
        )
    drawn: list[Path] = []
    for candidate_id in dict.fromkeys([*best, *named]):
        result = by_id.get(candidate_id)
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
