"""`moireloop results`: the files of results, and the table of the best recipes (main)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from moireloop.campaign_file.campaign import Campaign
from moireloop.commands.started import started
from moireloop.results.analyses import failed_analyses
from moireloop.results.files import write_analyses, write_results, write_trajectories
from moireloop.results.results import early_ends, utilisation
from moireloop.session.history import History
from moireloop.session.records import records
from moireloop.terminal.console import console
from moireloop.terminal.recipes_table import recipes_table, target_lines, width_of
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series


def results(path: Path) -> int:
    """Table of the best recipes; writes results and trajectories, each as .parquet and .csv, and analyses.parquet."""
    campaign = started(path)
    show_results(campaign, *records(CampaignFolder(campaign.folder)))
    return 0


def show_results(campaign: Campaign, history: History, all_series: Sequence[Series]) -> None:
    """Write the files first, so that they are there also when nobody reads what is shown."""
    results_files = write_results(CampaignFolder(campaign.folder), history.results, campaign.targets, campaign.bounds)
    written = (
        *results_files,
        *write_trajectories(CampaignFolder(campaign.folder), all_series),
        *write_analyses(CampaignFolder(campaign.folder), history.results),
    )
    if console.is_terminal:
        console.print(recipes_table(history.results, campaign.targets, campaign.bounds, width=console.width))
    else:
        table = recipes_table(history.results, campaign.targets, campaign.bounds)
        Console(width=width_of(table)).print(table)
    for told in target_lines(history.results, campaign.targets):
        console.print(told, highlight=False, markup=False, soft_wrap=True)
    used = utilisation(history.results, history.resumed_at_s).fraction
    if used is not None:
        console.print(f"utilisation of the workers {used:.1%}", highlight=False)
    if (early := early_ends(history.results)) is not None:
        console.print(str(early), highlight=False)
    for failed in failed_analyses(history.results):
        console.print(failed, highlight=False, markup=False, soft_wrap=True)
    for path in written:
        console.print(f"results  {path}", highlight=False, soft_wrap=True)
