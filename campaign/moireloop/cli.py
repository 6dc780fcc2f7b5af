"""The command line: `moireloop run|resume|status|watch|stop|results|figures|validate FILE` (main)."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import redis
import zmq
from rich.console import Console, RenderableType

from moireloop.campaign_file.analysis_check import analysis_warnings
from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.changes import changes_on_resume
from moireloop.campaign_file.errors import CampaignFileError
from moireloop.campaign_file.growth_script import keep_script, script_lines, started_model
from moireloop.campaign_file.load import Purpose, keep_copy, load_campaign, load_copy, refuse_unreachable
from moireloop.campaign_file.strategy_file import keep_strategy
from moireloop.client.client import CampaignClient, NotRunning, RequestRefused
from moireloop.figures.files import NoSuchRun, write_figures, write_run_figures
from moireloop.results.analyses import failed_analyses
from moireloop.results.files import write_analyses, write_results, write_trajectories
from moireloop.results.results import early_ends, utilisation
from moireloop.session.history import TOPICS, History
from moireloop.session.lock import CampaignIsRunning, holder_of, locked, refuse_if_held
from moireloop.session.opening import NameTaken, StillEnding, forget_session, refuse_taken_name
from moireloop.session.progress import Progress, progress_of
from moireloop.session.records import _connected, _live_history, _look, _records, stored_status
from moireloop.session.startup import ServiceFailed, StartInterrupted
from moireloop.terminal.picture import failure_line, failure_lines, line, picture
from moireloop.terminal.progress_view import ProgressView
from moireloop.terminal.recipes_table import recipes_table, target_lines, width_of
from moireloop.terminal.session_view import EXIT_FAILED, EXIT_KILLED, conduct
from moireloop_broker.connection import NoConnectionFile
from moireloop_broker.contract.control import Status
from moireloop_broker.contract.events import BUDGET_OUTCOMES
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.service.redis_server import RedisUnavailable
from moireloop_broker.state.series import Series
from moireloop_worker.lammps.restarts import remove_restart_files_of

EXIT_BAD_INPUT: Final = 2

WATCH_EVERY_S: Final = 0.5

console = Console()


class NeverStarted(ValueError):
    """There is nothing to look at, since the campaign was never started."""


BAD_INPUT: Final = (CampaignIsRunning, NeverStarted, NoConnectionFile, NameTaken, NoSuchRun)

FAILURES: Final = (
    ServiceFailed, NotRunning, RequestRefused, RedisUnavailable, StillEnding, redis.RedisError, zmq.ZMQError, OSError,
)  # fmt: skip


def run(path: Path, *, fresh: bool = False) -> int:
    """Start a campaign and stay until it ends."""
    with _held(path, "fresh" if fresh else "run") as campaign:
        if fresh:
            forget_session(CampaignFolder(campaign.folder))
            CampaignFolder(campaign.folder).clear()
            CampaignFolder(campaign.folder).create()
            refuse_taken_name(campaign)
        keep_script(campaign)
        keep_strategy(campaign)
        keep_copy(path, CampaignFolder(campaign.folder))
        return _conduct(campaign, resumed=False)


def resume(path: Path) -> int:
    """Go on with a campaign that was stopped or killed, also with changed bounds, budget or targets."""
    with _held(path, "resume") as campaign:
        for change in [
            *changes_on_resume(load_copy(CampaignFolder(campaign.folder)), campaign),
            *filter(None, [keep_strategy(campaign)]),
        ]:
            console.print(f"changed {change}", highlight=False, markup=False)
        keep_copy(path, CampaignFolder(campaign.folder))
        return _conduct(campaign, resumed=CampaignFolder(campaign.folder).connection_file.exists())


def status(path: Path) -> int:
    """One look at a campaign, whether it runs or not."""
    campaign = _started(path)
    console.print(
        _look(CampaignFolder(campaign.folder), lambda client: _picture(campaign, client), _stored_line),
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    return 0


def watch(path: Path) -> int:
    """Live progress of a campaign that another terminal runs, until it ends."""
    campaign = _started(path)
    history, since = History(), "0-0"
    if holder_of(CampaignFolder(campaign.folder)) is None:
        console.print("the campaign does not run")
        return 0
    with _connected(CampaignFolder(campaign.folder)) as client, ProgressView(console) as view:
        while holder_of(CampaignFolder(campaign.folder)) is not None:
            try:
                fresh = client.events(TOPICS, since)
                now = client.status()
            except NotRunning:
                continue
            for entry in fresh:
                history.note(entry.message)
            since = fresh[-1].id if fresh else since
            view.show(_progress(campaign, now, history), time.monotonic())
            time.sleep(WATCH_EVERY_S)
    console.print("the campaign does not run")
    return 0


def stop(path: Path) -> int:
    """Let running candidates finish, then stop; `moireloop resume` goes on from there."""
    campaign = _started(path)
    if holder_of(CampaignFolder(campaign.folder)) is None:
        console.print("the campaign does not run")
        return 0
    with _connected(CampaignFolder(campaign.folder)) as client:
        client.stop("moireloop stop")
    console.print("draining: no more candidates are leased, those that run come to their results")
    return 0


def results(path: Path) -> int:
    """Table of the best recipes; writes results and trajectories, each as .parquet and .csv, and analyses.parquet."""
    campaign = _started(path)
    _show_results(campaign, *_records(CampaignFolder(campaign.folder)))
    return 0


def figures(path: Path, *, run: Sequence[str] = ()) -> int:
    """Draw the figures into the campaign's folder."""
    campaign = _started(path)
    for figure in _draw(campaign, *_records(CampaignFolder(campaign.folder)), run):
        console.print(str(figure), highlight=False, soft_wrap=True)
    return 0


