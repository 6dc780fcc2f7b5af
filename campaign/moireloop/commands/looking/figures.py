"""`moireloop figures`: the figures of a campaign, drawn into its folder (main)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.cells.reach import space_twists
from moireloop.commands.started import as_steered, started
from moireloop.exit_codes import EXIT_FAILED
from moireloop.figures.files import write_early_end_figure, write_figures, write_run_figures
from moireloop.results.recipes import recipe_runs
from moireloop.session.history import History
from moireloop.session.records import records
from moireloop.terminal.console import complain, console
from moireloop_broker.bulk import many_objects
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series
from moireloop_worker.models import crystal_of
from moireloop_worker.models.script_files import started_model


@many_objects()
def figures(path: Path, *, run: Sequence[str] = ()) -> int:
    """Draw the figures into the campaign's folder."""
    campaign = started(path)
    history, all_series = records(CampaignFolder(campaign.folder))
    campaign = as_steered(campaign, history)
    try:
        drawn = draw(campaign, history, all_series, run)
    except OSError as error:
        complain(not_drawn(campaign, error))
        return EXIT_FAILED
    for figure in drawn:
        console.print(str(figure), soft_wrap=True)
    return 0


def not_drawn(campaign: Campaign, error: OSError) -> str:
    """What to say when figures cannot be written, and how to fix it."""
    folder = CampaignFolder(campaign.folder).figures
    return (
        f"cannot write the figures to {folder}: {error.strerror or error}; fix that, then "
        f"run `moireloop figures {campaign.folder}`"
    )


def draw(
    campaign: Campaign, history: History, all_series: Sequence[Series], named: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Draw the figures of a campaign, of each target's best run and of the runs named; returns their files."""
    folder = CampaignFolder(campaign.folder)
    found, targets = history.results, campaign.targets
    model = started_model(campaign.growth, campaign.frames.every_steps, folder)
    crystal = crystal_of(campaign.growth)
    admitted_deg = [] if crystal is None else [each.twist_deg for each in space_twists(crystal, campaign.space)]
    learnt, early = campaign.early_end.learnt, list[Path]()
    if learnt is not None:
        early.append(write_early_end_figure(folder, found, all_series, history.withheld, learnt, campaign.name))
    ran = recipe_runs(found)
    return (
        *early,
        *write_figures(folder, found, campaign.bounds, targets, campaign.name, all_series, admitted_deg, ran),
        *write_run_figures(folder, found, all_series, targets, model, campaign.analyzers, named, ran),
    )
