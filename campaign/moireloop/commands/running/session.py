"""`moireloop run` and `moireloop resume`: one session of a campaign, from its checks to its figures (main)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from moireloop.campaign_file.campaign import Campaign
from moireloop.campaign_file.changes import changes_on_resume
from moireloop.campaign_file.load import (
    CampaignFile,
    Purpose,
    check,
    check_folder,
    keep_copy,
    load_copy,
    read_campaign,
    refuse_unreachable,
)
from moireloop.cells.lines import warnings
from moireloop.commands.steering.requests import end_of_pause, resumed_after_pause
from moireloop.exit_codes import EXIT_FAILED, EXIT_GO_ON, EXIT_KILLED
from moireloop.scheduling.until import end_of_option
from moireloop.session.history import History
from moireloop.session.lock import locked, refuse_if_held
from moireloop.session.opening import forget_session, refuse_if_redis_knows, refuse_taken_name
from moireloop.terminal.console import complain, console, say
from moireloop.terminal.outlet import output_that_may_close
from moireloop.terminal.session_view import Session, conduct
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.settings import NetworkSettings
from moireloop_broker.state.series import Series
from moireloop_optimizer.generators.check import keep_strategy
from moireloop_worker.lammps.restarts import remove_restart_files_of
from moireloop_worker.models import crystal_of
from moireloop_worker.models.script_files import keep_script

HERE: Final = "here"

PATIENCE_S: Final = 600.0


def run(
    path: Path,
    *,
    fresh: bool = False,
    or_resume: bool = False,
    until: str | None = None,
    services: str = HERE,
    patience: float = PATIENCE_S,
    no_figures: bool = False,
) -> int:
    """Start a campaign and stay until it ends.

    Args:
        or_resume: continue it where it was started before.
        until: when the machine is needed back, as a time or as what remains.
        no_figures: write only tables at the end.
    """
    elsewhere, draws = None if services == HERE else patience, not no_figures
    with output_that_may_close():
        file, until_s = read_campaign(path), end_of_option(until)
        if or_resume and file.folder.was_started:
            return resume_file(file, elsewhere=elsewhere, until_s=until_s, draws=draws).exit_code
        return run_file(file, fresh=fresh, elsewhere=elsewhere, until_s=until_s, draws=draws).exit_code


def resume(
    path: Path,
    *,
    until: str | None = None,
    services: str = HERE,
    patience: float = PATIENCE_S,
    no_figures: bool = False,
) -> int:
    """Continue a campaign that was stopped, killed or paused; its file may have changed.

    By a connection file, such as a grant, only a pause is ended.
    """
    elsewhere = None if services == HERE else patience
    if path.suffix == ".json":
        return end_of_pause(path)
    with output_that_may_close():
        file, until_s = read_campaign(path), end_of_option(until)
        with contextlib.suppress(OSError):
            if resumed_after_pause(file.folder):
                return 0
        return resume_file(file, elsewhere=elsewhere, until_s=until_s, draws=not no_figures).exit_code


def run_file(
    file: CampaignFile,
    held: Callable[[], None] = lambda: None,
    *,
    fresh: bool = False,
    elsewhere: float | None = None,
    until_s: float | None = None,
    draws: bool = True,
) -> Session:
    """Start a campaign that was read and stay until it ends.

    Args:
        held: called when it has passed all checks.
        fresh: remove first what an earlier campaign left.
        elsewhere: seconds to wait for the broker where services start by themselves; None where they start here.
        until_s: when everything must have been given back, in seconds since the epoch; None without an end.
        draws: whether figures are drawn at the end.
    """
    folder, campaign = file.folder, file.campaign
    with _checked_and_locked(file, "fresh" if fresh else "run", elsewhere is not None):
        held()
        if fresh:
            forget_session(folder)
            folder.clear()
            folder.create()
            refuse_taken_name(campaign)
        keep_script(campaign.growth, campaign.frames.every_steps, folder)
        keep_strategy(campaign.optimizer, folder)
        keep_copy(file, folder)
        return _conduct(campaign, resumed=False, elsewhere=elsewhere, until_s=until_s, draws=draws)


def resume_file(
    file: CampaignFile,
    held: Callable[[], None] = lambda: None,
    *,
    elsewhere: float | None = None,
    until_s: float | None = None,
    draws: bool = True,
) -> Session:
    """Continue a campaign that was read and stay until it ends; the arguments are as for `run_file`."""
    folder, campaign = file.folder, file.campaign
    with _checked_and_locked(file, "resume", elsewhere is not None):
        held()
        for change in [
            *changes_on_resume(load_copy(folder), campaign),
            *filter(None, [keep_strategy(campaign.optimizer, folder)]),
        ]:
            say(f"changed {change}")
        keep_copy(file, folder)
        resumed = folder.connection_file.exists()
        return _conduct(campaign, resumed=resumed, elsewhere=elsewhere, until_s=until_s, draws=draws)


@contextmanager
def _checked_and_locked(file: CampaignFile, purpose: Purpose, elsewhere: bool) -> Iterator[None]:
    """A campaign checked whole, its folder locked. The folder is looked at again then: another may have been faster.

    Where services start by themselves, this machine needs neither cores for workers nor the address of the broker.
    """
    with contextlib.suppress(OSError):
        refuse_if_held(file.folder)
    checked = _without_machine(file) if elsewhere else file
    check(checked, purpose)
    refuse_unreachable(checked)
    if purpose == "run":
        refuse_taken_name(file.campaign)
    file.folder.create()
    with locked(file.folder):
        refuse_if_redis_knows(file.folder, say, elsewhere=elsewhere)
        check_folder(file, purpose)
        yield


def _without_machine(file: CampaignFile) -> CampaignFile:
    """The file to check when neither workers nor broker run on this machine."""
    campaign = file.campaign
    workers = campaign.workers.model_copy(update={"count": 0, "launcher": "local", "launcher_options": {}, "nodes": 1})
    return replace(file, campaign=campaign.model_copy(update={"workers": workers, "network": NetworkSettings()}))


def _conduct(
    campaign: Campaign, *, resumed: bool, elsewhere: float | None, until_s: float | None, draws: bool
) -> Session:
    """The session, then its figures, tables and files. Those who draw are imported when there is something to draw."""
    for line in warnings(crystal_of(campaign.growth), campaign.space, campaign.targets):
        say(line)
    with conduct(campaign, console, resumed=resumed, elsewhere=elsewhere, until_s=until_s) as session:
        try:
            return _shown(campaign, session, draws)
        except KeyboardInterrupt:
            return _shown(campaign, replace(session, exit_code=EXIT_KILLED), draws)


def _shown(campaign: Campaign, session: Session, draws: bool) -> Session:
    """The session with the exit code that its figures and tables leave it."""
    if session.exit_code in (EXIT_KILLED, EXIT_GO_ON):
        say(f"tables   not written; `moireloop results {campaign.folder}` writes them")
        say(f"ended    {session.reason}")
        return session
    campaign, history = campaign.after(session.history.steered), session.history.unpacked()
    from moireloop.commands.looking.results import show_results

    drawn, undrawn = _drawn(campaign, history, session.all_series) if draws else ((), None)
    code = show_results(campaign, history, session.all_series)
    if undrawn is not None:
        complain(undrawn)
    for result in history.results:
        remove_restart_files_of(CampaignFolder(campaign.folder).runs, result.candidate.candidate_id)
    for figure in drawn:
        say(f"figure   {figure}")
    if not draws:
        say(f"figures  not drawn; `moireloop figures {campaign.folder}` draws them")
    say(f"ended    {session.reason}")
    return replace(session, exit_code=session.exit_code or code or (0 if undrawn is None else EXIT_FAILED))


def _drawn(campaign: Campaign, history: History, all_series: Sequence[Series]) -> tuple[tuple[Path, ...], str | None]:
    """The figures drawn, or why they are not."""
    from moireloop.commands.looking.figures import draw, not_drawn

    try:
        return draw(campaign, history, all_series), None
    except OSError as error:
        return (), not_drawn(campaign, error)