def validate(path: Path) -> int:
    """Check a campaign file whole, and start nothing."""
    campaign = load_campaign(path, "validate")
    console.print(f"{path}: campaign {campaign.name!r} is valid", highlight=False, soft_wrap=True)
    for told in (*script_lines(campaign), *analysis_warnings(campaign.analyzers)):
        console.print(told, highlight=False, markup=False, soft_wrap=True)
    return 0


COMMANDS: Final[dict[str, Callable[..., int]]] = {
    command.__name__: command for command in (run, resume, status, watch, stop, results, figures, validate)
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point; answers the exit code: 0, 1 when something failed, 2 for bad input, 130 when interrupted."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="moireloop: %(message)s")
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    command = options.pop("command")
    if command is None:
        parser.print_help(sys.stderr)
        return EXIT_BAD_INPUT
    try:
        code = COMMANDS[command](options.pop("file"), **options)
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_stdout()
        return EXIT_FAILED
    except CampaignFileError as error:
        return _complain(EXIT_BAD_INPUT, *str(error).split("\n"))
    except BAD_INPUT as error:
        return _complain(EXIT_BAD_INPUT, str(error))
    except FAILURES as error:
        return _complain(EXIT_FAILED, str(error))
    except (KeyboardInterrupt, StartInterrupted) as error:
        return _complain(EXIT_KILLED, str(error) or "interrupted")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="moireloop", description="Find the growth conditions that give a bilayer with a wanted twist."
    )
    parser.add_argument("--version", action="version", version=f"moireloop {version('moireloop')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        summary = (command.__doc__ or "").splitlines()[0]
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.add_argument("file", type=Path, metavar="FILE", help="campaign file (TOML)")
    commands.choices["run"].add_argument(
        "--fresh", action="store_true", help="first remove what an earlier campaign of this file left"
    )
    commands.choices["figures"].add_argument(
        "--run",
        action="append",
        default=[],
        metavar="ID",
        help="draw this run too, beside each target's best; again for more",
    )
    return parser


def _complain(code: int, *texts: str) -> int:
    for text in texts:
        sys.stderr.write("moireloop: " + " ".join(text.split()) + "\n")
    return code


def _let_go_of_stdout() -> None:
    """Whoever read our output has gone; what is left of it goes nowhere, without a word at the end of Python."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _held(path: Path, purpose: Purpose) -> Iterator[Campaign]:
    """The campaign of a file, its folder locked. Checked again under the lock: another may have been faster."""
    with contextlib.suppress(OSError):
        refuse_if_held(CampaignFolder(load_campaign(path, "look").folder))
    campaign = load_campaign(path, purpose)
    refuse_unreachable(campaign, path)
    if purpose == "run":
        refuse_taken_name(campaign)
    CampaignFolder(campaign.folder).create()
    with locked(CampaignFolder(campaign.folder)):
        yield load_campaign(path, purpose)


def _started(path: Path) -> Campaign:
    campaign = load_campaign(path, "look")
    if not CampaignFolder(campaign.folder).was_started:
        raise NeverStarted(
            f"{path}: campaign {campaign.name!r} was never started in {campaign.folder}; use `moireloop run {path}`"
        )
    return campaign


def _conduct(campaign: Campaign, *, resumed: bool) -> int:
    session = conduct(campaign, console, resumed=resumed)
    drawn = _draw(campaign, session.history, session.all_series)
    _show_results(campaign, session.history, session.all_series)
    for result in session.history.results:
        remove_restart_files_of(CampaignFolder(campaign.folder).runs, result.candidate.candidate_id)
    for figure in drawn:
        console.print(f"figure   {figure}", highlight=False, soft_wrap=True)
    console.print(f"ended    {session.reason}", highlight=False, soft_wrap=True)
    return session.exit_code


def _draw(
    campaign: Campaign, history: History, all_series: Sequence[Series], named: Sequence[str] = ()
) -> tuple[Path, ...]:
    found, targets, model = history.results, campaign.targets, started_model(campaign)
    folder = CampaignFolder(campaign.folder)
    return (
        *write_figures(folder, found, campaign.bounds, targets, campaign.name, all_series),
        *write_run_figures(folder, found, all_series, targets, model, campaign.analyzers, named),
    )


def _show_results(campaign: Campaign, history: History, all_series: Sequence[Series]) -> None:
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


def _progress(campaign: Campaign, now: Status, history: History) -> Progress:
    return progress_of(
        now,
        history.results,
        campaign.targets,
        budget_results=campaign.budget.results,
        started_s=history.session_starts_s[-1] if history.session_starts_s else time.time(),
        now_s=time.time(),
        wall_time_s=campaign.budget.wall_time_s,
        resumed_at_s=history.resumed_at_s,
        last_crash=history.last_crash,
        last_failures=history.last_failures,
    )


def _picture(campaign: Campaign, client: CampaignClient) -> RenderableType:
    progress = _progress(campaign, client.status(), _live_history(client))
    return picture(progress) if console.is_terminal else "\n".join([line(progress), *failure_lines(progress)[:-1]])


def _stored_line(folder: CampaignFolder) -> str:
    stored, history = stored_status(folder)
    done = sum(stored.counts[outcome] for outcome in BUDGET_OUTCOMES)
    counts = ", ".join(f"{count} {name}" for name, count in stored.counts.items() if count)
    parts = [f"{stored.campaign} does not run", f"state {stored.state}, {done} results", counts or "nothing yet"]
    early = early_ends(history.results)
    summary = "; ".join([*parts, *([str(early)] if early else [])])
    failures = [failure_line(failed, time.time()) for failed in history.last_failures]
    return "\n".join([summary, *failures, *failed_analyses(history.results)])
