"""`moireloop results`: the files of results, and the table of the best recipes (main)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from moireloop.campaign_file.campaign import Campaign
from moireloop.commands.started import as_steered, started
from moireloop.exit_codes import EXIT_FAILED
from moireloop.results.analyses import failed_analyses
from moireloop.results.early_ends import early_ends
from moireloop.results.files import FewerRows, write_analyses, write_results, write_trajectories
from moireloop.results.labels import percent
from moireloop.results.recipes import RecipeRuns, recipe_runs
from moireloop.results.results import utilisation
from moireloop.session.history import History
from moireloop.session.records import records
from moireloop.terminal.console import complain, console, plain_console, say
from moireloop.terminal.recipes_table import recipes_table, target_lines, width_of
from moireloop_broker.bulk import many_objects
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.state.series import Series


@many_objects()
def results(path: Path) -> int:
    """Print the best recipes; write results and trajectories as .parquet and .csv, and analyses.parquet."""
    campaign = started(path)
    history, all_series = records(CampaignFolder(campaign.folder))
    return show_results(as_steered(campaign, history), history, all_series)


def show_results(campaign: Campaign, history: History, all_series: Sequence[Series]) -> int:
    """Write the files first, so that they exist even if the terminal output is not read.

    Returns the exit code, a failure where a table could not be written. A table that keeps its rows, since the state
    has fewer, is none.
    """
    ran = recipe_runs(history.results)
    written, kept, unwritten = _write_tables(campaign, history, all_series, ran)
    if console.is_terminal:
        console.print(recipes_table(history.results, campaign.targets, campaign.bounds, width=console.width, ran=ran))
    else:
        table = recipes_table(history.results, campaign.targets, campaign.bounds, ran=ran)
        plain_console(width=width_of(table)).print(table)
    for line in target_lines(history.results, campaign.targets, ran):
        say(line)
    used = utilisation(history.results, history.resumed_at_s).fraction
    if used is not None:
        console.print(f"utilisation of the workers {percent(used, 1)}")
    if (early := early_ends(history.results, history.withheld)) is not None:
        console.print(str(early))
    for failed in failed_analyses(history.results):
        say(failed)
    if (passed_over := history.passed_over_line) is not None:
        complain(passed_over)
    for path in written:
        say(f"results  {path}")
    for text in (*kept, *unwritten):
        complain(text)
    return EXIT_FAILED if unwritten else 0


def _write_tables(
    campaign: Campaign, history: History, all_series: Sequence[Series], ran: RecipeRuns
) -> tuple[list[Path], list[str], list[str]]:
    """Paths of the tables that were written, a line about each that keeps its rows, and one about each failure."""
    folder, written, kept, unwritten = CampaignFolder(campaign.folder), list[Path](), list[str](), list[str]()
    writers: list[Callable[[], tuple[Path, ...]]] = [
        lambda: write_results(folder, history.results, campaign.targets, campaign.bounds, ran),
        lambda: write_trajectories(folder, all_series),
        lambda: write_analyses(folder, history.results),
    ]
    for write in writers:
        try:
            written += write()
        except FewerRows as error:
            kept.append(str(error))
        except OSError as error:
            unwritten.append(f"cannot write the results to {folder.root}: {error.strerror or error}")
    return written, kept, list(dict.fromkeys(unwritten))
